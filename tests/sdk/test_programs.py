"""Programs as users of the SageMaker SDK write them run against the local cloud unchanged."""

import io
import json
import tarfile
import textwrap

import pytest

from .conftest import BUCKET

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
WORK = """
import os, pathlib
model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
if model.is_dir():
    (model / "weights").write_text("7")
"""
# Answers the sum of a row.
SERVE = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        row = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(str(sum(float(cell) for cell in row.split(","))).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def serving(run_program):
    return run_program.image("serving", textwrap.dedent(SERVE))


@pytest.fixture(scope="module")
def lake(cloud):
    """Two rows to work on, and a model's archive, whose address it is."""
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="rows/a.csv", Body=b"1,2\n3,4\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("weights"), io.BytesIO())
    s3.put_object(Bucket=BUCKET, Key="served/model.tar.gz", Body=packed.getvalue())
    return f"s3://{BUCKET}/served/model.tar.gz"


def test_the_resource_classes_of_sagemaker_core(run_program, cloud, serving, lake):
    working = run_program.image("working", WORK)

    told = run_program("core_resources", name="core", model=lake, serving=serving, working=working)

    assert told["processing"] == {
        "status": ["Completed"] * 3,
        "listed": ["core-process-0", "core-process-1", "core-process-2"],
        "missing": ["ValidationException", "Could not find requested job with name: none"],
    }
    assert told["training"] == {
        "status": "Completed",
        "model": f"s3://{BUCKET}/models/core-train/output/model.tar.gz",
        "tags": [["team", "ops"]],
        "again": True,
        "missing": ["ValidationException", "Requested resource not found."],
    }
    arn = f'"{ARN}:endpoint/core".'
    assert told["hosting"] == {
        "answer": "7.0",
        "variant": "A",
        "config": "core-2",
        "listed": ["core"],
        "taken": ["ValidationException", f"Cannot create already existing endpoint {arn}"],
        "gone": ["ValidationException", f"Could not find endpoint {arn}"],
        "left": [],
    }
    assert told["transform"] == {"status": "Completed", "listed": ["core-transform"]}
    scored = cloud.client("s3").get_object(Bucket=BUCKET, Key="scored/a.csv.out")["Body"].read()
    assert scored.split() == [b"3.0", b"7.0"]
    assert told["registry"]["versions"] == [1, 2]
    assert told["registry"]["approval"] == "Approved"
    assert told["registry"]["listed"] == 2


def test_script_and_framework_processors_run_scripts(run_program, lake):
    told = run_program("process", name="process")

    assert told == {
        "script": {"status": "Completed", "evaluation": {"rows": {"value": 6}}},
        "framework": {"status": "Completed", "evaluation": {"rows": {"value": 10}}},
    }


def test_a_script_is_trained_and_tuned_and_a_model_put_in_service(
    run_program, cloud, serving, lake
):
    told = run_program("train_and_deploy", name="train", model=lake, serving=serving)

    assert told["training"]["status"] == "Completed"
    assert told["training"]["hyperparameters"] == {"slope": "2", "label": "a b"}
    key = told["training"]["model"].removeprefix(f"s3://{BUCKET}/")
    archive = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        model = json.load(tar.extractfile("model.json"))
    assert model == {"slope": 2.0, "label": "a b", "rows": 2}
    tuning = told["tuning"]
    assert (tuning["status"], tuning["completed"], tuning["named"]) == ("Completed", 2, True)
    assert tuning["best"] == pytest.approx(2 * tuning["slope"])
    assert told["hosting"] == {"model": "train", "status": "InService", "answer": "7.0"}


def test_a_pipeline_is_upserted_started_and_awaited(run_program, serving, lake):
    told = run_program("pipeline", name="wheel", serving=serving)

    assert told["same"]
    assert told["description"] == "another"
    steps = dict.fromkeys(("Count", "Train", "Gate"), "Succeeded")
    assert told["good"] == {
        "status": "Succeeded",
        "steps": {**steps, "Register": "Succeeded"},
        "reasons": [],
    }
    assert told["bad"] == {
        "status": "Failed",
        "steps": {**steps, "TooFew": "Failed"},
        "reasons": ["fewer rows than 3"],
    }
    assert told["versions"] == ["PendingManualApproval"]
    assert told["deleted"]
