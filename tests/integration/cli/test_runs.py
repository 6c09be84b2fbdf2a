"""`start` and `runs`: the list, and one run step by step."""

import json
from datetime import UTC, datetime

import boto3
import pytest

from tidemill_cli.timeline import EXCERPT_LINES

from .conftest import NAME, REF, deployed

JOB = f"{NAME}--prepare--x"


def at(cloud, ago):
    return datetime.fromtimestamp(cloud.now - ago, UTC)


def entered(name, when):
    return {
        "type": "TaskStateEntered",
        "timestamp": when,
        "stateEnteredEventDetails": {"name": name},
    }


def event(kind, when, **details):
    return {"type": kind, "timestamp": when, **details}


def put_json(uri, document):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(document))


def put_log(group, stream, lines):
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": now + n, "message": line} for n, line in enumerate(lines)],
    )


def test_start_stores_a_trigger_with_its_reason(run, cloud, model):
    answer = run("start", REF, "--why", "new holiday calendar")

    assert answer.exit_code == 0, answer.output
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert (trigger.kind, trigger.why) == ("manual", "new holiday calendar")
    assert trigger.id in answer.stdout


def test_start_needs_a_reason(run, cloud, model):
    assert run("start", REF).exit_code == 2
    answer = run("start", REF, "--why", " ")
    assert answer.exit_code == 2
    assert "--why is empty" in answer.stderr
    assert cloud.stores.triggers.pending(REF) == []


def test_start_of_no_model_is_malformed(run, cloud):
    answer = run("start", REF, "--why", "x")

    assert answer.exit_code == 2
    assert answer.stderr.startswith("tidemill: there is no model flights/delay")


def test_start_as_json(document, documented, model):
    assert tuple(document("start", REF, "--why", "x")) == documented("start")


def test_without_a_run_the_next_step_is_said(run, model):
    answer = run("runs", REF)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "tidemill start" in answer.stderr


def test_runs_are_listed_newest_first(run, document, documented, life):
    first = life.begin("t1", ago=300)
    life.finish(first, version=1, ago=200)
    second = life.begin("t2", ago=100)
    life.finish(second, "refused", "auc 0.4 is below 0.6", ago=50)

    rows = document("runs", REF)

    assert [row["run"] for row in rows] == [second, first]
    assert tuple(rows[0]) == documented("runs")
    assert (rows[0]["status"], rows[0]["version"]) == ("refused", None)
    assert (rows[1]["status"], rows[1]["version"], rows[1]["seconds"]) == ("succeeded", 1, 100.0)
    assert rows == document("runs")
    assert document("runs", "--last", "1") == rows[:1]
    assert "auc 0.4 is below 0.6" in run("runs").stdout


def test_runs_of_no_model_is_malformed(run, cloud):
    assert run("runs", "flights/gone").exit_code == 2
    assert run("runs", "gone").exit_code == 2


def test_a_run_that_is_not_there_is_malformed(run, model):
    answer = run("runs", "run-20261120t100000-00000000")

    assert answer.exit_code == 2
    assert "`tidemill runs` lists the newest" in answer.stderr


@pytest.fixture
def failed_run(cloud, life):
    """A run whose Prepare job failed, with its log."""
    run = life.begin(ago=100)
    cause = {
        "ExitMessage": "a.csv has no column late",
        "ProcessingJobArn": deployed.sagemaker("processing-job", JOB),
    }
    cloud.workflows.histories[run] = [
        event("ExecutionStarted", at(cloud, 100)),
        entered("OpenRun", at(cloud, 99)),
        event("TaskSucceeded", at(cloud, 98)),
        event("TaskStateExited", at(cloud, 98)),
        entered("Prepare", at(cloud, 98)),
        event("TaskScheduled", at(cloud, 97)),
        event(
            "TaskFailed",
            at(cloud, 60),
            taskFailedEventDetails={"error": "SageMaker", "cause": json.dumps(cause)},
        ),
        event("TaskStateExited", at(cloud, 60)),
        entered("CloseFailedRun", at(cloud, 60)),
        event("TaskStateExited", at(cloud, 59)),
    ]
    put_log(
        "/aws/sagemaker/ProcessingJobs",
        f"{JOB}/algo-1",
        [f"line {n}" for n in range(EXCERPT_LINES + 5)],
    )
    life.finish(run, "failed", "Prepare: a.csv has no column late")
    return run


def test_a_failed_run_shows_its_steps_and_the_jobs_last_lines(run, failed_run):
    answer = run("runs", failed_run)

    assert answer.exit_code == 0, answer.output
    assert "Prepare         failed" in answer.stdout
    assert "38 s" in answer.stdout
    assert f"last lines of Prepare (/aws/sagemaker/ProcessingJobs, {JOB})" in answer.stdout
    assert f"line {EXCERPT_LINES + 4}" in answer.stdout
    assert "line 4\n" not in answer.stdout


def test_a_run_as_json(document, documented, failed_run):
    found = document("runs", failed_run)

    assert set(found) == {
        *documented("runs"),
        *("triggers", "dataset", "spec", "files", "bytes", "metric"),
        *("execution", "pipeline", "steps", "inputs", "logs"),
    }
    assert tuple(found["steps"][0]) == documented("runs", "steps")
    assert tuple(found["logs"][0]) == documented("runs", "logs")
    assert [step["status"] for step in found["steps"]] == ["succeeded", "failed", "succeeded"]
    assert found["steps"][1]["seconds"] == 38.0
    assert found["logs"][0]["lines"][-1] == f"line {EXCERPT_LINES + 4}"


