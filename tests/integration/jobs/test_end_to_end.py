"""Prepare, train, evaluate and serve as SageMaker starts them, on one folder and a moto lake."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

import tidemill_jobs
from tidemill_jobs.__main__ import REFUSED, run
from tidemill_jobs.container import Container

from .conftest import SPEC, departures, download, upload

PREPARED = "s3://lake/prepared/air/late/0123456789abcdef/run-1"


def stage_prepare(container, entries, spec=SPEC):
    dataset = {"version": 1, "project": "air", "model": "late", "hash": "0", "objects": entries}
    for name, document in (("dataset", dataset), ("spec", spec)):
        folder = container.processing_input(name)
        folder.mkdir(parents=True)
        (folder / f"{name}.json").write_text(json.dumps(document))


def processes(base, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tidemill_jobs", *arguments],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base), **environment},
    )


def ask(port, method, path, body=None, kind="application/json"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request(method, path, body, {"Content-Type": kind})
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def wait_until_it_pings(port, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if ask(port, "GET", "/ping")[0] == 200:
                return
        except ConnectionError:
            pass
        time.sleep(0.02)
    pytest.fail("the endpoint does not answer")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_wheel_turns_once(s3, tmp_path):
    container = Container(tmp_path / "ml", {"PREPARED_URI": PREPARED})
    entries = [
        upload(s3, "raw/air/late/a.csv", departures(1_200)),
        upload(s3, "raw/air/late/broken.csv", b"flight,left,wind,origin,late\nx,1\n"),
        upload(s3, "raw/air/late/b.csv", departures(300, seed=1)),
    ]
    stage_prepare(container, entries)

    assert run(container, ["prepare"]) == 0

    message = (container.base / "output" / "message").read_text()
    assert "1 of 3 files left out; broken.csv: line 2 has 2 cells" in message
    for channel in ("train", "validation", "features"):
        assert download(s3, f"{PREPARED}/{channel}.manifest", container.channel(channel))
    config = container.base / "input" / "config"
    config.mkdir(parents=True)
    hyperparameters = {"problem": "binary", "metric": "auc", "seed": "1", "eta": "0.3"}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    train = processes(container.base, "train")
    assert train.wait(120) == 0

    model = container.processing_input("model")
    model.mkdir(parents=True)
    with tarfile.open(model / "model.tar.gz", "w:gz") as archive:
        for path in container.model.iterdir():
            archive.add(path, path.name)
    download(s3, f"{PREPARED}/test.manifest", container.processing_input("test"))
    download(s3, f"{PREPARED}/smoke.manifest", container.processing_input("smoke"))
    download(s3, f"{PREPARED}/baseline.manifest", container.processing_input("baseline"))
    gate = ["--metric", "auc", "--direction", "maximize", "--minimum", "0.7"]
    evaluate = processes(container.base, "evaluate", *gate)
    assert evaluate.wait(120) == 0

    output = container.processing_output("evaluation")
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert evaluation["gate"]["passed"] is True
    assert evaluation["metric"]["value"] > 0.8
    smoke = json.loads((output / "smoke.json").read_text())
    statistics = container.processing_output("baseline") / "statistics.json"
    named = [entry["name"] for entry in json.loads(statistics.read_text())["features"]]
    assert named == ["left", "wind", "origin", "prediction"]

    port = free_port()
    alone = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    serve = processes(container.base, "serve", SAGEMAKER_BIND_TO_PORT=str(port), **alone)
    try:
        wait_until_it_pings(port, serve)
        status, body = ask(port, "POST", "/invocations", json.dumps(smoke["rows"]))
        assert status == 200
        for answered, expected in zip(json.loads(body), smoke["predictions"], strict=True):
            assert answered["score"] == pytest.approx(expected["score"], abs=1e-5)
            assert answered["label"] == expected["label"]
        cells = ["" if cell is None else str(cell) for cell in smoke["rows"][0].values()]
        status, body = ask(port, "POST", "/invocations", ",".join(cells), "text/csv")
        assert float(body) == pytest.approx(smoke["predictions"][0]["score"], abs=1e-5)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(20) == 0
    finally:
        serve.kill()
        serve.wait(20)


def test_a_dataset_of_one_class_ends_with_3_and_publishes_nothing(s3, tmp_path):
    container = Container(tmp_path / "ml", {"PREPARED_URI": PREPARED})
    body = departures(300).replace(b",yes", b",no")
    stage_prepare(container, [upload(s3, "raw/a.csv", body)])

    assert run(container, ["prepare"]) == REFUSED

    assert (container.base / "output" / "message").read_text() == (
        "Refused: the target 'late' is 'no' in every row, so there is nothing to tell apart; "
        "deliver rows with other outcomes."
    )
    assert s3.list_objects_v2(Bucket="lake", Prefix="prepared/").get("KeyCount", 0) == 0


def test_a_gone_version_fails_the_job_instead_of_training_on_less(s3, tmp_path):
    container = Container(tmp_path / "ml", {"PREPARED_URI": PREPARED})
    entry = upload(s3, "raw/a.csv", departures(300))
    stage_prepare(container, [entry, {**entry, "version_id": "gone"}])

    assert run(container, ["prepare"]) == 1
    assert (
        "restore this one, or start a new run"
        in (container.base / "output" / "message").read_text()
    )
    assert list(container.work.iterdir()) == []


def test_an_endpoint_without_a_model_ends_with_a_sentence(tmp_path):
    several = {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
    serve = processes(tmp_path, "serve", SAGEMAKER_BIND_TO_PORT=str(free_port()), **several)
    assert serve.wait(30) == 1
    assert "is not complete" in (tmp_path / "output" / "failure").read_text()


def test_serving_loads_neither_the_trainer_nor_a_data_frame_library():
    heavy = {"polars", "xgboost", "boto3", "onnx", "scipy"}
    for command, unwanted in (
        ("serve", heavy | {"numpy", "onnxruntime"}),  # the parent of the workers
        ("serving.life", heavy),
        ("evaluate", heavy - {"polars"}),
    ):
        code = f"import sys, tidemill_jobs.{command}; print(*{unwanted} & set(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        assert loaded.stdout.split() == []


def test_only_the_lake_knows_aws_and_nothing_imports_the_control_plane():
    package = Path(tidemill_jobs.__file__).parent
    imports = re.compile(r"^\s*(?:import|from) (boto\w*|tidemill)\b", re.MULTILINE)
    users = {path.name for path in package.rglob("*.py") if imports.search(path.read_text())}
    assert users == {"lake.py"}
