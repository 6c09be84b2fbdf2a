import pytest
from botocore.exceptions import ClientError

from .scenes import MODEL, NAME, REF, begin_run

TOKEN = "t1"


@pytest.fixture
def waiting(cloud):
    cloud.workflows.tokens = {TOKEN}
    return cloud


def park_pipeline(cloud, arn, run):
    event = {**MODEL, "run": run, "kind": "pipeline", "resource": arn, "token": TOKEN}
    cloud.invoke("park", event)


def park_endpoint(cloud, arn):
    event = {"kind": "endpoint", "resource": arn, "wanted": "c2", "token": TOKEN}
    cloud.invoke("park", event)


def test_a_pipeline_is_waited_for_and_its_run_knows_it(waiting, sample):
    run = begin_run(waiting)
    event = sample("pipeline_succeeded")
    arn = event["detail"]["pipelineExecutionArn"]
    waiting.sagemaker.executions[arn] = {"PipelineExecutionStatus": "Executing"}
    park_pipeline(waiting, arn, run)
    assert waiting.stores.runs.get(REF, run)["pipeline"] == arn
    assert waiting.workflows.answered == {}

    waiting.sagemaker.executions[arn]["PipelineExecutionStatus"] = "Succeeded"
    for _ in range(2):
        waiting.invoke("resume", event)
    assert list(waiting.workflows.answered) == [TOKEN]


def test_an_endpoint_is_waited_for(waiting, sample):
    arn = waiting.sagemaker.add_endpoint(NAME, "c1", "Updating")
    park_endpoint(waiting, arn)
    event = sample("endpoint_in_service")
    event["detail"]["EndpointArn"] = arn
    waiting.invoke("resume", event)
    assert waiting.workflows.answered == {}, "the event was one of scaling"
    waiting.sagemaker.add_endpoint(NAME, "c2")
    waiting.invoke("resume", event)
    assert waiting.workflows.answered[TOKEN]["output"]["config"] == "c2"


@pytest.mark.parametrize("status", ["Failed", "UpdateRollbackFailed", "OutOfService"])
def test_an_endpoint_that_does_not_recover_is_not_waited_for(waiting, status):
    arn = waiting.sagemaker.add_endpoint(NAME, "c2", status)
    park_endpoint(waiting, arn)
    said = waiting.workflows.answered[TOKEN]
    assert said["error"] == "EndpointFailedError"
    assert status in said["cause"]


def test_an_event_that_came_first_is_no_loss(waiting):
    run = begin_run(waiting)
    arn = waiting.sagemaker.add_execution(NAME, "Succeeded")
    park_pipeline(waiting, arn, run)
    assert list(waiting.workflows.answered) == [TOKEN]


def test_an_event_that_nobody_waits_for_is_nothing(waiting, sample):
    waiting.invoke("resume", sample("pipeline_succeeded"))
    waiting.invoke("resume", {"detail": {}})
    assert waiting.workflows.answered == {}


def test_a_token_outlives_a_sagemaker_that_does_not_answer(waiting):
    run = begin_run(waiting)
    arn = waiting.sagemaker.add_execution(NAME, "Succeeded")
    waiting.refuse("sagemaker", "DescribePipelineExecution", "ThrottlingException")
    with pytest.raises(ClientError):
        park_pipeline(waiting, arn, run)
    waiting.invoke("resume", {"detail": {"pipelineExecutionArn": arn}})
    assert list(waiting.workflows.answered) == [TOKEN]


def test_park_may_die_anywhere(survives):
    def prepare(cloud):
        cloud.workflows.tokens = {TOKEN}
        run = begin_run(cloud)
        arn = cloud.sagemaker.add_execution(NAME, "Succeeded")
        return {**MODEL, "run": run, "kind": "pipeline", "resource": arn, "token": TOKEN}

    survives("park", prepare)


def test_resume_may_die_anywhere(survives):
    def prepare(cloud):
        cloud.workflows.tokens = {TOKEN}
        arn = cloud.sagemaker.add_endpoint(NAME, "c1", "Updating")
        park_endpoint(cloud, arn)
        cloud.sagemaker.add_endpoint(NAME, "c2")
        return {"detail": {"EndpointArn": arn}}

    survives("resume", prepare)
