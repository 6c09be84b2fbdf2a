"""The model that the serving bench asks: 300 trees over ten numbers and two texts."""

import json
from pathlib import Path

import numpy as np
import xgboost as xgb

from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.onnx_export import export
from tidemill_jobs.predictor import FEATURES, MODEL

NUMBERS = tuple(f"n{number}" for number in range(10))
TEXTS = {"origin": ("Bonn", "Nice", "Oslo"), "plan": ("basic", "free", "pro")}
ROWS, TREES, DEPTH, SEED = 20_000, 300, 6, 7


def write(folder: Path) -> None:
    """Train the model, and leave features.json and model.onnx in *folder*."""
    draw = np.random.default_rng(SEED)
    numbers = draw.normal(size=(ROWS, len(NUMBERS)))
    codes = np.stack([draw.integers(0, len(known), ROWS) for known in TEXTS.values()], axis=1)
    label = (numbers[:, 0] + 0.5 * codes[:, 0] + draw.normal(size=ROWS) > 0).astype(int)
    names = [*NUMBERS, *TEXTS]
    kinds = ["float"] * len(NUMBERS) + ["c"] * len(TEXTS)
    matrix = xgb.DMatrix(
        np.hstack([numbers, codes]), label, feature_names=names, feature_types=kinds,
        enable_categorical=True,
    )  # fmt: skip
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "seed": SEED, "nthread": 1}
    booster = xgb.train(settings, matrix, TREES)
    features = Features(
        problem="binary",
        target=Target("late", ("no", "yes")),
        header=tuple(names),
        columns=(
            *(Column(name, "number", (name,)) for name in NUMBERS),
            *(Column(name, "category", (name,), categories=known) for name, known in TEXTS.items()),
        ),
        dropped=(),
        notes=(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    graph = export(bytes(booster.save_raw("json")), "binary", len(NUMBERS), list(TEXTS.values()))
    (folder / MODEL).write_bytes(graph)
    (folder / FEATURES).write_text(features.to_json(), encoding="utf-8")


def question() -> bytes:
    """Return the body of a request for one row."""
    row = {name: 0.25 * number for number, name in enumerate(NUMBERS)}
    return json.dumps({"instances": [row | {"origin": "Oslo", "plan": "pro"}]}).encode()
