"""Asynchronous endpoints: requests and answers lie in S3, topics tell of them."""

import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.hosting.async_inference import AsyncQueue, FailedError

from .conftest import eventually
from .model_servers import Hosting, refused

TOPICS = {
    "SuccessTopic": "arn:aws:sns:us-east-1:000000000000:done",
    "ErrorTopic": "arn:aws:sns:us-east-1:000000000000:failed",
}


class FakeSns:
    def __init__(self):
        self.told = []

    def publish(self, TopicArn, Message):
        self.told.append((TopicArn.rpartition(":")[2], json.loads(Message)))


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    shared_cloud.service.context.part(AsyncQueue)._sns = FakeSns()
    return shared_cloud


@pytest.fixture
def sns(cloud):
    sns = cloud.service.context.part(AsyncQueue)._sns
    sns.told.clear()
    return sns


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Hosting(cloud, s3, bucket)


def config(hosting, **client):
    return hosting.config(
        hosting.model(Environment={"NAME": "a"}),
        AsyncInferenceConfig={
            "OutputConfig": {
                "S3OutputPath": f"s3://{hosting.bucket}/out/",
                "S3FailurePath": f"s3://{hosting.bucket}/failed",
                "NotificationConfig": TOPICS,
            },
            "ClientConfig": client,
        },
    )


def ask(hosting, endpoint, body=b"hello", **request):
    key = f"in/{uuid.uuid4().hex}"
    hosting._s3.put_object(Bucket=hosting.bucket, Key=key, Body=body)
    return hosting.runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{hosting.bucket}/{key}", **request
    )


def read(hosting, uri):
    """Return an object's bytes, None while it is not there."""
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    try:
        return hosting._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return None


def scale(hosting, name, count):
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )
    hosting.settled(name)


def test_an_answer_comes_to_s3_and_the_topic_tells(hosting, sns):
    name = hosting.endpoint(config(hosting))

    answer = ask(
        hosting, name, b"rows", ContentType="text/csv", InferenceId="mine", CustomAttributes="k=v"
    )

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith(f"s3://{hosting.bucket}/out/")
    assert answer["FailureLocation"].endswith("-error.out")
    eventually(lambda: sns.told, "the topic is told")
    headers = json.loads(read(hosting, answer["OutputLocation"]))["headers"]
    assert headers["content-type"] == "text/csv"
    assert headers["x-amzn-sagemaker-inference-id"] == "mine"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "k=v"
    ((topic, told),) = sns.told
    assert (topic, told["invocationStatus"], told["inferenceId"]) == ("done", "Completed", "mine")
    assert told["requestParameters"]["endpointName"] == name
    assert told["responseParameters"] == {
        "contentType": "application/json",
        "outputLocation": answer["OutputLocation"],
    }
    described = hosting.sagemaker.describe_endpoint(EndpointName=name)
    assert described["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"] == TOPICS


def test_the_output_may_be_named_and_the_input_be_inline(hosting):
    name = hosting.endpoint(config(hosting))

    answer = hosting.runtime.invoke_endpoint_async(
        EndpointName=name, Body=b"inline", S3OutputPathExtension="a/b", Filename="c.json"
    )

    assert answer["OutputLocation"] == f"s3://{hosting.bucket}/out/a/b/c.json"
    eventually(lambda: read(hosting, answer["OutputLocation"]), "the answer is there")
    assert json.loads(read(hosting, answer["OutputLocation"]))["length"] == 6


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"fail 400", "ClientError: Received client error (400)"), (b"fail 500", "error (500)")],
)
def test_a_failure_comes_to_its_own_path_and_topic(hosting, sns, body, reason):
    name = hosting.endpoint(config(hosting))

    answer = ask(hosting, name, body)

    eventually(lambda: sns.told, "the topic is told")
    assert reason in read(hosting, answer["FailureLocation"]).decode()
    assert read(hosting, answer["OutputLocation"]) is None
    ((topic, told),) = sns.told
    assert (topic, told["invocationStatus"]) == ("failed", "Failed")
    assert reason in told["failureReason"]


