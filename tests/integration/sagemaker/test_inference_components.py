"""Inference components: models that come and go on an endpoint, each with copies of its own."""

import json

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.hosting.metrics import EndpointMetrics

from .component_servers import NEEDS, Components
from .conftest import ACCOUNT, ROLE, eventually
from .fake_serving import FakeCloudWatch
from .model_servers import BROKEN, gone, refused
from .test_capture import capture_config, captured


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Components(cloud, s3, bucket)


def test_components_of_one_endpoint_answer_by_their_names(hosting):
    endpoint = hosting.host()
    first = hosting.component(endpoint, hosting.named("a"))
    second = hosting.component(endpoint, hosting.named("b"), copies=2)

    assert {hosting.ask(endpoint, first)["model"] for _ in range(5)} == {"a"}
    asked = [hosting.ask(endpoint, second) for _ in range(40)]
    assert {said["model"] for said in asked} == {"b"}
    assert len({said["instance"] for said in asked}) == 2
    answer = hosting.invoke(endpoint, InferenceComponentName=first)
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_component_is_described(hosting):
    endpoint, model = hosting.host(), hosting.named("a")
    name = hosting.component(
        endpoint,
        model,
        copies=6,
        StartupParameters={"ContainerStartupHealthCheckTimeoutInSeconds": 90},
    )

    described = hosting.sagemaker.describe_inference_component(InferenceComponentName=name)

    assert described["InferenceComponentArn"].endswith(f":{ACCOUNT}:inference-component/{name}")
    assert described["EndpointName"] == endpoint
    assert described["EndpointArn"].endswith(f":endpoint/{endpoint}")
    assert described["VariantName"] == "AllTraffic"
    assert described["Specification"] == {
        "ModelName": model,
        "ComputeResourceRequirements": NEEDS,
        "StartupParameters": {"ContainerStartupHealthCheckTimeoutInSeconds": 90},
    }
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 6, "CurrentCopyCount": 6}
    (variant,) = hosting.settled(endpoint)["ProductionVariants"]
    assert "DeployedImages" not in variant
    assert variant["CurrentInstanceCount"] == 1


def test_component_may_have_a_container_of_its_own(hosting):
    endpoint = hosting.host()
    uri = hosting.shared_model()
    container = {"Image": "image:1", "ArtifactUrl": uri, "Environment": {"NAME": "own"}}

    name = hosting.component(endpoint, Container=container)

    assert hosting.ask(endpoint, name)["model"] == "own"
    described = hosting.sagemaker.describe_inference_component(InferenceComponentName=name)
    shown = described["Specification"]["Container"]
    assert shown.pop("DeployedImage")["SpecifiedImage"] == "image:1"
    assert shown == {"ArtifactUrl": uri, "Environment": {"NAME": "own"}}


def test_components_are_listed(hosting):
    endpoint = hosting.host("A", "B")
    on_a = [hosting.component(endpoint, variant="A") for _ in range(2)]
    on_b = hosting.component(endpoint, variant="B")

    def listed(**filters):
        pages = hosting.sagemaker.get_paginator("list_inference_components").paginate(
            EndpointNameEquals=endpoint, PaginationConfig={"PageSize": 2}, **filters
        )
        found = pages.build_full_result()["InferenceComponents"]
        return [each["InferenceComponentName"] for each in found]

    assert listed() == [on_b, *reversed(on_a)]
    assert listed(SortBy="Name", SortOrder="Ascending") == sorted([*on_a, on_b])
    assert listed(VariantNameEquals="A", SortOrder="Ascending") == on_a
    assert listed(StatusEquals="Failed") == []
    assert listed(NameContains=on_b[-6:]) == [on_b]


def test_tags_belong_to_a_component(hosting):
    name = hosting.component(hosting.host())
    arn = hosting.sagemaker.describe_inference_component(InferenceComponentName=name)[
        "InferenceComponentArn"
    ]

    hosting.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}])

    assert hosting.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_streamed_answers_come_from_components_too(hosting):
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"))

    answer = hosting.runtime.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, InferenceComponentName=name, Body=b""
    )

    body = b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    assert json.loads(body)["model"] == "a"


def test_a_copy_that_errs_is_quoted_with_its_own_log_group(hosting):
    endpoint = hosting.host()
    name = hosting.component(endpoint)

    with pytest.raises(ClientError) as raised:
        hosting.ask(endpoint, name, b"fail 500")

    assert raised.value.response["Error"]["Code"] == "ModelError"
    group = f"log-group:/aws/sagemaker/InferenceComponents/{name}"
    assert raised.value.response["LogStreamArn"].endswith(group)


def test_component_that_cannot_start_fails_with_a_reason_and_can_be_deleted(hosting, processes):
    processes.broken.add("sick")
    endpoint = hosting.host()
    name = hosting.create(endpoint, hosting.named("sick"))

    described = hosting.come_to_rest(name)

    assert described["InferenceComponentStatus"] == "Failed"
    assert described["FailureReason"] == "model sick is broken"
    hosting.refuses("it is Failed", endpoint, InferenceComponentName=name)
    hosting.delete(name)


