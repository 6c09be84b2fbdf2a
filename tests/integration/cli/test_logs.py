"""`logs`: the right lines under the right step, in order, and bounded."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest

from tidemill_cli import logs as verb

from .conftest import NAME, REF, deployed, physical

PREPARE = f"{NAME}--prepare--x"
GROUP = physical("Logs", "AWS::Logs::LogGroup")
STREAM = "2026/11/21/tidemill-{}-1A2B3C[$LATEST]0"
REQUEST = "0d2c5d0e-8f00-4c55-b1d1-6c2f1a7d9a11"


@pytest.fixture
def write(cloud):
    """Write lines to a stream, the last of them so many seconds before the test's now."""
    logs = boto3.client("logs")
    made = set()

    def put(group, stream, *lines, ago=0.0):
        for name, make in (
            (group, lambda: logs.create_log_group(logGroupName=group)),
            ((group, stream), lambda: logs.create_log_stream(
                logGroupName=group, logStreamName=stream)),
        ):  # fmt: skip
            if name not in made:
                make()
                made.add(name)
        at = int((cloud.now - ago) * 1000) - len(lines)
        events = [{"timestamp": at + n, "message": line} for n, line in enumerate(lines)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return put


def moment(cloud, ago):
    return datetime.fromtimestamp(cloud.now - ago, UTC)


def entered(cloud, name, ago):
    return {
        "type": "TaskStateEntered",
        "timestamp": moment(cloud, ago),
        "stateEnteredEventDetails": {"name": name},
    }


@pytest.fixture
def failed(cloud, life, write):
    """A run that trained, and whose pipeline's outcome could not be read."""
    run = life.begin(ago=100)
    pipeline = cloud.sagemaker.add_execution(NAME, "Failed")
    cloud.stores.runs.note(REF, run, pipeline=pipeline)
    cloud.sagemaker.steps[pipeline] = [
        {
            "StepName": "Train",
            "StepStatus": "Succeeded",
            "StartTime": moment(cloud, 60),
            "EndTime": moment(cloud, 50),
            "Metadata": {"TrainingJob": {"Arn": deployed.sagemaker("training-job", "train-1")}},
        }
    ]
    arn = deployed.sagemaker("processing-job", PREPARE)
    broken = {"errorMessage": "no metric", "errorType": "JobFailedError", "requestId": REQUEST}
    cloud.workflows.histories[run] = [
        entered(cloud, "OpenRun", 99),
        {"type": "TaskStateExited", "timestamp": moment(cloud, 98)},
        entered(cloud, "Prepare", 97),
        {
            "type": "TaskSubmitted",
            "timestamp": moment(cloud, 96),
            "taskSubmittedEventDetails": {"output": json.dumps({"ProcessingJobArn": arn})},
        },
        {"type": "TaskStateExited", "timestamp": moment(cloud, 70)},
        entered(cloud, "AwaitPipeline", 65),
        {"type": "TaskStateExited", "timestamp": moment(cloud, 45)},
        entered(cloud, "ReadOutcome", 45),
        {
            "type": "TaskFailed",
            "timestamp": moment(cloud, 44),
            "taskFailedEventDetails": {"error": "x", "cause": json.dumps(broken)},
        },
        {"type": "TaskStateExited", "timestamp": moment(cloud, 44)},
    ]
    write("/aws/sagemaker/ProcessingJobs", f"{PREPARE}/algo-1", "read a.csv", "wrote train/")
    write("/aws/sagemaker/TrainingJobs", "train-1/algo-1-1", *(f"[{n}] auc" for n in range(300)))
    write("/aws/sagemaker/TrainingJobs", "train-10/algo-1-1", "another job's")
    opened = {"level": "INFO", "message": "run_opened", "run": run, "dataset": "d1",
              "function_name": "tidemill-OpenRunFunction-1A2B3C"}  # fmt: skip
    write(GROUP, STREAM.format("OpenRunFunction"), json.dumps(opened), ago=98)
    write(GROUP, STREAM.format("OpenRunFunction"), json.dumps({"message": "of run-1"}), ago=98)
    started = {"level": "INFO", "message": "run_started", "run": run}
    write(GROUP, STREAM.format("DecideTriggerFunction"), json.dumps(started), ago=100)
    trace = {"level": "ERROR", **broken, "stackTrace": ["  File app.py, line 7\n"]}
    write(GROUP, STREAM.format("ReadOutcomeFunction"), json.dumps(trace), ago=44)
    life.finish(run, "failed", "ReadOutcome: no metric")
    return run


def test_lines_stand_under_their_steps_in_order(document, documented, failed):
    parts = document("logs", failed)

    assert tuple(parts[0]) == documented("logs")
    assert tuple(parts[0]["lines"][0]) == documented("logs", "lines")
    assert [part["step"] for part in parts] == [
        *("DecideTrigger", "OpenRun", "Prepare", "Train", "ReadOutcome"),
    ]
    assert [line["text"] for line in parts[2]["lines"]] == ["read a.csv", "wrote train/"]
    assert parts[2]["job"] == PREPARE
    assert [part["status"] for part in parts] == [
        *("function", "succeeded", "succeeded", "succeeded", "failed"),
    ]
    assert len(parts[1]["lines"]) == 1  # another run's lines are not this one's


def test_each_step_shows_its_last_lines_only(document, failed):
    (train,) = document("logs", failed, "--step", "train", "--tail", 3)

    assert [line["text"] for line in train["lines"]] == ["[297] auc", "[298] auc", "[299] auc"]


def test_a_function_that_failed_is_found_by_its_call(run, failed):
    printed = run("logs", REF, failed).stdout

    assert "ReadOutcome  failed\n  no metric\n" in printed
    assert "ERROR no metric\n      File app.py, line 7" in printed
    assert "INFO run_opened run=" in printed
    assert "dataset=d1" in printed


def test_events_without_an_id_are_each_shown_once(document, failed, stack, monkeypatch):
    """As the local cloud's FilterLogEvents answers."""
    found = document("logs", failed)
    logs = stack.clients.logs
    make = logs.get_paginator

    def without_ids(name):
        def pages(**request):
            for page in make(name).paginate(**request):
                for event in page.get("events", []):
                    event.pop("eventId", None)
                yield page

        return SimpleNamespace(paginate=pages)

    monkeypatch.setattr(logs, "get_paginator", without_ids)

    assert document("logs", failed) == found


@pytest.mark.parametrize("ends", ["TaskSucceeded", "TaskFailed"])
def test_what_a_function_prepared_is_the_step_prepare(document, cloud, life, write, ends):
    run = life.begin(ago=100)
    cause = {"errorMessage": "no room", "requestId": REQUEST}
    cloud.workflows.histories[run] = [
        entered(cloud, "PrepareSmall", 97),
        {
            "type": ends,
            "timestamp": moment(cloud, 90),
            f"t{ends[1:]}EventDetails": {
                "error": "OutOfRoomError", "cause": json.dumps(cause), "output": "{}"
            },
        },
        {"type": "TaskStateExited", "timestamp": moment(cloud, 90)},
    ]  # fmt: skip
    stream = "2026/11/21/[$LATEST]0"  # as the local cloud calls it
    name = {"function_name": "tidemill-PrepareDatasetFunction-1A2B3C"}
    write(GROUP, stream, f"START RequestId: {REQUEST} Version: $LATEST", ago=96)
    left_out = f"[WARNING]\t2026-11-21T10:00:00Z\t{REQUEST}\ta.csv is left out"
    write(GROUP, stream, left_out, left_out, "[WARNING]\tanother-call\tb.csv is left out", ago=92)
    if ends == "TaskSucceeded":
        done = {"message": "dataset_prepared", "run": run, "function_request_id": REQUEST, **name}
        write(GROUP, stream, json.dumps(done), ago=90)
    life.finish(run)

    (prepare,) = document("logs", run)

    assert prepare["step"] == "Prepare"
    texts = [line["text"] for line in prepare["lines"]]
    assert texts[:2] == [left_out, left_out]
    assert [json.loads(text)["message"] for text in texts[2:]] == (
        ["dataset_prepared"] if ends == "TaskSucceeded" else []
    )


def test_a_model_means_its_newest_run(document, life, failed):
    assert document("logs", REF) == document("logs", failed)


def test_a_step_that_the_run_does_not_have_is_malformed(run, failed):
    answer = run("logs", failed, "--step", "Trian")

    assert answer.exit_code == 2
    assert "no step Trian; its steps: DecideTrigger, OpenRun, Prepare, Train" in answer.stderr


def test_logs_that_have_expired_are_said(run, life):
    going = life.begin()

    answer = run("logs", going)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert f"nothing was logged of {going}" in answer.stderr
    assert "-f follows it" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((REF,), "has no run yet"),
        ((REF, "run-20261120t100000-00000000"), "has no run run-2026"),
        (("run-20261120t100000-00000000",), "there is no run"),
        ((REF, "--follow", "--json"), "leave out --follow"),
    ],
)
def test_what_cannot_be_shown_is_malformed(run, model, arguments, said):
    answer = run("logs", *arguments)

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_following_prints_each_line_once_until_the_run_ends(run, cloud, life, write, monkeypatch):
    going = life.begin()
    stream = STREAM.format("OpenRunFunction")
    steps = iter(
        (
            lambda: write(GROUP, stream, f"one {going}"),
            lambda: write(GROUP, stream, f"two {going}", f"two {going}"),
            lambda: (write(GROUP, stream, f"last {going}"), life.finish(going)),
        )
    )
    monkeypatch.setattr(verb.time, "sleep", lambda _: next(steps)())

    answer = run("logs", going, "--follow")

    assert answer.exit_code == 0, answer.output
    said = [line.split("  ")[-1].split()[0] for line in answer.stdout.splitlines()[1:]]
    assert said == ["one", "two", "two", "last"]
    assert f"{going} succeeded: auc 0.71 is good" in answer.stderr
