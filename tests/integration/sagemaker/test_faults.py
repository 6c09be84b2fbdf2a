"""What somebody asked to go wrong goes wrong as on AWS, as often as was asked, and says no more."""

import json
import logging
import uuid

import boto3
import pytest
from botocore.config import Config

from tidemill_local.faults import Fault, FaultError

from .conftest import eventually
from .model_servers import Hosting, refused, said, statuses

IDLE = "pass"
GENERIC = "The request processing has failed because of an unknown error, exception or failure."


@pytest.fixture
def cloud(shared_cloud):
    yield shared_cloud
    shared_cloud.service.faults.clear()


@pytest.fixture
def faults(cloud):
    return cloud.service.faults


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def ask(cloud, operation, **request):
    """Return the HTTP status and the error's code and message, without boto3's own retries."""
    status, _, body = cloud.service.handle(operation, json.dumps(request).encode())
    document = json.loads(body)
    return status, document.get("__type"), document.get("message")


def codes(cloud, count, operation="ListEndpoints", **request):
    return [ask(cloud, operation, **request)[1] for _ in range(count)]


def failed(hosting):
    """Return the description of an endpoint that does not come into service."""
    name = f"unlucky-{uuid.uuid4().hex[:8]}"
    hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=hosting.config())
    return hosting.settled(name)


def test_throttling_strikes_the_operations_that_it_names_as_often_as_it_says(cloud, faults, caplog):
    fault = faults.add("throttle", operation="List*", after=1, count=2)

    with caplog.at_level(logging.WARNING):
        assert codes(cloud, 4) == [None, "ThrottlingException", "ThrottlingException", None]

    assert ask(cloud, "DescribeEndpoint", EndpointName="x")[1] == "ValidationException"
    (now,) = faults.list()
    assert (now.id, now.seen, now.struck, now.spent) == (fault.id, 4, 2, True)
    assert f"{fault.id} (throttle) strikes ListEndpoints" in caplog.text
    fault = faults.add("throttle")
    assert ask(cloud, "ListEndpoints") == (400, "ThrottlingException", "Rate exceeded")


def test_boto3_comes_through_a_throttle_that_ends(cloud, faults):
    faults.add("throttle", operation="ListModels", count=1)
    faults.add("internal-error", operation="ListModels", count=1)
    patient = boto3.client(
        "sagemaker",
        endpoint_url=cloud.url,
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 3, "mode": "standard"}),
    )
    assert patient.list_models()["ResponseMetadata"]["RetryAttempts"] == 2
    patient.close()


def test_an_internal_error_and_a_limit_read_as_on_aws(cloud, faults):
    faults.add("internal-error", operation="DescribeModel", name="one-*")
    assert ask(cloud, "DescribeModel", ModelName="one-of-them") == (500, "InternalFailure", GENERIC)
    assert ask(cloud, "DescribeModel", ModelName="other")[1] == "ValidationException"

    faults.add("resource-limit")
    resources = {"ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 2}}
    status, code, message = ask(cloud, "CreateTrainingJob", TrainingJobName="t", **resources)
    assert (status, code) == (400, "ResourceLimitExceeded")
    assert "'ml.p3.2xlarge for training job usage' is 0 Instances" in message
    assert "a request delta of 2 Instances" in message
    assert ask(cloud, "DescribeTrainingJob", TrainingJobName="t")[1] == "ValidationException"


def test_a_share_is_drawn_the_same_way_again(cloud, faults):
    def drawn(seed):
        fault = faults.add("throttle", operation="ListModels", probability=0.4, seed=seed)
        found = codes(cloud, 40, "ListModels")
        faults.remove(fault.id)
        return [code is not None for code in found]

    first = drawn(7)
    assert first == drawn(7)
    assert first != drawn(8)
    assert 6 < sum(first) < 26


def test_a_job_without_capacity_fails_and_the_next_one_runs(cloud, faults, bucket):
    faults.add("capacity-error", operation="CreateTrainingJob", count=1)
    image = cloud.image(IDLE)

    unlucky = cloud.trained(cloud.train(image, bucket=bucket))
    assert unlucky["TrainingJobStatus"] == "Failed"
    assert unlucky["FailureReason"].startswith("CapacityError: Unable to provision requested ML")
    assert "TrainingStartTime" not in unlucky
    reason = unlucky["FailureReason"]
    told = cloud.details("Training Job", unlucky["TrainingJobName"], until="Failed")
    assert told[-1]["FailureReason"] == reason
    assert cloud.trained(cloud.train(image, bucket=bucket))["TrainingJobStatus"] == "Completed"


def test_a_processing_job_may_fail_of_sagemaker_itself(cloud, faults):
    faults.add("job-error", name="nightly-*")
    image = cloud.image(IDLE)

    failed = cloud.processed(cloud.process(image, ProcessingJobName="nightly-1"))
    assert failed["ProcessingJobStatus"] == "Failed"
    assert failed["FailureReason"].startswith("InternalServerError: We encountered an internal")
    assert cloud.processed(cloud.process(image))["ProcessingJobStatus"] == "Completed"


def test_a_slow_start_may_be_stopped(cloud, faults):
    faults.add("slow-start", seconds=600, operation="CreateProcessingJob")
    name = cloud.process(cloud.image(IDLE))
    eventually(lambda: faults.list()[0].struck == 1, "the job waits")

    cloud.sagemaker.stop_processing_job(ProcessingJobName=name)

    assert cloud.processed(name)["ProcessingJobStatus"] == "Stopped"


def test_an_endpoint_without_capacity_fails_or_stays(hosting, faults):
    faults.add("capacity-error", operation="CreateEndpoint", count=1)
    described = failed(hosting)
    assert described["EndpointStatus"] == "Failed"
    assert "due to InsufficientInstanceCapacity error" in described["FailureReason"]

    name = hosting.endpoint(hosting.config(hosting.model("a")))
    faults.add("capacity-error", operation="UpdateEndpoint", name=name)
    hosting.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=hosting.config(hosting.model("b"))
    )
    assert hosting.settled(name)["EndpointStatus"] == "InService"
    assert said(hosting.invoke(name))["model"] == "a"


