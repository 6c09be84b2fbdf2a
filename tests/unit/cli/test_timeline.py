"""A run's steps as they are read from Step Functions' history."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill_cli.timeline import PIPELINE_STAGES, STAGES, Step, workflow_steps

MACHINE = json.loads((Path(__file__).parents[3] / "statemachines" / "retrain.asl.json").read_text())


def at(second):
    return datetime.fromtimestamp(second, UTC)


def entered(name, second, kind="Task"):
    return {
        "type": f"{kind}StateEntered",
        "timestamp": at(second),
        "stateEnteredEventDetails": {"name": name},
    }


def event(kind, second, **details):
    return {"type": kind, "timestamp": at(second), **details}


def failed(second, cause, error="X"):
    return event("TaskFailed", second, taskFailedEventDetails={"error": error, "cause": cause})


def test_a_step_ends_where_it_was_left():
    steps = workflow_steps(
        [entered("OpenRun", 10), event("TaskSucceeded", 11), event("TaskStateExited", 12.5)]
    )

    assert steps == [Step("OpenRun", "workflow", "succeeded", 10, 12.5)]
    assert steps[0].seconds == 2.5


def test_what_has_not_ended_is_running():
    (step,) = workflow_steps([entered("Prepare", 10), event("TaskScheduled", 11)])

    assert (step.status, step.finished, step.seconds) == ("running", None, None)


@pytest.mark.parametrize("exit_is_recorded", [True, False])
def test_a_caught_step_has_failed_with_the_jobs_own_words(exit_is_recorded):
    cause = json.dumps({"ExitMessage": "no rows", "ProcessingJobArn": "arn:job"})
    events = [entered("Prepare", 10), event("TaskScheduled", 11), failed(12, cause)]
    if exit_is_recorded:
        events.append(event("TaskStateExited", 12))
    events.append(entered("CloseFailedRun", 12))

    prepare, close = workflow_steps(events)

    assert (prepare.status, prepare.reason, prepare.job) == ("failed", "no rows", "arn:job")
    assert prepare.finished == 12
    assert close.status == "running"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (json.dumps({"errorMessage": "no dataset"}), "no dataset"),
        (json.dumps({"FailureReason": "no disk"}), "no disk"),
        (json.dumps({}), "X"),
        ("plain words", "plain words"),
        ("", "X"),
        ("[1]", "[1]"),
    ],
)
def test_every_kind_of_cause_says_something(cause, said):
    (step,) = workflow_steps([entered("OpenRun", 1), failed(2, cause)])

    assert step.reason == said


def test_a_step_that_was_tried_again_and_succeeded_has_succeeded():
    (step,) = workflow_steps(
        [
            entered("OpenRun", 1),
            failed(2, "throttled"),
            event("TaskScheduled", 3),
            event("TaskSucceeded", 4),
            event("TaskStateExited", 5),
        ]
    )

    assert (step.status, step.reason) == ("succeeded", None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ExecutionAborted", "stopped"),
        ("ExecutionTimedOut", "failed"),
        ("ExecutionFailed", "failed"),
    ],
)
def test_the_end_of_the_execution_ends_its_step(kind, status):
    (step,) = workflow_steps([entered("Prepare", 1), event(kind, 9)])

    assert (step.status, step.finished) == (status, 9)


def test_a_timed_out_task_has_failed():
    details = {"error": "States.Timeout"}
    (step,) = workflow_steps(
        [entered("Prepare", 1), event("TaskTimedOut", 9, taskTimedOutEventDetails=details)]
    )

    assert (step.status, step.reason) == ("failed", "States.Timeout")


def test_choices_and_ends_take_no_time_and_are_left_out():
    steps = workflow_steps(
        [entered("IsApprovedByItself", 1, "Choice"), entered("RunClosed", 2, "Succeed")]
    )

    assert steps == []


def test_every_task_of_the_machine_has_words():
    tasks = {name for name, state in MACHINE["States"].items() if state["Type"] == "Task"}

    assert STAGES.keys() == tasks


def test_every_step_of_the_pipeline_has_words():
    golden = json.loads((Path(__file__).parents[1] / "pipeline" / "flights-delay.json").read_text())
    names = set()
    for step in golden["Steps"]:
        names.add(step["Name"])
        for branch in ("IfSteps", "ElseSteps"):
            names |= {inner["Name"] for inner in step["Arguments"].get(branch, [])}

    assert PIPELINE_STAGES.keys() == names
