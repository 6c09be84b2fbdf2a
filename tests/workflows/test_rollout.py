"""Every state of `rollout` is entered, and every Catch of it taken, on the real engine."""

import io
import json
import re
import tarfile

import pytest

from deployed import TURN_SECONDS, aws_name, table
from local_cloud import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def pending(stack, request):
    """A model with version 1 registered and waiting for a person."""
    words = re.findall(r"[a-z0-9]+", request.node.name.removeprefix("test_").lower())
    name = "-".join(words)[:24].rstrip("-")
    ref = stack.apply(name, approve="manual")
    stack.put(ref, "a.csv", table())
    assert stack.ended_run(ref)["status"] == "succeeded", stack.story(ref)
    return ref


@pytest.fixture
def serving(stack, pending):
    """A model whose version 1 is in service, and whose version 2 waits."""
    approve(stack, pending, 1)
    assert stack.entry(pending, "rollout")["verdict"] == "in service"
    stack.put(pending, "b.csv", table(seed=2, first=400))
    assert stack.ended_run(pending, number=2)["status"] == "succeeded", stack.story(pending)
    return pending


def approve(stack, ref, version):
    project, model = ref.split("/")
    stack.invoke(
        "JudgeVersionFunctionName",
        {
            "project": project,
            "model": model,
            "version": version,
            "verdict": "approve",
            "why": "a test approves",
        },
    )


def package(stack, ref, version):
    found = stack.registry.version(f"tidemill--{ref.replace('/', '--')}", version)
    return stack.registry.describe(found["package"])


def spoil(stack, uri, body):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    stack.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def spoil_model(stack, ref, version):
    """Replace the version's artifact by one without a model."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("nothing.txt"))
    container = package(stack, ref, version)["InferenceSpecification"]["Containers"][0]
    spoil(stack, container["ModelDataUrl"], packed.getvalue())


def spoil_smoke_rows(stack, ref, version):
    """Claim that the version answered something else when it was evaluated."""
    metrics = package(stack, ref, version)["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    uri = metrics.replace("evaluation.json", "smoke.json")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    client = stack.cloud.client("s3")
    smoke = json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    smoke["predictions"][0]["score"] += 0.25
    spoil(stack, uri, json.dumps(smoke).encode())


def test_update_takes_over(stack, serving):
    approve(stack, serving, 2)

    second = stack.entry(serving, "rollout", count=2)

    assert second["verdict"] == "in service"
    assert stack.stores.champions.find(serving)["version"] == 2
    assert stack.stores.champions.find(serving)["previous"] == 1


def test_repeated_approval(stack, serving):
    approve(stack, serving, 1)

    assert stack.entry(serving, "rollout", verdict="keep")["subject"] == "version 1"
    assert stack.stores.champions.find(serving)["version"] == 1


def test_rollback_and_back(stack, serving):
    approve(stack, serving, 2)
    stack.entry(serving, "rollout", count=2)
    project, model = serving.split("/")
    stack.invoke(
        "RequestRollbackFunctionName", {"project": project, "model": model, "why": "it is worse"}
    )

    third = stack.entry(serving, "rollout", count=3)

    assert third["subject"] == "version 1"
    assert "it is worse" in third["reason"]
    assert stack.stores.champions.find(serving)["version"] == 1


def test_broken_first_model(stack, pending):
    spoil_model(stack, pending, 1)
    approve(stack, pending, 1)

    failed = stack.entry(pending, "rollout")

    assert failed["verdict"] == "fail"
    assert "AwaitEndpoint" in failed["reason"]
    assert stack.endpoint(pending) is None or (
        stack.endpoint(pending)["EndpointStatus"] == "Deleting"
    )
    assert stack.stores.leases.read(pending, "rollout").holder == ""


def test_broken_update(stack, serving):
    before = stack.endpoint(serving)["EndpointConfigName"]
    spoil_model(stack, serving, 2)
    approve(stack, serving, 2)

    failed = stack.entry(serving, "rollout", count=2)

    assert failed["verdict"] == "roll back"
    assert stack.endpoint(serving)["EndpointConfigName"] == before
    assert stack.stores.champions.find(serving)["version"] == 1


def test_smoke_fails_at_first(stack, pending):
    spoil_smoke_rows(stack, pending, 1)
    approve(stack, pending, 1)

    failed = stack.entry(pending, "rollout")

    assert failed["verdict"] == "fail"
    assert "smoke rows" in failed["reason"]
    assert "DeleteNewEndpoint" in stack.states(stack.rollout_execution(failed))
    assert stack.stores.champions.find(pending) is None


def test_smoke_fails_later(stack, serving):
    before = stack.endpoint(serving)["EndpointConfigName"]
    spoil_smoke_rows(stack, serving, 2)
    approve(stack, serving, 2)

    failed = stack.entry(serving, "rollout", count=2)

    assert failed["verdict"] == "roll back"
    assert "AwaitRollback" in stack.states(stack.rollout_execution(failed))
    assert stack.endpoint(serving)["EndpointConfigName"] == before
    assert stack.endpoint(serving)["EndpointStatus"] == "InService"


def test_update_on_bad_days(stack, serving):
    """SageMaker rolls back without a word; then it throttles, and nobody hears of its events."""
    endpoint = aws_name(serving)
    with stack.faults.during("silent-rollback", name=endpoint):
        approve(stack, serving, 2)
        undone = stack.entry(serving, "rollout", count=2)
    assert undone["verdict"] == "roll back"
    assert stack.stores.champions.find(serving)["version"] == 1

    unheard = {"event": "SageMaker Endpoint State Change", "name": endpoint}
    throttled = {"operation": "*Endpoint*", "name": f"{endpoint}*", "probability": 0.3, "seed": 34}
    with (
        stack.faults.during("drop-event", **unheard) as dropped,
        stack.faults.during("throttle", **throttled) as throttle,
    ):
        execution = stack.begin_rollout(serving, 2, "bad-day")
        describe = stack.cloud.client("stepfunctions").describe_execution

        def over():
            stack.invoke("SweepFunctionName", {})
            return describe(executionArn=execution)["status"] != "RUNNING"

        wait_until(over, TURN_SECONDS, lambda: stack.story(serving))
        assert stack.faults.get(dropped.id).struck
        assert stack.faults.get(throttle.id).struck

    assert describe(executionArn=execution)["status"] == "SUCCEEDED"
    assert stack.stores.champions.find(serving)["version"] == 2


@pytest.mark.parametrize(
    ("state", "kind"), [("CreateModel", "model"), ("CreateEndpointConfig", "config")]
)
def test_name_taken(stack, pending, state, kind):
    """The names belong to the execution; what stands there already is somebody else's."""
    name = f"tidemill--{pending.replace('/', '--')}--taken"
    sagemaker = stack.cloud.client("sagemaker")
    container = package(stack, pending, 1)["InferenceSpecification"]["Containers"][0]
    model = name if kind == "model" else f"{name}-other"
    sagemaker.create_model(
        ModelName=model,
        PrimaryContainer={"Image": container["Image"], "ModelDataUrl": container["ModelDataUrl"]},
        ExecutionRoleArn="arn:aws:iam::000000000000:role/tidemill-test",
    )
    if kind == "config":
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "v",
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        )
    execution = stack.start_rollout(pending, 1, "some-taken", approved=True)

    assert execution["status"] == "FAILED"
    assert stack.entry(pending, "rollout")["reason"].startswith(f"{state}: ")


