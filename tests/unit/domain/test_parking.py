import pytest

from tidemill.domain.parking import Failed, Succeeded, judge_endpoint, judge_pipeline


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
def test_a_pipeline_that_goes_on_is_no_answer(status):
    assert judge_pipeline({"PipelineExecutionStatus": status}) is None


def test_a_pipeline_that_ended_answers_with_its_reason():
    failed = {"PipelineExecutionStatus": "Failed", "FailureReason": "the gate"}
    assert judge_pipeline(failed) == Succeeded({"status": "Failed", "reason": "the gate"})
    done = judge_pipeline({"PipelineExecutionStatus": "Succeeded"})
    assert done == Succeeded({"status": "Succeeded", "reason": ""})


@pytest.mark.parametrize("description", [None, {"PipelineExecutionStatus": "Stopped"}])
def test_a_pipeline_that_was_stopped_or_deleted_fails(description):
    answer = judge_pipeline(description)
    assert isinstance(answer, Failed)
    assert answer.error == "PipelineFailedError"


def endpoint(status, config="c2", **more):
    return {"EndpointStatus": status, "EndpointConfigName": config, **more}


@pytest.mark.parametrize(
    "status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"]
)
def test_an_endpoint_on_its_way_is_no_answer(status):
    assert judge_endpoint(endpoint(status), "c2") is None


def test_in_service_with_what_was_asked_is_the_answer():
    assert judge_endpoint(endpoint("InService"), "c2") == Succeeded(
        {"status": "InService", "config": "c2"}
    )


@pytest.mark.parametrize(
    ("description", "says"),
    [
        (None, "deleted"),
        (endpoint("Failed", FailureReason="no capacity"), "the endpoint is Failed: no capacity"),
        (endpoint("UpdateRollbackFailed"), "UpdateRollbackFailed: SageMaker gave no reason"),
        (endpoint("OutOfService"), "OutOfService"),
        (endpoint("InService", "c1"), "SageMaker went back to c1: SageMaker gave no reason"),
    ],
)
def test_an_endpoint_that_will_not_get_there_fails(description, says):
    answer = judge_endpoint(description, "c2")
    assert isinstance(answer, Failed)
    assert answer.error == "EndpointFailedError"
    assert says in answer.cause


def test_the_rollout_machine_knows_a_silent_rollback_by_these_words():
    """WhatToUndo in statemachines/rollout.asl.json looks for them."""
    assert "SageMaker went back to" in judge_endpoint(endpoint("InService", "c1"), "c2").cause
