import threading

import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.parking import Parking

from ..stack import sagemaker
from .cloud import Killed, client

ENDPOINT = "tidemill--flights--delay"


@pytest.fixture
def parking(cloud):
    """Parked tokens of a cloud where the workflows wait for `t1` and `t2`."""
    cloud.workflows.tokens = {"t1", "t2"}
    asked = client("sagemaker")
    return Parking(cloud.stores.state, client("stepfunctions"), Jobs(asked), Endpoints(asked))


def park(parking, resource, *, kind="pipeline", wanted="", token="t1"):
    parking.put(resource=resource, kind=kind, wanted=wanted, token=token, now=1.0)


def set_status(cloud, arn, status, **more):
    cloud.sagemaker.executions[arn] |= {"PipelineExecutionStatus": status, **more}


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
def test_what_goes_on_is_waited_for(cloud, parking, status):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, status)
    park(parking, pipeline)
    assert parking.settle(pipeline) == 0
    assert parking.waits_for(pipeline)
    assert cloud.workflows.tokens == {"t1", "t2"}


@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
def test_a_pipeline_that_ended_is_an_answer(cloud, parking, status):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, status, FailureReason="the gate")
    park(parking, pipeline)
    assert parking.settle(pipeline) == 1
    said = cloud.workflows.answered["t1"]["output"]
    assert said == {"status": status, "reason": "the gate"}
    assert not parking.waits_for(pipeline)


def test_a_pipeline_that_was_stopped_is_a_failure(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Stopped")
    park(parking, pipeline)
    parking.settle(pipeline)
    assert cloud.workflows.answered["t1"]["error"] == "PipelineFailedError"


def test_a_pipeline_that_was_deleted_does_not_hold_up_the_others(cloud, parking):
    """Else one such token would stop every sweep."""
    gone = sagemaker("pipeline", "deleted/execution/e1")
    ended = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, gone, token="t1")
    park(parking, ended, token="t2")
    assert parking.settle() == 2
    assert "deleted" in cloud.workflows.answered["t1"]["cause"]


def test_an_endpoint_with_the_wanted_configuration_is_an_answer(cloud, parking):
    arn = cloud.sagemaker.add_endpoint(ENDPOINT, "c2")
    park(parking, arn, kind="endpoint", wanted="c2")
    assert parking.settle(arn) == 1
    assert cloud.workflows.answered["t1"]["output"] == {"status": "InService", "config": "c2"}


def test_an_endpoint_that_went_back_is_a_failure(cloud, parking):
    arn = cloud.sagemaker.add_endpoint(ENDPOINT, "c1", FailureReason="out of memory")
    park(parking, arn, kind="endpoint", wanted="c2")
    parking.settle(arn)
    said = cloud.workflows.answered["t1"]
    assert said == {
        "error": "EndpointFailedError", "cause": "SageMaker went back to c1: out of memory",
    }  # fmt: skip


def test_an_endpoint_that_is_gone_is_a_failure(cloud, parking):
    park(parking, sagemaker("endpoint", ENDPOINT), kind="endpoint", wanted="c2")
    assert parking.settle() == 1
    assert "deleted" in cloud.workflows.answered["t1"]["cause"]


def test_an_event_that_came_before_the_token_is_no_loss(cloud, parking):
    arn = cloud.sagemaker.add_endpoint(ENDPOINT, "c2")
    assert parking.settle(arn) == 0, "the event: nobody waits yet"
    park(parking, arn, kind="endpoint", wanted="c2")
    assert parking.settle(arn) == 1, "what park does next"


def test_the_event_s_lower_case_arn_finds_the_token(cloud, parking):
    arn = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, arn)
    assert parking.settle(arn.upper()) == 1


def test_each_token_is_answered_for_what_it_asked(cloud, parking):
    arn = cloud.sagemaker.add_endpoint(ENDPOINT, "c2")
    park(parking, arn, kind="endpoint", wanted="c1", token="t1")
    park(parking, arn, kind="endpoint", wanted="c2", token="t2")
    assert parking.settle(arn) == 2
    assert "error" in cloud.workflows.answered["t1"]
    assert "output" in cloud.workflows.answered["t2"]


def test_parking_twice_is_parking_once(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    for _ in range(2):
        park(parking, pipeline)
    assert parking.settle(pipeline) == 1


def test_a_token_that_no_longer_waits_is_forgotten(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, pipeline, token="of an execution that was stopped")
    assert parking.settle(pipeline) == 1
    assert not parking.waits_for(pipeline)


@pytest.mark.parametrize("status", ["Succeeded", "Stopped"])
def test_one_that_dies_after_answering_is_no_trouble_for_the_next(cloud, parking, status):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, status)
    park(parking, pipeline)
    cloud.calls.clear()
    cloud._kill_before = 3  # query, describe, answer; then delete
    with pytest.raises(Killed):
        parking.settle(pipeline)
    cloud._kill_before = None
    assert list(cloud.workflows.answered) == ["t1"]

    assert parking.settle(pipeline) == 1
    assert not parking.waits_for(pipeline)


def test_two_at_once_answer_once(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, pipeline)
    judged = threading.Barrier(2)

    class Together(Parking):
        def _judge(self, item):
            answer = super()._judge(item)
            judged.wait(10)
            return answer

    asked = client("sagemaker")
    both = Together(cloud.stores.state, client("stepfunctions"), Jobs(asked), Endpoints(asked))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(both.settle(pipeline))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [1, 1]
    assert list(cloud.workflows.answered) == ["t1"]


def test_what_step_functions_refuses_otherwise_is_kept_and_said(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, pipeline)
    cloud.refuse("stepfunctions", "SendTaskSuccess", "ThrottlingException")
    with pytest.raises(ClientError, match="Throttling"):
        parking.settle(pipeline)
    assert parking.waits_for(pipeline)


def test_sagemaker_s_other_refusals_are_not_taken_for_absence(cloud, parking):
    pipeline = cloud.sagemaker.add_execution(ENDPOINT, "Succeeded")
    park(parking, pipeline)
    cloud.refuse("sagemaker", "DescribePipelineExecution", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        parking.settle(pipeline)
