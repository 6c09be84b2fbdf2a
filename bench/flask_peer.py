"""
What people write to serve a model: Flask before onnxruntime, under gunicorn.

Run by the environment of requirements/servers.lock; MODEL names the folder of the model.
"""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from flask import Flask, Response, jsonify, request

THRESHOLD = 0.5
NUMBERS = [f"n{number}" for number in range(10)]
TEXTS = ["origin", "plan"]

app = Flask(__name__)
options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
session = ort.InferenceSession(
    str(Path(os.environ["MODEL"], "model.onnx")), options, ["CPUExecutionProvider"]
)


@app.get("/ping")
def ping() -> Response:
    """Answer the health check."""
    return jsonify({})


@app.post("/invocations")
def invocations() -> Response:
    """Answer rows with their scores and labels."""
    rows = request.get_json()["instances"]
    numbers = np.array([[row[name] for name in NUMBERS] for row in rows], np.float32)
    texts = np.array([[row[name] for name in TEXTS] for row in rows], object)
    (scores,) = session.run(["scores"], {"numeric": numbers, "categories": texts})
    answers = [
        {"score": float(score), "label": "yes" if score >= THRESHOLD else "no"}
        for (score,) in scores
    ]
    return jsonify({"predictions": answers})
