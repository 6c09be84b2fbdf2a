"""Canary, linear and rolling updates: traffic moves in steps, alarms take it back."""

import threading
from collections import Counter

import pytest
from botocore.exceptions import EndpointConnectionError

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.hosting import deployment, vigil
from tidemill_local.sagemaker.hosting.deployment import Deployer

from .conftest import PATIENCE, eventually
from .fake_serving import FakeCloudWatch, use_fake_processes
from .model_servers import Hosting, refused, said, statuses
from .test_deployment_plan import blue_green, rolling, size

LONG = 3600  # a bake that no test waits for


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def processes(monkeypatch):
    monkeypatch.setattr(vigil, "LOOK_SECONDS", 0.02)
    return use_fake_processes(monkeypatch)


@pytest.fixture
def cloudwatch(cloud, monkeypatch):
    fake = FakeCloudWatch()
    monkeypatch.setattr(cloud.service.context.part(CloudWatch), "client", fake)
    return fake


class Rollouts(Hosting):
    """Endpoints of several instances, and updates of them."""

    def config_of(self, name, count=4, **fields):
        model = self.model(uri=self._uri(), Environment={"NAME": name})
        return self.config(variants=[self.variant(model, count=count, **fields)])

    def update(self, endpoint, config, policy=None, alarms=(), **request):
        policy = dict(policy or {})
        if alarms:
            names = [{"AlarmName": name} for name in alarms]
            policy["AutoRollbackConfiguration"] = {"Alarms": names}
        if policy:
            request["DeploymentConfig"] = policy
        self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **request)

    def describe(self, endpoint):
        return self.sagemaker.describe_endpoint(EndpointName=endpoint)

    def await_status(self, endpoint, status, message=""):
        def there(body):
            summary = body.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
            (told,) = summary[0].get("VariantStatus", [{}])
            return told.get("Status") == status and message in told["StatusMessage"]

        store = self.cloud.service.context.store
        body = store.wait_for("Endpoint", endpoint, there, PATIENCE)
        assert there(body), body
        return self.describe(endpoint)["PendingDeploymentSummary"]["ProductionVariants"][0]

    def answers(self, endpoint, number=400):
        path = f"/endpoints/{endpoint}/invocations"
        invoke = self.cloud.service.invoke
        return Counter(said({"Body": invoke("POST", path, {}, b"")[2]})["model"]
                       for _ in range(number))  # fmt: skip

    def told(self, endpoint):
        """Return what the deployment events said: status and message of the first variant."""
        found = []
        for detail in self.cloud.details("Endpoint Deployment", endpoint):
            assert detail["EndpointStatus"] == "UPDATING"
            live = detail["ProductionVariants"][0].get("VariantStatus")
            pending = detail.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
            (status,) = live or pending[0]["VariantStatus"]
            found.append((status["Status"], status["StatusMessage"]))
        return found

    def _uri(self):
        if not hasattr(self, "_model_uri"):
            self._model_uri = self.put_model()
        return self._model_uri


@pytest.fixture
def rollouts(cloud, s3, bucket, processes):
    return Rollouts(cloud, s3, bucket)


def test_canary_gets_its_share_and_an_alarm_takes_it_back(rollouts, processes, cloudwatch):
    cloudwatch.states["errors"] = "OK"
    first = rollouts.config_of("a")
    name = rollouts.endpoint(first)
    canary = blue_green("CANARY", LONG, CanarySize=size(1))
    rollouts.update(name, rollouts.config_of("b"), canary, ["errors"])

    pending = rollouts.await_status(name, "Baking")

    assert pending["VariantStatus"][0]["StatusMessage"] == (
        "Baking for 3600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity "
        "of 1 instance(s)."
    )
    assert (pending["CurrentInstanceCount"], pending["DesiredInstanceCount"]) == (1, 4)
    seen = rollouts.answers(name)
    assert 45 < seen["b"] < 165  # 100 on average, six standard deviations either side
    assert rollouts.describe(name)["EndpointStatus"] == "Updating"
    assert len(processes.alive) == 8

    cloudwatch.states["errors"] = "ALARM"
    described = rollouts.settled(name)

    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", first)
    assert "errors" in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert set(rollouts.answers(name, 50)) == {"a"}
    eventually(lambda: len(processes.alive) == 4, "the new fleet is gone")
    eventually(
        lambda: statuses(rollouts.cloud, name)[-2:] == ["UPDATING", "IN_SERVICE"],
        "the events of an update",
    )