def test_a_log_that_is_gone_is_left_out(document, failed_run):
    boto3.client("logs").delete_log_group(logGroupName="/aws/sagemaker/ProcessingJobs")

    assert document("runs", failed_run)["logs"] == []


def test_an_execution_that_is_forgotten_leaves_the_record(document, cloud, failed_run):
    cloud.workflows.executions.clear()

    found = document("runs", failed_run)

    assert found["steps"] == []
    assert found["reason"] == "Prepare: a.csv has no column late"


@pytest.fixture
def refused_run(cloud, life):
    """A run that the gate refused, with its dataset, evaluation and pipeline."""
    run = life.begin(ago=100)
    pipeline = cloud.sagemaker.add_execution(NAME, "Failed")
    prepared = f"s3://{deployed.LAKE}/prepared/flights/delay/d1/{run}"
    cloud.stores.runs.note(
        REF, run, dataset="d1", files=2, bytes=1200, prepared=prepared, pipeline=pipeline, spec="s1"
    )
    uri = f"s3://{deployed.LAKE}/raw/flights/delay"
    put_json(
        f"s3://{deployed.ARTIFACTS}/datasets/flights/delay/d1/dataset.json",
        {
            "version": 1,
            "objects": [
                {"uri": f"{uri}/a.csv", "version_id": "v1", "size": 1000, "uploaded": 1.0},
                {"uri": f"{uri}/b.csv", "version_id": "v2", "size": 200, "uploaded": 2.0},
            ],
        },
    )
    put_json(
        f"{prepared}/summary.json",
        {
            "files": [
                {"uri": f"{uri}/a.csv", "version_id": "v1", "rows": 9, "verdict": "used",
                 "reason": ""},
                {"uri": f"{uri}/b.csv", "version_id": "v2", "rows": 0, "verdict": "left_out",
                 "reason": "row 3 has 4 values"},
            ]
        },
    )  # fmt: skip
    evaluation = f"s3://{deployed.ARTIFACTS}/pipelines/flights/delay/{run}/evaluation"
    put_json(
        f"{evaluation}/evaluation.json",
        {"metric": {"name": "auc", "value": 0.4, "trivial": 0.5, "minimum": 0.6}},
    )
    cloud.sagemaker.jobs["evaluate-1"] = {
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "evaluation", "S3Output": {"S3Uri": evaluation}}]
        }
    }
    arn = deployed.sagemaker("processing-job", "evaluate-1")
    times = {"StartTime": at(cloud, 90), "EndTime": at(cloud, 80)}
    cloud.sagemaker.steps[pipeline] = [
        {"StepName": "Train", "StepStatus": "Succeeded", **times,
         "Metadata": {"TrainingJob": {"Arn": deployed.sagemaker("training-job", "train-1")}}},
        {"StepName": "Evaluate", "StepStatus": "Succeeded", **times,
         "Metadata": {"ProcessingJob": {"Arn": arn}}},
        {"StepName": "Gate", "StepStatus": "Succeeded", **times, "Metadata": {}},
        {"StepName": "Refuse", "StepStatus": "Failed", "FailureReason": "too low", **times},
    ]  # fmt: skip
    cloud.workflows.histories[run] = [
        entered("AwaitPipeline", at(cloud, 95)),
        event("TaskStateExited", at(cloud, 79)),
        entered("ReadOutcome", at(cloud, 79)),
        event("TaskStateExited", at(cloud, 78)),
    ]
    life.finish(run, "refused", "auc 0.4 is below 0.6")
    return run


def test_a_refused_run_shows_its_metric_and_what_it_read(run, document, documented, refused_run):
    found = document("runs", refused_run)

    assert found["metric"]["value"] == 0.4
    assert [step["step"] for step in found["steps"]] == [
        "Train",
        "Evaluate",
        "Gate",
        "Refuse",
        "ReadOutcome",
    ]
    assert tuple(found["inputs"][0]) == documented("runs", "inputs")
    assert [item["verdict"] for item in found["inputs"]] == ["used", "left_out"]
    printed = run("runs", refused_run).stdout
    assert "auc 0.4 (trivial 0.5, minimum 0.6)" in printed
    assert "d1, 2 files, 1.2 kB" in printed
    assert "row 3 has 4 values" in printed


def test_a_pipeline_whose_documents_are_gone_is_still_shown(document, cloud, refused_run):
    cloud.sagemaker.jobs.clear()
    s3 = boto3.client("s3")
    for bucket in (deployed.LAKE, deployed.ARTIFACTS):
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])

    found = document("runs", refused_run)

    assert found["metric"] is None
    assert found["inputs"] == []
    assert len(found["steps"]) == 5


def test_an_unexpected_answer_of_aws_is_a_sentence(run, cloud, failed_run):
    cloud.refuse("stepfunctions", "GetExecutionHistory", "InternalError", message="try later")

    answer = run("runs", failed_run)

    assert answer.exit_code == 1
    assert "GetExecutionHistory was refused: try later" in answer.stderr
    assert "Traceback" not in answer.output


def test_a_right_that_is_missing_is_exit_status_3(run, cloud, failed_run):
    cloud.refuse("stepfunctions", "GetExecutionHistory", "AccessDeniedException", message="no")

    assert run("runs", failed_run).exit_code == 3