def test_a_silent_rollback_shows_in_nothing_but_the_configuration(hosting, faults):
    first = hosting.config(hosting.model("a"))
    name = hosting.endpoint(first)
    faults.add("silent-rollback", count=1)
    second = hosting.config(hosting.model("b"))

    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    described = hosting.settled(name)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == first
    assert "FailureReason" not in described
    assert said(hosting.invoke(name))["model"] == "a"
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert hosting.settled(name)["EndpointConfigName"] == second


def test_a_container_that_is_never_healthy_is_given_up(hosting, faults):
    faults.add("never-healthy", seconds=0.2)
    described = failed(hosting)

    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]


def test_a_container_dies_of_a_request_and_comes_back(hosting, faults):
    name = hosting.endpoint()
    old = said(hosting.invoke(name))["pid"]
    faults.add("dies-under-load", name=name, after=1, count=1)

    assert said(hosting.invoke(name))["pid"] == old
    refused(lambda: hosting.invoke(name), "", "ServiceUnavailable")

    def answers():
        try:
            return said(hosting.invoke(name))["pid"] != old
        except hosting.cloud.runtime.exceptions.ClientError:
            return False

    eventually(answers, "the container starts again")


def test_an_endpoint_is_maintained_while_it_answers(hosting, faults, processes):
    name = hosting.endpoint()
    (old,) = processes.alive
    faults.add("system-update", name=name, count=1, seconds=0.1)

    assert said(hosting.invoke(name))

    eventually(
        lambda: statuses(hosting.cloud, name)[-2:] == ["SYSTEM_UPDATING", "IN_SERVICE"],
        "it is maintained",
    )
    eventually(lambda: len(processes.alive) == 1 and old not in processes.alive, "it is another")
    assert said(hosting.invoke(name))
    assert statuses(hosting.cloud, name).count("SYSTEM_UPDATING") == 1


def test_an_endpoint_may_be_throttled_by_name(hosting, faults):
    name = hosting.endpoint()
    faults.add("throttle", operation="InvokeEndpoint", name=name, count=1)
    refused(lambda: hosting.invoke(name), "Rate exceeded", "ThrottlingException")
    assert said(hosting.invoke(name))


def test_faults_outlive_a_restart_with_what_they_have_done(make_cloud, tmp_path):
    cloud = make_cloud(root=tmp_path)
    cloud.service.faults.add("throttle", operation="ListModels", count=3)
    assert codes(cloud, 1, "ListModels") == ["ThrottlingException"]
    cloud.stop()

    again = make_cloud(root=tmp_path)

    assert codes(again, 3, "ListModels") == ["ThrottlingException", "ThrottlingException", None]
    again.service.faults.clear()
    assert not again.service.faults


def test_a_fault_is_removed_by_its_id(faults):
    first, second = faults.add("throttle"), faults.add("throttle")
    faults.remove(first.id)
    assert faults.add("throttle").id not in (first.id, second.id)
    with pytest.raises(FaultError, match="there is no fault"):
        faults.remove(first.id)


@pytest.mark.parametrize(
    ("fault", "event", "names", "matches"),
    [
        (Fault("f", "drop-event"), "Object Created", ["lake/raw/a"], True),
        (Fault("f", "drop-event", event="Object *"), "SageMaker Model State Change", [], False),
        (Fault("f", "drop-event", name="lake/raw/*"), "Object Created", ["lake/raw/a/b"], True),
        (Fault("f", "drop-event", name="lake/raw/*"), "Object Created", ["lake/truth/b"], False),
    ],
)
def test_an_event_is_struck_by_its_type_and_its_resource(fault, event, names, matches):
    assert fault.matches(operation="", event=event, names=names) is matches