def test_canary_that_bakes_well_takes_everything(rollouts, processes, cloudwatch):
    cloudwatch.states["errors"] = "INSUFFICIENT_DATA"
    name = rollouts.endpoint(rollouts.config_of("a", 2))
    canary = blue_green("CANARY", 0, 1, CanarySize=size(50, "CAPACITY_PERCENT"))
    config = rollouts.config_of("b", 2)
    rollouts.update(name, config, canary, ["errors"])

    described = rollouts.settled(name)

    assert described["EndpointConfigName"] == config
    assert "FailureReason" not in described
    assert set(rollouts.answers(name, 50)) == {"b"}
    eventually(lambda: len(processes.alive) == 2, "the old fleet is gone")
    enabled = "with traffic enabled on full capacity of 2 instance(s)."
    assert rollouts.told(name) == [
        ("ActivatingTraffic", "Activating traffic on canary capacity of 1 instance(s)."),
        ("ActivatingTraffic", "Activating traffic on full capacity of 2 instance(s)."),
        ("Baking", f"Baking for 1 seconds (TerminationWaitInSeconds) {enabled}"),
        ("Deleting", "Terminating the instance(s) of the previous configuration."),
    ]  # fmt: skip
    assert described["ProductionVariants"][0].get("VariantStatus") is None


def test_linear_moves_step_by_step_and_an_alarm_in_the_last_bake_takes_all_back(
    rollouts, cloudwatch
):
    cloudwatch.states["errors"] = "OK"
    name = rollouts.endpoint(rollouts.config_of("a", 2))
    linear = blue_green("LINEAR", 0, LONG, LinearStepSize=size(1))
    rollouts.update(name, rollouts.config_of("b", 2), linear, ["errors"])

    rollouts.await_status(name, "Baking", "full capacity")
    assert set(rollouts.answers(name, 50)) == {"b"}
    cloudwatch.states["errors"] = "ALARM"

    assert "errors" in rollouts.settled(name)["FailureReason"]
    assert set(rollouts.answers(name, 50)) == {"a"}
    messages = [message for status, message in rollouts.told(name) if status != "Baking"]
    assert messages == [
        "Activating traffic on capacity of 1 instance(s).",
        "Activating traffic on full capacity of 2 instance(s).",
    ]


def test_rolling_replaces_batch_by_batch(rollouts, processes, cloudwatch):
    cloudwatch.states["errors"] = "OK"
    name = rollouts.endpoint(rollouts.config_of("a", 4))
    config = rollouts.config_of("b", 4)
    rollouts.update(name, config, rolling(size(50, "CAPACITY_PERCENT"), LONG), ["errors"])

    pending = rollouts.await_status(name, "Baking")
    assert pending["CurrentInstanceCount"] == 2
    assert len(processes.alive) == 6  # a batch more than before, not twice as many
    assert 120 < rollouts.answers(name)["b"] < 280
    cloudwatch.states["errors"] = "ALARM"
    rollouts.settled(name)
    assert len(processes.alive) == 4


def test_rolling_to_its_end(rollouts, processes):
    name = rollouts.endpoint(rollouts.config_of("a", 3))
    config = rollouts.config_of("b", 3)
    rollouts.update(name, config, rolling(size(1)))

    assert rollouts.settled(name)["EndpointConfigName"] == config
    assert set(rollouts.answers(name, 50)) == {"b"}
    eventually(lambda: len(processes.alive) == 3, "the old instances are gone")
    told = rollouts.told(name)
    assert told[:3] == [
        ("Creating", "Launching 1 instance(s)."),
        ("ActivatingTraffic", "Activating traffic on capacity of 1 instance(s)."),
        ("Deleting", "Terminating 1 instance(s)."),
    ]


