"""Inference components are updated and scaled: they answer all the while, or go back."""

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.cloudwatch import CloudWatch

from .component_servers import NEEDS, Components
from .conftest import eventually
from .fake_serving import FakeCloudWatch
from .model_servers import refused


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Components(cloud, s3, bucket)


def update(hosting, name, **request):
    hosting.sagemaker.update_inference_component(InferenceComponentName=name, **request)
    return hosting.come_to_rest(name)


def rolling(**policy):
    size = {"Type": "COPY_COUNT", "Value": 1}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0, **policy}}


def test_copies_are_scaled(hosting, processes):
    endpoint = hosting.host()
    name = hosting.component(endpoint)

    for count in (3, 0, 1):
        hosting.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": count}
        )
        described = hosting.come_to_rest(name)
        assert described["InferenceComponentStatus"] == "InService"
        expected = {"DesiredCopyCount": count, "CurrentCopyCount": count}
        assert described["RuntimeConfig"] == expected
        assert len(processes.alive) == count
    assert hosting.ask(endpoint, name)["model"] == "a"


def test_a_number_of_copies_that_cannot_start_leaves_those_there_were(hosting, processes):
    endpoint = hosting.host()
    name = hosting.component(endpoint)
    processes.broken.add("a")

    described = update(hosting, name, RuntimeConfig={"CopyCount": 2})

    assert described["InferenceComponentStatus"] == "InService"
    assert described["FailureReason"] == "model a is broken"
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert hosting.ask(endpoint, name)["model"] == "a"


@pytest.mark.parametrize(
    "policy",
    [None, rolling(), rolling(MaximumBatchSize={"Type": "CAPACITY_PERCENT", "Value": 50})],
)
def test_an_update_brings_new_copies_and_then_lets_the_old_ones_go(hosting, processes, policy):
    endpoint, model = hosting.host(), hosting.named("b")
    name = hosting.component(endpoint, hosting.named("a"), copies=2)
    request = {} if policy is None else {"DeploymentConfig": policy}

    described = update(
        hosting,
        name,
        Specification={"ModelName": model},
        RuntimeConfig={"CopyCount": 3},
        **request,
    )

    assert described["InferenceComponentStatus"] == "InService"
    assert "FailureReason" not in described
    assert described["Specification"] == {
        "ModelName": model,
        "ComputeResourceRequirements": NEEDS,
    }
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 3, "CurrentCopyCount": 3}
    assert described.get("LastDeploymentConfig") == policy
    eventually(lambda: [each.name for each in processes.alive] == ["b"] * 3, "the old ones went")
    assert hosting.ask(endpoint, name)["model"] == "b"


def test_requests_are_answered_while_a_component_is_updated(hosting, processes):
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"), copies=2)
    hosting.sagemaker.update_inference_component(
        InferenceComponentName=name,
        Specification={"ModelName": hosting.named("b")},
        DeploymentConfig=rolling(WaitIntervalInSeconds=1),
    )

    answers = set()

    def both():
        answers.add(hosting.ask(endpoint, name)["model"])
        return answers == {"a", "b"}

    eventually(both, "old and new copies answer")
    assert hosting.come_to_rest(name)["InferenceComponentStatus"] == "InService"
    assert {hosting.ask(endpoint, name)["model"] for _ in range(5)} == {"b"}


def test_a_component_without_copies_is_updated_to_some_and_to_none(hosting, processes):
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"), copies=0)
    hosting.sagemaker.update_inference_component(
        InferenceComponentName=name,
        Specification={"ModelName": hosting.named("b")},
        RuntimeConfig={"CopyCount": 2},
        DeploymentConfig=rolling(WaitIntervalInSeconds=1),
    )

    def answer():
        try:
            return hosting.ask(endpoint, name)["model"]
        except ClientError as error:
            return error.response["Error"]["Message"]

    eventually(lambda: answer() == "b", "the first new copy answers")
    assert {answer() for _ in range(20)} == {"b"}  # the old copies, which are none, get no share
    assert hosting.come_to_rest(name)["RuntimeConfig"]["CurrentCopyCount"] == 2
    described = update(
        hosting,
        name,
        Specification={"ModelName": hosting.named("c")},
        RuntimeConfig={"CopyCount": 0},
    )
    assert described["InferenceComponentStatus"] == "InService"
    hosting.refuses("has no capacity", endpoint, InferenceComponentName=name)


