import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.workflows import Workflows

from ..stack import machine
from .cloud import client


@pytest.fixture
def workflows(cloud):
    return Workflows(client("stepfunctions"), machine("retrain"))


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "ABORTED"])
def test_starting_twice_starts_once(cloud, workflows, status):
    first = workflows.start("run-1", {"run": "run-1"})
    cloud.workflows.end("retrain", "run-1", status)
    assert workflows.start("run-1", {"run": "run-1"}) == first == workflows.arn("run-1")
    assert len(cloud.workflows.executions) == 1


def test_what_was_started_is_found(workflows):
    assert workflows.find("run-1") is None
    workflows.start("run-1", {})
    assert workflows.find("run-1")["status"] == "RUNNING"


def test_executions_are_listed_by_how_they_are(cloud, workflows):
    for name in ("run-1", "run-2", "run-3"):
        workflows.start(name, {})
    cloud.workflows.begin("rollout", "another-machine-s", {})
    cloud.workflows.end("retrain", "run-2", "FAILED")
    assert [found["name"] for found in workflows.executions("RUNNING")] == ["run-1", "run-3"]
    (failed,) = workflows.executions("FAILED")
    assert (failed["executionArn"], failed["status"]) == (workflows.arn("run-2"), "FAILED")
    assert workflows.executions("ABORTED") == []


def test_more_executions_than_one_answer_holds_are_all_listed(cloud, workflows):
    names = [f"run-{n:04d}" for n in range(250)]
    for name in names:
        workflows.start(name, {})
    assert [found["name"] for found in workflows.executions("RUNNING")] == names
    assert [operation for _, operation, _ in cloud.calls].count("ListExecutions") == 3


def test_another_refusal_is_not_taken_for_started(cloud, workflows):
    cloud.refuse("stepfunctions", "StartExecution", "StateMachineDoesNotExist")
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        workflows.start("run-1", {})
