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


def test_another_refusal_is_not_taken_for_started(cloud, workflows):
    cloud.refuse("stepfunctions", "StartExecution", "StateMachineDoesNotExist")
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        workflows.start("run-1", {})