def test_rolling_goes_back_by_starting_what_it_ended(rollouts, processes, cloudwatch):
    cloudwatch.states["errors"] = "OK"
    first = rollouts.config_of("a", 4)
    name = rollouts.endpoint(first)
    policy = rolling(size(2), 1, RollbackMaximumBatchSize=size(2))
    rollouts.update(name, rollouts.config_of("b", 4), policy, ["errors"])
    rollouts.await_status(name, "Baking", "full capacity")
    assert sum(each.workload.environment["NAME"] == "a" for each in processes.alive) == 2

    cloudwatch.states["errors"] = "ALARM"
    described = rollouts.settled(name)

    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", first)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 4
    assert [each.workload.environment["NAME"] for each in processes.alive] == ["a"] * 4
    assert set(rollouts.answers(name, 50)) == {"a"}


def test_rolling_that_cannot_go_back_serves_a_mix_until_the_next_update(
    rollouts, processes, cloudwatch
):
    cloudwatch.states["errors"] = "OK"
    name = rollouts.endpoint(rollouts.config_of("a", 4))
    rollouts.update(name, rollouts.config_of("b", 4), rolling(size(2), 1), ["errors"])
    rollouts.await_status(name, "Baking", "full capacity")
    processes.broken.add("a")
    cloudwatch.states["errors"] = "ALARM"

    described = rollouts.settled(name)

    assert described["EndpointStatus"] == "UpdateRollbackFailed"
    assert "The rollback failed, too: model a is broken" in described["FailureReason"]
    assert rollouts.answers(name)["b"]
    eventually(
        lambda: statuses(rollouts.cloud, name)[-1] == "UPDATE_ROLLBACK_FAILED",
        "the event of a rollback that failed",
    )
    cloudwatch.states["errors"] = "OK"
    rollouts.update(name, rollouts.config_of("c", 4), blue_green())
    assert rollouts.settled(name)["EndpointStatus"] == "InService"
    assert set(rollouts.answers(name, 50)) == {"c"}
    eventually(lambda: len(processes.alive) == 4, "both old fleets are gone")


def test_alarms_are_looked_at_before_anything_starts(rollouts, processes, cloudwatch):
    cloudwatch.states["errors"] = "ALARM"
    name = rollouts.endpoint(rollouts.config_of("a", 1))

    rollouts.update(name, rollouts.config_of("b", 1), {}, ["errors"])
    assert "errors" in rollouts.settled(name)["FailureReason"]
    rollouts.update(name, rollouts.config_of("b", 1), {}, ["none", "errors"])
    assert "do not exist: none" in rollouts.settled(name)["FailureReason"]

    assert len(processes.alive) == 1
    assert rollouts.told(name) == []


def test_alarms_that_cannot_be_read_stop_a_deployment(rollouts, cloudwatch):
    cloudwatch.error = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    name = rollouts.endpoint(rollouts.config_of("a", 1))

    rollouts.update(name, rollouts.config_of("b", 1), blue_green(final=LONG), ["errors"])

    assert "cannot be read" in rollouts.settled(name)["FailureReason"]


def test_a_new_fleet_that_does_not_start_takes_no_traffic(rollouts, processes):
    processes.broken.add("b")
    name = rollouts.endpoint(rollouts.config_of("a", 2))

    for policy in (blue_green("CANARY", CanarySize=size(1)), rolling(size(1))):
        rollouts.update(name, rollouts.config_of("b", 2), policy)
        assert "model b is broken" in rollouts.settled(name)["FailureReason"]

    assert set(rollouts.answers(name, 50)) == {"a"}
    assert len(processes.alive) == 2


def test_a_deployment_that_takes_too_long_is_rolled_back(rollouts, monkeypatch):
    name = rollouts.endpoint(rollouts.config_of("a", 1))
    whole = deployment.plan
    monkeypatch.setattr(deployment, "plan", lambda *given: replaced(whole(*given), timeout=0.0))

    rollouts.update(name, rollouts.config_of("b", 1), blue_green(final=599, timeout=600))

    assert "MaximumExecutionTimeoutInSeconds" in rollouts.settled(name)["FailureReason"]


def replaced(plan, **fields):
    return type(plan)(**{**vars(plan), **fields})


