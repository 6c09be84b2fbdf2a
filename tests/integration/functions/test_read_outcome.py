import json

import pytest

from tidemill.adapters.entries import upload_entry
from tidemill.adapters.runs import Ended
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.errors import PipelineFailedError

from ...stack import ARTIFACTS, LAKE, sagemaker
from ..cloud import client
from .scenes import MODEL, NAME, REF, begin_run

EVALUATION = {
    "metric": {"name": "auc", "value": 0.83, "trivial": 0.5, "minimum": 0.6},
    "gate": {"passed": True, "reason": "AUC 0.83, above 0.60"},
}


def put(bucket, key, document):
    client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())


def scene(cloud, *, end="Register", evaluation=EVALUATION, summary=None):
    """Set up a run whose pipeline has ended; return the function's event."""
    run = begin_run(cloud)
    pipeline = cloud.sagemaker.add_execution(NAME, "Succeeded")
    job = "pipelines-p4jn9xou8a8s-Evaluate-x1"
    output = f"s3://{ARTIFACTS}/pipelines/{run}/evaluation"
    outputs = [{"OutputName": "evaluation", "S3Output": {"S3Uri": output}}]
    cloud.sagemaker.jobs[job] = {"ProcessingOutputConfig": {"Outputs": outputs}}
    arn = sagemaker("processing-job", job)
    steps = [
        {"StepName": "Train", "StepStatus": "Succeeded"},
        {"StepName": "Evaluate", "StepStatus": "Succeeded",
         "Metadata": {"ProcessingJob": {"Arn": arn}}},
    ]  # fmt: skip
    if end == "Register":
        package = cloud.sagemaker.add_version(NAME, 3)
        registered = {"RegisterModel": {"Arn": package}}
        steps.append({"StepName": "Register", "StepStatus": "Succeeded", "Metadata": registered})
    elif end == "Refuse":
        steps.append({"StepName": "Refuse", "StepStatus": "Failed"})
    else:
        steps[0] |= {"StepStatus": "Failed", "FailureReason": end}
        del steps[1]
    cloud.sagemaker.steps[pipeline] = steps
    if evaluation:
        put(ARTIFACTS, f"pipelines/{run}/evaluation/evaluation.json", evaluation)
    prepared = f"prepared/{REF}/0123456789abcdef/{run}"
    if summary:
        put(LAKE, f"{prepared}/summary.json", summary)
    return {**MODEL, "run": run, "pipeline": pipeline, "prepared": f"s3://{LAKE}/{prepared}"}


def read(cloud, **how):
    event = scene(cloud, **how)
    return event, cloud.invoke("read_outcome", event)


def test_a_registered_version_is_recorded_and_told(cloud):
    event, outcome = read(cloud)
    assert outcome["status"] == "registered"
    assert outcome["reason"] == "version 3 registered: AUC 0.83, above 0.60"
    assert (outcome["version"], outcome["gate"]) == (3, "AUC 0.83, above 0.60")
    (entry,) = cloud.entries(REF, "version")
    assert entry["facts"]["metric"]["value"] == 0.83
    record = cloud.stores.runs.get(REF, event["run"])
    assert (record["version"], record["metric"]["name"]) == (3, "auc")
    ((kind, detail),) = cloud.events()
    assert (kind, detail["number"]) == ("Version Registered", 3)


def test_a_gate_that_refuses_is_an_outcome(cloud):
    refused = {**EVALUATION, "gate": {"passed": False, "reason": "AUC 0.55 is below 0.60"}}
    _, outcome = read(cloud, end="Refuse", evaluation=refused)
    assert (outcome["status"], outcome["reason"]) == ("refused", "AUC 0.55 is below 0.60")
    assert cloud.events() == []
    assert cloud.entries(REF, "version") == []


@pytest.mark.parametrize(
    ("reason", "said"),
    [("out of memory", "step Train: out of memory"), ("", "no reason was given")],
)
def test_a_step_that_failed_is_named(cloud, reason, said):
    with pytest.raises(PipelineFailedError, match=said):
        read(cloud, end=reason)


def test_a_pipeline_that_did_nothing_is_a_failure(cloud):
    event = scene(cloud)
    cloud.sagemaker.steps = {}
    with pytest.raises(PipelineFailedError, match="none registered"):
        cloud.invoke("read_outcome", event)


@pytest.mark.parametrize("end", ["Register", "Refuse"])
def test_an_evaluation_that_is_missing_is_named(cloud, end):
    with pytest.raises(PipelineFailedError, match=r"evaluation\.json"):
        read(cloud, end=end, evaluation=None)


def left_out(key="b.csv"):
    file = {"uri": f"s3://{LAKE}/raw/{REF}/{key}", "version_id": "v1", "rows": 0}
    return {
        "files": [
            {**file, "uri": f"s3://{LAKE}/raw/{REF}/a.csv", "verdict": "used"},
            {**file, "verdict": "left_out", "reason": "row 7 has 3 fields, the header 4"},
        ]
    }


def accept(cloud, key):
    item = ObjectVersion(LAKE, f"raw/{REF}/{key}", "v1", "e", 10, 5.0, "0A")
    cloud.stores.ledger.append(upload_entry(REF, item, Verdict("accept", "new"), cloud.now))


def test_a_file_that_prepare_left_out_is_quarantined(cloud):
    accept(cloud, "a.csv")
    accept(cloud, "b.csv")
    read(cloud, summary=left_out())
    assert [item.key for item in cloud.stores.ledger.accepted(REF)] == [f"raw/{REF}/a.csv"]
    (entry,) = [e for e in cloud.entries(REF, "upload") if e["verdict"] == "quarantine"]
    assert entry["reason"] == "row 7 has 3 fields, the header 4"
    assert entry["facts"]["etag"] == "e"


def test_a_left_out_file_that_the_ledger_does_not_know_is_recorded_too(cloud):
    read(cloud, summary=left_out())
    assert [e["verdict"] for e in cloud.entries(REF, "upload")] == ["quarantine"]


def test_files_are_judged_even_when_the_training_then_failed(cloud):
    accept(cloud, "b.csv")
    with pytest.raises(PipelineFailedError):
        read(cloud, end="boom", summary=left_out())
    assert cloud.stores.ledger.accepted(REF) == []


def test_the_rows_that_prepare_read_are_noted_for_the_policy(cloud):
    event, _ = read(cloud, summary={"rows": {"read": 80_000, "train": 56_000}, "files": []})
    assert cloud.stores.runs.get(REF, event["run"])["dataset_rows"] == 80_000
    cloud.stores.runs.finish(REF, event["run"], Ended("succeeded", "good"), cloud.now)
    assert cloud.stores.standings.read(REF).dataset_rows == 80_000


def test_it_may_die_anywhere(survives):
    survives("read_outcome", lambda cloud: scene(cloud, summary=left_out()))