def test_unapproved_version(stack, pending):
    execution = stack.start_rollout(pending, 1, "never-approved")

    assert execution["status"] == "FAILED"
    assert "not approved" in stack.entry(pending, "rollout")["reason"]


@pytest.mark.parametrize(
    ("state", "function"),
    [("AwaitEndpoint", "ParkFunction"), ("SmokeTest", "SmokeEndpointFunction")],
)
def test_broken_function(stack, pending, state, function):
    with stack.broken(function):
        approve(stack, pending, 1)
        failed = stack.entry(pending, "rollout")

    assert failed["reason"].startswith(f"{state}: ")
    assert stack.stores.leases.read(pending, "rollout").holder == ""


def test_unclosable(stack, pending):
    with stack.broken("CloseRolloutFunction"):
        approve(stack, pending, 1)
        failed = stack.entry(pending, "rollout")

    assert failed["verdict"] == "fail"
    assert stack.stores.leases.read(pending, "rollout").holder == ""


def test_failed_endpoint_replaced(stack, pending):
    """A Failed endpoint accepts only deletion: the next approval deletes it and begins anew."""
    sagemaker = stack.cloud.client("sagemaker")
    name = f"tidemill--{pending.replace('/', '--')}"
    container = package(stack, pending, 1)["InferenceSpecification"]["Containers"][0]
    sagemaker.create_model(
        ModelName=f"{name}--hopeless",
        PrimaryContainer={"Image": "nobody/knows:this", "ModelDataUrl": container["ModelDataUrl"]},
        ExecutionRoleArn="arn:aws:iam::000000000000:role/tidemill-test",
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=f"{name}--hopeless",
        ProductionVariants=[
            {
                "VariantName": "v",
                "ModelName": f"{name}--hopeless",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}--hopeless")
    stack.until_endpoint(pending, "Failed")

    approve(stack, pending, 1)

    done = stack.entry(pending, "rollout")
    assert done["verdict"] == "in service"
    assert "DeleteFailedEndpoint" in stack.states(stack.rollout_execution(done))


def test_two_approvals_at_once(stack, serving):
    """One rollout a model at a time: the second waits for the first, and the last one stays."""
    approve(stack, serving, 2)
    project, model = serving.split("/")
    stack.invoke(
        "RequestRollbackFunctionName",
        {"project": project, "model": model, "why": "at once", "version": 1},
    )

    stack.entry(serving, "rollout", count=3)

    assert stack.endpoint(serving)["EndpointStatus"] == "InService"
    champion = stack.stores.champions.find(serving)
    assert stack.endpoint(serving)["EndpointConfigName"] == champion["config"]