def test_what_is_refused_changes_nothing(rollouts):
    name = rollouts.endpoint(rollouts.config_of("a", 1))
    config = rollouts.config_of("b", 1)

    refused(
        rollouts.sagemaker.update_endpoint,
        "CanarySize of 1 (INSTANCE_COUNT) is not between 1% and 50%",
        EndpointName=name,
        EndpointConfigName=config,
        DeploymentConfig=blue_green("CANARY", CanarySize=size(1)),
    )
    refused(
        rollouts.sagemaker.create_endpoint,
        "only one update policy",
        EndpointName="other",
        EndpointConfigName=config,
        DeploymentConfig=blue_green() | rolling(size(1)),
    )
    assert rollouts.describe(name)["EndpointStatus"] == "InService"


def test_the_last_deployment_config_can_be_used_again(rollouts):
    policy = blue_green("CANARY", CanarySize=size(1))
    name = rollouts.endpoint(rollouts.config_of("a", 2), DeploymentConfig=policy)

    rollouts.update(name, rollouts.config_of("b", 2), RetainDeploymentConfig=True)

    assert rollouts.settled(name)["LastDeploymentConfig"] == policy
    assert [status for status, _ in rollouts.told(name)].count("ActivatingTraffic") == 2
    rollouts.update(name, rollouts.config_of("c", 2))
    assert "LastDeploymentConfig" not in rollouts.settled(name)


def test_a_service_that_ends_in_a_bake_comes_back_with_the_old_fleet(
    make_cloud, s3, bucket, processes
):
    cloud = make_cloud()
    rollouts = Rollouts(cloud, s3, bucket)
    first = rollouts.config_of("a", 2)
    name = rollouts.endpoint(first)
    rollouts.update(name, rollouts.config_of("b", 2), blue_green(final=LONG))
    rollouts.await_status(name, "Baking")
    cloud.stop()
    assert processes.alive == []

    later = Rollouts(make_cloud(), s3, bucket)

    described = later.describe(name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", first)
    assert "was stopped while the endpoint was being updated" in described["FailureReason"]
    eventually(lambda: len(processes.alive) == 2, "the old fleet serves again")
    eventually(lambda: later.cloud.service.invoke(
        "POST", f"/endpoints/{name}/invocations", {}, b"")[0] == 200, "it answers")  # fmt: skip
    assert set(later.answers(name, 20)) == {"a"}


def test_instances_are_started_and_stopped_as_desired(rollouts, processes):
    name = rollouts.endpoint(rollouts.config_of("a", 1))

    def scale(count):
        rollouts.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            ],
        )
        return rollouts.settled(name)

    assert scale(3)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert len(processes.alive) == 3
    asked = {said(rollouts.invoke(name))["instance"] for _ in range(60)}
    assert asked == {"AllTraffic", "AllTraffic.1", "AllTraffic.2"}
    assert rollouts.told(name) == [("Updating", "Scaling out desired instance count to 3.")]
    assert scale(2)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert len(processes.alive) == 2

    processes.broken.add("a")
    described = scale(4)

    assert described["EndpointStatus"] == "InService"
    assert "model a is broken" in described["FailureReason"]
    assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    eventually(
        lambda: (
            statuses(rollouts.cloud, name)[-3:] == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]
            and len(processes.alive) == 2
        ),
        "the events of an update that went back",
    )


def test_maintenance_blocks_changes_and_ends_by_itself(rollouts, processes, monkeypatch):
    name = rollouts.endpoint(rollouts.config_of("a", 1))
    (before,) = processes.alive
    started, go_on = processes.start, threading.Event()

    def slowly(process):
        go_on.wait(PATIENCE)
        started(process)

    monkeypatch.setattr(processes, "start", slowly)
    rollouts.cloud.service.context.part(Deployer).maintain(name)
    eventually(
        lambda: rollouts.describe(name)["EndpointStatus"] == "SystemUpdating", "it is maintained"
    )

    says = "Cannot update in-progress endpoint"
    config = rollouts.config_of("b", 1)
    refused(rollouts.sagemaker.update_endpoint, says, EndpointName=name, EndpointConfigName=config)
    refused(rollouts.sagemaker.delete_endpoint, says, EndpointName=name)
    assert set(rollouts.answers(name, 10)) == {"a"}
    go_on.set()
    eventually(lambda: rollouts.describe(name)["EndpointStatus"] == "InService", "it has ended")
    eventually(lambda: before not in processes.alive, "what served before is gone")
    assert len(processes.alive) == 1
    assert "FailureReason" not in rollouts.describe(name)