def test_an_update_that_fails_is_rolled_back_with_a_reason(hosting, processes):
    endpoint, model = hosting.host(), hosting.named("a")
    name = hosting.component(endpoint, model)
    processes.broken.add("sick")

    described = update(hosting, name, Specification={"ModelName": hosting.named("sick")})

    assert described["InferenceComponentStatus"] == "InService"
    assert described["FailureReason"] == "model sick is broken"
    assert described["Specification"]["ModelName"] == model
    assert hosting.ask(endpoint, name)["model"] == "a"
    # And the next one goes through.
    described = update(hosting, name, Specification={"ModelName": hosting.named("b")})
    assert "FailureReason" not in described
    assert hosting.ask(endpoint, name)["model"] == "b"


def test_an_alarm_rolls_an_update_back(hosting, processes, monkeypatch):
    cloudwatch = FakeCloudWatch()
    cloudwatch.states = {"errors": "ALARM"}
    monkeypatch.setattr(hosting.cloud.service.context.part(CloudWatch), "client", cloudwatch)
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"))
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}

    described = update(
        hosting,
        name,
        Specification={"ModelName": hosting.named("b")},
        DeploymentConfig=rolling() | alarms,
    )

    assert "in ALARM state: errors" in described["FailureReason"]
    assert [each.name for each in processes.alive] == ["a"]


def test_updates_are_refused_where_they_mean_nothing(hosting, processes):
    endpoint = hosting.host()
    name = hosting.component(endpoint)
    processes.broken.add("sick")
    failed = hosting.create(endpoint, hosting.named("sick"))
    hosting.come_to_rest(failed)

    def refuses(says, component, **request):
        refused(
            hosting.sagemaker.update_inference_component,
            says,
            InferenceComponentName=component,
            **request,
        )

    refuses("needs a Specification or a RuntimeConfig", name)
    refuses("Could not find inference component", "nobody", RuntimeConfig={"CopyCount": 1})
    refuses("Cannot update failed", failed, RuntimeConfig={"CopyCount": 1})
    refuses("Cannot update failed", failed, Specification={"ModelName": "m"})
    refuses("Could not find model", name, Specification={"ModelName": "nobody"})
    store = hosting.cloud.service.context.store
    store.update("InferenceComponent", name, InferenceComponentStatus="Deleting")
    refuses("DELETE_IN_PROGRESS", name, RuntimeConfig={"CopyCount": 1})


def test_an_update_that_a_restart_interrupted_is_settled(make_cloud, s3, bucket, processes):
    cloud = make_cloud()
    hosting = Components(cloud, s3, bucket)
    endpoint = hosting.host()
    name = hosting.component(endpoint, hosting.named("a"))
    hosting.sagemaker.update_inference_component(
        InferenceComponentName=name,
        Specification={"ModelName": hosting.named("b")},
        DeploymentConfig=rolling(WaitIntervalInSeconds=3600),
    )
    eventually(lambda: "b" in {each.name for each in processes.alive}, "a new copy runs")
    cloud.stop()
    assert not processes.alive

    later = Components(make_cloud(), s3, bucket)

    eventually(lambda: [each.name for each in processes.alive] == ["a"], "the old copy serves")
    described = later.come_to_rest(name)
    assert described["InferenceComponentStatus"] == "InService"
    assert (
        "was stopped while the inference component was being updated"
        in (described["FailureReason"])
    )
