"""Who hears of an invocation besides its caller: CloudWatch, and shadow variants."""

from collections import Counter

import pytest

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.hosting.invocation import Shadows
from tidemill_local.sagemaker.hosting.metrics import EndpointMetrics

from .conftest import eventually
from .fake_serving import FakeCloudWatch
from .model_servers import CSV_AND_JSON, Hosting, refused, said
from .test_capture import capture_config, captured


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Hosting(cloud, s3, bucket)


def named(hosting, name):
    return hosting.model(Environment={"NAME": name})


def shadowed(hosting, weight=1.0, **request):
    shadow = hosting.variant(named(hosting, "b"), "Shadow", InitialVariantWeight=weight)
    return hosting.config(
        variants=[hosting.variant(named(hosting, "a"), "A")],
        ShadowProductionVariants=[shadow],
        **request,
    )


def test_metrics_tell_variant_and_configuration(hosting, monkeypatch):
    cloudwatch = FakeCloudWatch()
    monkeypatch.setattr(hosting.cloud.service.context.part(CloudWatch), "client", cloudwatch)
    config = hosting.config(named(hosting, "a"))
    name = hosting.endpoint(config)
    for body in (b"", b"", b"fail 400", b"fail 503"):
        hosting.cloud.service.invoke("POST", f"/endpoints/{name}/invocations", {}, body)

    hosting.cloud.service.context.part(EndpointMetrics).flush()
    ours = [
        datum
        for namespace, datum in cloudwatch.put
        if namespace == "AWS/SageMaker" and datum["Dimensions"][0]["Value"] == name
    ]

    counts = Counter()
    for datum in ours:
        if len(datum["Dimensions"]) == 3:
            assert datum["Dimensions"][1:] == [
                {"Name": "VariantName", "Value": "AllTraffic"},
                {"Name": "EndpointConfigName", "Value": config},
            ]
            pairs = zip(datum["Values"], datum["Counts"], strict=True)
            counts[datum["MetricName"]] += sum(value * count for value, count in pairs)
    assert counts["Invocations"] == 4
    assert counts["Invocation4XXErrors"] == 1
    assert counts["Invocation5XXErrors"] == 1
    assert counts["OverheadLatency"] > 0


def test_a_shadow_gets_a_copy_and_its_answer_is_captured_only(hosting, s3, bucket):
    rule = capture_config(bucket, CaptureContentTypeHeader=CSV_AND_JSON)
    name = hosting.endpoint(shadowed(hosting, DataCaptureConfig=rule))

    answer = hosting.invoke(name, b"1,2", ContentType="text/csv", InferenceId="mine")

    assert said(answer)["model"] == "a"
    assert answer["InvokedProductionVariant"] == "A"
    eventually(lambda: len(captured(s3, bucket)) == 2, "both answers are captured")
    described = hosting.sagemaker.describe_endpoint(EndpointName=name)
    (shadow,) = described["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["CurrentInstanceCount"]) == ("Shadow", 1)


def test_a_shadow_that_is_slow_or_fails_costs_the_caller_nothing(hosting, processes):
    name = hosting.endpoint(shadowed(hosting))
    (shadow,) = [each for each in processes.alive if each.workload.variant == "Shadow"]
    shadow.client = None

    assert said(hosting.invoke(name))["model"] == "a"
    eventually(
        lambda: not hosting.cloud.service.context.part(Shadows)._under_way, "no copy is under way"
    )


def test_a_shadows_weight_is_its_share_and_can_be_changed(hosting, processes):
    name = hosting.endpoint(shadowed(hosting, weight=0.25))
    shadows = hosting.cloud.service.context.part(Shadows)
    sent = []
    shadows_send, shadows.send = shadows.send, lambda call, shadow: sent.append(shadow)
    try:
        path = f"/endpoints/{name}/invocations"
        for _ in range(400):
            hosting.cloud.service.invoke("POST", path, {}, b"")
        assert 45 < len(sent) < 165  # 100 on average
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "Shadow", "DesiredWeight": 0.0}],
        )
        hosting.settled(name)
        sent.clear()
        hosting.cloud.service.invoke("POST", path, {}, b"")
        assert sent == []
    finally:
        shadows.send = shadows_send


def test_what_sagemaker_refuses_of_shadows(hosting):
    model = named(hosting, "a")
    one, two = hosting.variant(model, "A"), hosting.variant(model, "B")
    shadow, other = hosting.variant(model, "S"), hosting.variant(model, "T")
    create = hosting.sagemaker.create_endpoint_config

    for variants, shadows, says in (
        ([one, two], [shadow], "exactly one production variant and one shadow"),
        ([one], [shadow, other], "exactly one production variant and one shadow"),
        ([one], [one], "Variant names must be unique"),
    ):
        refused(
            create,
            says,
            EndpointConfigName="c",
            ProductionVariants=variants,
            ShadowProductionVariants=shadows,
        )
    name = hosting.endpoint(shadowed(hosting))
    refused(
        hosting.runtime.invoke_endpoint,
        "Variant Shadow of endpoint",
        code="ValidationError",
        EndpointName=name,
        Body=b"",
        TargetVariant="Shadow",
    )
