"""Programs as users of the SageMaker SDK write them run against the local cloud unchanged."""

import io
import json
import tarfile

import pytest

from .conftest import BUCKET

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.mark.program("core_resources", name="core")
def test_the_resource_classes_of_sagemaker_core(told, cloud):
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
    assert told["components"] == {"answer": "7.0", "copies": 2, "listed": ["core-part"]}
    assert told["transform"] == {"status": "Completed", "listed": ["core-transform"]}
    scored = cloud.client("s3").get_object(Bucket=BUCKET, Key="scored/a.csv.out")["Body"].read()
    assert scored.split() == [b"3.0", b"7.0"]
    assert told["registry"]["versions"] == [1, 2]
    assert told["registry"]["approval"] == "Approved"
    assert told["registry"]["listed"] == 2


@pytest.mark.program("process", name="process")
def test_script_and_framework_processors_run_scripts(told):
    assert told == {
        "script": {"status": "Completed", "evaluation": {"rows": {"value": 6}}},
        "framework": {"status": "Completed", "evaluation": {"rows": {"value": 10}}},
    }


@pytest.mark.program("train_and_tune", name="train")
def test_a_script_is_trained_on_spot_capacity_and_tuned(told, cloud):
    assert told["training"]["status"] == "Completed"
    assert told["training"]["hyperparameters"] == {"slope": "2", "label": "a b"}
    assert told["training"]["spot"]
    assert told["training"]["billed"]
    key = told["training"]["model"].removeprefix(f"s3://{BUCKET}/")
    archive = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        model = json.load(tar.extractfile("model.json"))
    assert model == {"slope": 2.0, "label": "a b", "rows": 2}
    tuning = told["tuning"]
    assert (tuning["status"], tuning["completed"], tuning["named"]) == ("Completed", 2, True)
    assert tuning["best"] == pytest.approx(2 * tuning["slope"])


@pytest.mark.program("deploy_and_transform", name="serve")
def test_a_model_is_put_in_service_and_transforms_what_lies_in_s3(told):
    assert told["hosting"] == {"model": "serve", "status": "InService", "answer": "7.0"}
    transformed = told["transform"]
    assert (transformed["status"], transformed["again"]) == ("Completed", "serve")
    assert transformed["scored"].split() == ["1,2,2.0", "3,4,4.0"]


@pytest.mark.program("pipeline", name="wheel")
def test_a_pipeline_is_upserted_started_and_awaited(told):
    assert told["same"]
    assert told["description"] == "another"
    steps = dict.fromkeys(("Count", "Train", "Gate"), "Succeeded")
    assert told["good"] == {
        "status": "Succeeded",
        "steps": {**steps, "Register": "Succeeded"},
        "reasons": [],
        "cached": [],
    }
    assert told["bad"] == {
        "status": "Failed",
        "steps": {**steps, "TooFew": "Failed"},
        "reasons": ["fewer rows than 3"],
        "cached": ["Count", "Train"],
    }
    assert told["versions"] == ["PendingManualApproval"]
    assert told["deleted"]


@pytest.mark.program("pipeline_steps", name="steps")
def test_a_pipeline_asks_tunes_transforms_and_calls_a_function(told):
    rows = f"s3://{BUCKET}/rows/"
    assert told["asked"] == {"rows": rows}
    names = ("Ask", "Tune", "Create", "Transform", "Tell")
    assert told["first"] == dict.fromkeys(names, "Succeeded")
    assert told["parameters"] == [{"Name": "Rows", "Value": rows}]
    assert told["label"] == "a b"
    text = f"{told['best']} scored s3://{BUCKET}/steps/scored"
    assert told["said"] == [{"Name": "text", "Value": text}]
    reused = {"Tune": True, "Create": True}
    assert told["selected"] == reused | {"Transform": False, "Tell": False}
    assert told["asked again"] == ["Executing", "Stopping"]
    assert told["executions"] == ["Succeeded", "Succeeded", "Stopped"]


@pytest.mark.program("experiments_and_features", name="tried")
def test_a_run_is_logged_and_records_come_out_of_the_feature_store(told):
    assert told["parameters"] == {"eta": 0.1}
    assert told["runs"] == ["first"]
    assert told["table"] == {
        "eta": [0.1],
        "auc - Max": [0.9],
        "auc - Last": [0.9],
        "auc - Count": [2],
    }
    assert told["record"] == {"flight": "SK1", "at": "1.0", "delay": "2.5"}