def test_component_in_progress_is_left_alone(hosting):
    name = hosting.component(hosting.host())
    store = hosting.cloud.service.context.store
    store.update("InferenceComponent", name, InferenceComponentStatus="Creating")

    refused(
        hosting.sagemaker.delete_inference_component,
        "CREATE_IN_PROGRESS",
        InferenceComponentName=name,
    )


def test_delete_stops_the_copies_and_leaves_the_others(hosting, processes):
    endpoint = hosting.host()
    name, other = hosting.component(endpoint, copies=2), hosting.component(endpoint)

    hosting.delete(name)

    assert len(processes.alive) == 1
    hosting.refuses("not found", endpoint, InferenceComponentName=name)
    assert hosting.ask(endpoint, other)["model"] == "a"
    for call in (
        hosting.sagemaker.delete_inference_component,
        hosting.sagemaker.describe_inference_component,
    ):
        refused(call, "Could not find inference component", InferenceComponentName=name)


def test_endpoint_with_components_is_not_deleted_and_model_may_be(hosting):
    endpoint, model = hosting.host(), hosting.named("a")
    name = hosting.component(endpoint, model)

    refused(hosting.sagemaker.delete_endpoint, name, EndpointName=endpoint)
    hosting.sagemaker.delete_model(ModelName=model)
    assert hosting.ask(endpoint, name)["model"] == "a"

    hosting.delete(name)
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    assert hosting.settled(endpoint) is None


def test_components_stay_when_their_endpoint_is_updated(hosting):
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"))

    def update(config):
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        return hosting.settled(endpoint)

    larger = hosting.variant(None, count=2)
    del larger["ModelName"]
    config = hosting.config(variants=[larger], ExecutionRoleArn=ROLE)
    assert update(config)["EndpointConfigName"] == config
    assert hosting.ask(endpoint, name)["model"] == "a"
    with pytest.raises(ClientError, match="needs a variant AllTraffic without a ModelName"):
        update(hosting.config(hosting.named("b")))


def test_capture_goes_by_the_variant(hosting, s3):
    endpoint = hosting.host(DataCaptureConfig=capture_config(hosting.bucket))
    name = hosting.component(endpoint)

    hosting.ask(endpoint, name, b"1,2", ContentType="text/csv")

    eventually(lambda: captured(s3, hosting.bucket), "the request is captured")
    ((key, record),) = captured(s3, hosting.bucket)
    assert f"/{endpoint}/AllTraffic/" in key
    assert record["captureData"]["endpointInput"]["data"] == "1,2"


def test_metrics_tell_the_component(hosting, monkeypatch):
    cloudwatch = FakeCloudWatch()
    monkeypatch.setattr(hosting.cloud.service.context.part(CloudWatch), "client", cloudwatch)
    endpoint = hosting.host()
    name = hosting.component(endpoint, copies=2)
    for _ in range(4):
        hosting.ask(endpoint, name)

    hosting.cloud.service.context.part(EndpointMetrics).flush()

    ours = {
        datum["MetricName"]: dict(zip(datum["Values"], datum["Counts"], strict=True))
        for _, datum in cloudwatch.put
        if datum["Dimensions"] == [{"Name": "InferenceComponentName", "Value": name}]
    }
    assert ours["Invocations"] == {1.0: 4.0}
    assert ours["InvocationsPerCopy"] == {0.5: 4.0}


def test_components_serve_again_after_a_restart(make_cloud, s3, bucket, processes):
    cloud = make_cloud()
    hosting = Components(cloud, s3, bucket)
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"), copies=2)
    created, deleted = hosting.component(endpoint), hosting.component(endpoint)
    store = cloud.service.context.store
    store.update("InferenceComponent", created, InferenceComponentStatus="Creating")
    store.update("InferenceComponent", deleted, InferenceComponentStatus="Deleting")
    cloud.stop()
    assert not processes.alive

    later = Components(make_cloud(), s3, bucket)

    eventually(lambda: len(processes.alive) == 2, "the copies serve again")
    described = later.sagemaker.describe_inference_component(InferenceComponentName=created)
    assert described["InferenceComponentStatus"] == "Failed"
    assert (
        "was stopped while the inference component was being created"
        in (described["FailureReason"])
    )
    assert later.come_to_rest(deleted) is None
    eventually(lambda: later.serves(endpoint, name, "a"), "the component answers")


def test_real_copies_serve_log_die_with_their_component_and_fail_with_a_cause(
    cloud, s3, bucket, logs
):
    hosting = Components(cloud, s3, bucket)
    endpoint = hosting.host()
    name = hosting.create(endpoint, hosting.model("a"))
    broken = hosting.create(endpoint, hosting.model(image=cloud.image(BROKEN)))

    assert hosting.come_to_rest(name)["InferenceComponentStatus"] == "InService"
    answer = hosting.ask(endpoint, name)
    assert answer["model"] == "a"
    reason = hosting.come_to_rest(broken)["FailureReason"]
    assert "Its last line: ValueError: this is no ONNX file" in reason
    assert reason.endswith("Please check CloudWatch logs for this inference component.")

    hosting.delete(name)
    assert gone(answer["pid"])
    group = f"/aws/sagemaker/InferenceComponents/{name}"
    eventually(
        lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"],
        "the log group exists",
    )
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("AllTraffic/i-")
