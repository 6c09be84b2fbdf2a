"""A service that is killed while pipelines run: the next one goes on, or says why it cannot."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tidemill_local.sagemaker.operations import call
from tidemill_local.sagemaker.pipelines import runner as pipeline_runner
from tidemill_local.sagemaker.pipelines.message_steps import Neighbours
from tidemill_local.sagemaker.pipelines.record import DEFINITION, LIVE, STEPS
from tidemill_local.sagemaker.pipelines.runner import (
    STEP_FAILURE,
    close_executions,
    recover_executions,
)
from tidemill_local.sagemaker.pipelines.steps import INTERRUPTED
from tidemill_local.sagemaker.store import Store

from .conftest import ACCOUNT, REGION, client_of, eventually
from .fake_aws import FUNCTIONS
from .pipeline_calls import PIPELINE_EVENT, STEP_EVENT, Pipelines

SLOW_AT_FIRST = """
    import pathlib, time
    time.sleep(0 if pathlib.Path("{}").exists() else 60)
"""


@pytest.fixture
def queue(aws):
    sqs = client_of("sqs", aws)
    yield sqs.create_queue(QueueName="recovery")["QueueUrl"]
    sqs.close()


@pytest.fixture
def calls():
    """The events that the function `recovery` has been invoked with."""
    found = []
    FUNCTIONS["recovery"] = lambda event: found.append(event) or {"n": 1}
    yield found
    del FUNCTIONS["recovery"]


ANSWER = {"Get": "Steps.Ask.OutputParameters['n']"}
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:recovery"


def test_job_that_died_with_the_service_fails_its_step_and_can_be_retried(make_cloud, bucket):
    cloud = make_cloud()
    pipelines = Pipelines(cloud, bucket)
    first = pipelines.processing("First", cloud.image("pass"))
    marker = cloud.root / "second-time"
    image = cloud.image(SLOW_AT_FIRST.format(marker))
    slow = pipelines.processing("Slow", image, DependsOn=["First"])
    arn = pipelines.start(pipelines.create(first, slow))
    pipelines.running(arn, "Slow")
    cloud.stop()

    later = Pipelines(make_cloud(), bucket)

    described = later.ended(arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    assert described["FailureReason"] == STEP_FAILURE
    steps = later.steps(arn)
    assert steps["First"]["StepStatus"] == "Succeeded"
    assert "the local cloud stopped while this job ran" in steps["Slow"]["FailureReason"]
    (event,) = later.events(PIPELINE_EVENT, arn)
    assert event["currentPipelineExecutionStatus"] == "Failed"
    (step_event,) = later.events(STEP_EVENT, arn)
    assert (step_event["stepName"], step_event["currentStepStatus"]) == ("Slow", "Failed")
    marker.touch()
    later.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert later.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    again = later.steps(arn)
    assert again["First"] == steps["First"]
    assert again["Slow"]["Metadata"] != steps["Slow"]["Metadata"]


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """Runs something, and returns the store as a kill after each write of these kinds leaves it."""

    def killed(kinds, run):
        snapshots = []

        def keeping(write):
            def kept(store, kind, *rest, **named):
                answer = write(store, kind, *rest, **named)
                if kind in kinds and not store._db.in_transaction:
                    place = tmp_path / f"killed-{len(snapshots)}.sqlite"
                    with closing(sqlite3.connect(place)) as copy:
                        store._db.backup(copy)
                    snapshots.append(place)
                return answer

            return kept

        with monkeypatch.context() as patched:
            patched.setattr(Store, "insert", keeping(Store.insert))
            patched.setattr(Store, "edit", keeping(Store.edit))
            run()
        return snapshots

    return killed


def recovered(context, place, arn):
    """Return what becomes of an execution after the kill, and the store as it is then."""
    parts = {Neighbours: context.part(Neighbours)}
    later = replace(context, store=Store(place), _parts=parts)
    recover_executions(later)
    body = ended(later, arn)
    close_executions(later)
    return body, later.store


def test_killed_between_any_two_writes_an_execution_comes_to_its_end(
    make_cloud, queue, calls, killed
):
    pipelines = Pipelines(make_cloud(), "")
    context = pipelines.cloud.service.context
    asked = {"Type": "Equals", "LeftValue": ANSWER, "RightValue": 3}
    tell = pipelines.function("Tell", FUNCTION, {"n": "Integer"})
    name = pipelines.create(
        pipelines.callback("Ask", queue, {"n": "Integer"}),
        pipelines.condition("Gate", asked, yes=[tell]),
    )
    arns = []

    def run():
        arns.append(pipelines.start(name))
        assert ended(context, arns[0])["PipelineExecutionStatus"] == "Succeeded"

    snapshots = killed({"PipelineExecution", "PipelineCallback"}, run)
    assert calls == [{}]
    ends = []
    for place in snapshots:
        calls.clear()
        body, store = recovered(context, place, arns[0])
        store.close()
        ends.append(body["PipelineExecutionStatus"])
        (told,) = [step for step in body[STEPS] if step["StepName"] == "Tell"]
        if ends[-1] == "Failed":  # the function may have been invoked: nobody does it twice
            assert told["FailureReason"] == INTERRUPTED
            assert calls == []
        else:
            assert told["StepStatus"] == "Succeeded"
            assert len(calls) <= 1
    assert len(ends) >= 12
    assert ends[0] == ends[-1] == "Succeeded"
    assert 1 <= ends.count("Failed") <= 3


def test_killed_between_any_two_writes_a_model_is_registered_once(make_cloud, killed):
    pipelines = Pipelines(make_cloud(), "")
    context = pipelines.cloud.service.context
    name = pipelines.create(pipelines.registration())
    arns = []

    def run():
        arns.append(pipelines.start(name))
        assert ended(context, arns[0])["PipelineExecutionStatus"] == "Succeeded"

    snapshots = killed({"PipelineExecution", "ModelPackageGroup", "ModelPackage"}, run)
    assert len(snapshots) >= 6
    for place in snapshots:
        body, store = recovered(context, place, arns[0])
        assert body["PipelineExecutionStatus"] == "Succeeded"
        (package,) = store.rows("ModelPackage")
        store.close()
        assert package["ModelPackageVersion"] == 1
        assert body[STEPS][0]["Metadata"] == {"RegisterModel": {"Arn": package["ModelPackageArn"]}}


def test_record_that_cannot_be_read_fails_alone(make_cloud, calls):
    pipelines = Pipelines(make_cloud(), "")
    context = pipelines.cloud.service.context
    name = pipelines.create(pipelines.function("Tell", FUNCTION))
    arn = pipelines.start(name)
    pipelines.ended(arn)
    broken = {"PipelineExecutionStatus": "Executing", "FailureReason": None, DEFINITION: "{"}
    context.store.update("PipelineExecution", arn, **broken)

    recover_executions(context)

    described = pipelines.ended(arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    assert "cannot go on" in described["FailureReason"]
    assert pipelines.ended(pipelines.start(name))["PipelineExecutionStatus"] == "Succeeded"


def test_stop_that_comes_before_the_first_step_is_not_lost(make_cloud, calls, monkeypatch):
    pipelines = Pipelines(make_cloud(), "")
    name = pipelines.create(pipelines.function("Tell", FUNCTION))
    stop = pipelines.sagemaker.stop_pipeline_execution
    read = pipeline_runner.read_definition

    def meanwhile(text):
        monkeypatch.undo()
        (summary,) = pipelines.sagemaker.list_pipeline_executions(PipelineName=name)[
            "PipelineExecutionSummaries"
        ]
        stop(PipelineExecutionArn=summary["PipelineExecutionArn"])
        return read(text)

    monkeypatch.setattr(pipeline_runner, "read_definition", meanwhile)

    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert calls == []


def ended(context, arn):
    """Answer the callbacks of an execution; return its record once it has ended."""

    def looked():
        for body in context.store.rows("PipelineCallback"):
            if body["Status"] == "Waiting":
                parameters = [{"Name": "n", "Value": "3"}]
                request = {"CallbackToken": body["CallbackToken"], "OutputParameters": parameters}
                call(context, "SendPipelineExecutionStepSuccess", request)
        return context.store.get("PipelineExecution", arn)["PipelineExecutionStatus"] not in LIVE

    eventually(looked, "the execution has ended")
    return context.store.get("PipelineExecution", arn)