def test_an_input_that_is_not_there_and_one_that_waited_too_long(hosting, sns):
    name = hosting.endpoint(config(hosting))

    hosting.runtime.invoke_endpoint_async(
        EndpointName=name, InputLocation=f"s3://{hosting.bucket}/none"
    )
    eventually(lambda: sns.told, "the first has failed")
    assert "NoSuchKey" in sns.told[0][1]["failureReason"]

    queue = hosting.cloud.service.context.part(AsyncQueue)
    with pytest.raises(FailedError) as raised:
        queue._perform({"endpoint": name, "received": time.time() - 61, "ttl": 60})
    assert "expired after 60 seconds" in str(raised.value)


def test_no_more_are_asked_than_an_instance_may_have(hosting, processes):
    name = hosting.endpoint(config(hosting, MaxConcurrentInvocationsPerInstance=1))
    (process,) = processes.alive
    queue = hosting.cloud.service.context.part(AsyncQueue)

    answers = [ask(hosting, name, b"hold") for _ in range(3)]
    eventually(lambda: queue._under_way[name] == 1, "one is under way")
    time.sleep(0.1)
    assert queue._under_way[name] == 1
    process.held.set()

    eventually(
        lambda: all(read(hosting, each["OutputLocation"]) for each in answers), "all are answered"
    )


def test_what_waits_for_instances_is_answered_when_there_are_some(hosting, processes):
    name = hosting.endpoint(config(hosting))
    scale(hosting, name, 0)
    assert processes.alive == []

    answer = ask(hosting, name)
    time.sleep(0.1)
    assert read(hosting, answer["OutputLocation"]) is None
    scale(hosting, name, 1)

    eventually(lambda: read(hosting, answer["OutputLocation"]), "it is answered")


def test_the_two_ways_to_ask_are_not_mixed(hosting):
    waiting = hosting.endpoint(config(hosting))
    direct = hosting.endpoint(hosting.config(hosting.model(Environment={"NAME": "a"})))
    given = {"code": "ValidationError", "Body": b"x"}
    ask_now, ask_later = hosting.runtime.invoke_endpoint, hosting.runtime.invoke_endpoint_async

    refused(ask_now, "use InvokeEndpointAsync", EndpointName=waiting, **given)
    refused(ask_later, "use InvokeEndpoint", EndpointName=direct, **given)
    refused(ask_later, "not found", EndpointName="none", **given)
    given["Body"] = b""
    refused(ask_later, "either an InputLocation or a Body", EndpointName=waiting, **given)
    refused(
        hosting.sagemaker.update_endpoint_weights_and_capacities,
        "only asynchronous endpoints",
        EndpointName=direct,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
    )


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ({}, "needs the S3OutputPath"),
        ({"S3OutputPath": "http://x/y"}, "must"),
        (
            {
                "S3OutputPath": "s3://b/o",
                "NotificationConfig": {
                    "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]
                },
            },
            "leave IncludeInferenceResponseIn out",
        ),
    ],
)
def test_what_is_refused_of_a_configuration(hosting, output, says):
    refused(
        hosting.sagemaker.create_endpoint_config,
        says,
        EndpointConfigName="c",
        ProductionVariants=[hosting.variant(hosting.model(Environment={"NAME": "a"}))],
        AsyncInferenceConfig={"OutputConfig": output},
    )


def test_what_was_acknowledged_is_answered_after_a_restart(make_cloud, s3, bucket, processes):
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    name = hosting.endpoint(config(hosting))
    cloud.service.context.part(AsyncQueue).stop()  # nothing is taken up any more
    answer = ask(hosting, name)
    cloud.stop()

    later = Hosting(make_cloud(), s3, bucket)

    eventually(lambda: read(later, answer["OutputLocation"]), "it is answered")
