import json
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.errors import InvalidInputError, NotFoundError, RolloutBusyError
from tidemill.spec.compiled import Capture, Serverless

from ...stack import ARTIFACTS, LAKE
from .scenes import MODEL, NAME, REF

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plan(cloud, spec):
    cloud.apply(spec)
    package = cloud.sagemaker.add_version(NAME, 3, "Approved")

    def plan(execution="delay-v3-4f5c2a1b9d3e", version=3, package=package):
        event = {**MODEL, "version": version, "package": package, "why": "good"}
        return cloud.invoke("plan_rollout", event | {"execution": execution})

    return plan


def test_a_first_rollout_creates(plan):
    planned = plan()
    assert (planned["action"], planned["endpoint"], planned["before"]) == ("create", NAME, "")
    config = f"{NAME}--4f5c2a1b9d3e"
    assert planned["config"] == planned["create_config"]["EndpointConfigName"] == config
    assert planned["create_model"]["ModelName"] == config
    capture = planned["create_config"]["DataCaptureConfig"]["DestinationS3Uri"]
    assert capture == f"s3://{LAKE}/capture/{REF}"
    assert planned["smoke"] == "s3://tidemill-artifacts/pipelines/e3/smoke.json"


@pytest.mark.parametrize(
    ("status", "action", "before"),
    [
        ("InService", "update", "c1"),
        ("Updating", "update", "c1"),
        ("Failed", "replace", "c1"),
        ("Deleting", "create", "c1"),
        ("UpdateRollbackFailed", "update", "c1"),
    ],
)
def test_what_is_there_says_what_to_do(cloud, plan, status, action, before):
    cloud.sagemaker.add_endpoint(NAME, "c1", status)
    planned = plan()
    assert (planned["action"], planned["before"]) == (action, before)


@pytest.mark.parametrize(("status", "left"), [("InService", 1), ("Failed", 0)])
def test_only_an_endpoint_that_is_replaced_loses_its_monitoring_schedule(cloud, plan, status, left):
    """An endpoint that a schedule watches is not deleted; the rollout's end makes a new one."""
    cloud.sagemaker.add_endpoint(NAME, "c1", status)
    for schedule in (f"{NAME}--watch", "tidemill--flights--other--watch"):
        cloud.sagemaker.monitors[schedule] = {"MonitoringScheduleConfig": {}}
    plan()
    plan()
    assert len(cloud.sagemaker.monitors) == 1 + left


def test_one_rollout_of_a_model_at_a_time(plan):
    plan("delay-v3-1")
    with pytest.raises(RolloutBusyError, match="flights/delay"):
        plan("delay-v4-2")


def test_a_retried_plan_is_not_busy_with_itself(plan):
    assert plan() == plan()


def test_the_lease_outlives_the_workflow_that_holds_it(cloud, plan):
    """Else a second rollout could begin while the first still waits for its endpoint."""
    asl = json.loads((ROOT / "statemachines" / "rollout.asl.json").read_text())
    plan()
    assert cloud.stores.leases.read(REF, "rollout").expires_at > cloud.now + asl["TimeoutSeconds"]


def test_a_run_s_lease_outlives_its_workflow_too():
    from tidemill.adapters.runs import LEASE_SECONDS  # noqa: PLC0415

    asl = json.loads((ROOT / "statemachines" / "retrain.asl.json").read_text())
    assert asl["TimeoutSeconds"] < LEASE_SECONDS


def test_a_version_that_was_rejected_meanwhile_stays_out(cloud, plan):
    package = cloud.sagemaker.add_version(NAME, 4, "Rejected")
    with pytest.raises(InvalidInputError, match="version 4 is not approved"):
        plan(version=4, package=package)


def test_a_package_that_is_gone_is_named(plan):
    with pytest.raises(NotFoundError, match="arn:gone"):
        plan(package="arn:aws:sagemaker:us-east-1:123456789012:model-package/tidemill--arn:gone/1")


def test_a_rollout_with_redaction_tells_the_container_and_not_sagemaker(cloud, plan, spec):
    capture = Capture(percent=50, redact={"carrier": "hash"})
    cloud.apply(replace(spec, watch=replace(spec.watch, capture=capture)))

    planned = plan()

    assert "DataCaptureConfig" not in planned["create_config"]
    environment = planned["create_model"]["PrimaryContainer"]["Environment"]
    told = json.loads(environment["TIDEMILL_CAPTURE_1"])
    assert (told["endpoint"], told["percent"]) == (NAME, 50)
    assert told["key_uri"] == f"s3://{ARTIFACTS}/keys/{REF}/capture"


INSTANCES, SERVERLESS = {"VariantName": "champion"}, {"CurrentServerlessConfig": {}}


@pytest.mark.parametrize(
    ("variant", "status", "action"),
    [
        (INSTANCES, "InService", "refused"),
        (INSTANCES, "Failed", "replace"),
        (INSTANCES, "Deleting", "create"),
        (SERVERLESS, "InService", "update"),
    ],
)
def test_an_endpoint_with_instances_does_not_become_serverless(  # noqa: PLR0917
    cloud, plan, spec, variant, status, action
):
    deploy = replace(spec.deploy, serverless=Serverless(2_048, 5))
    cloud.apply(replace(spec, deploy=deploy))
    cloud.sagemaker.add_endpoint(NAME, "c1", status, ProductionVariants=[variant])

    if action == "refused":
        with pytest.raises(InvalidInputError, match=f"delete-endpoint --endpoint-name {NAME}"):
            plan()
    else:
        assert plan()["action"] == action


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        package = cloud.sagemaker.add_version(NAME, 3, "Approved")
        cloud.sagemaker.add_endpoint(NAME, "c1", "Failed")
        cloud.sagemaker.monitors[f"{NAME}--watch"] = {"MonitoringScheduleConfig": {}}
        event = {**MODEL, "version": 3, "package": package, "why": "good"}
        return event | {"execution": "delay-v3-4f5c"}

    survives("plan_rollout", prepare)
