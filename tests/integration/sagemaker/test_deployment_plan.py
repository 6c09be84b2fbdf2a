"""What a DeploymentConfig asks for, and what SageMaker refuses in one."""

import pytest

from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.hosting.deployment_plan import plan


def variants(count=4, **more):
    return [{"VariantName": "A", "InstanceType": "ml.m5.large", "InitialInstanceCount": count}
            | more]  # fmt: skip


def size(value, kind="INSTANCE_COUNT"):
    return {"Type": kind, "Value": value}


def blue_green(kind="ALL_AT_ONCE", wait=0, final=0, timeout=None, **sizes):
    policy = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **sizes},
        "TerminationWaitInSeconds": final,
    }
    if timeout is not None:
        policy["MaximumExecutionTimeoutInSeconds"] = timeout
    return {"BlueGreenUpdatePolicy": policy}


def rolling(batch, wait=0, **more):
    return {
        "RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": wait, **more}
    }


def shape(found):
    return [(dict(s.instances), s.share, s.bake_seconds, s.bake_name) for s in found.steps]


def test_without_a_policy_everything_moves_at_once():
    found = plan(None, variants())

    assert shape(found) == [({"A": 4}, 1.0, 0, "TerminationWaitInSeconds")]
    assert (found.rolling, found.alarms) == (False, ())


def test_canary_moves_in_two_steps():
    found = plan(blue_green("CANARY", 300, 600, CanarySize=size(1)), variants())

    assert shape(found) == [
        ({"A": 1}, 0.25, 300, "WaitIntervalInSeconds"),
        ({"A": 4}, 1.0, 600, "TerminationWaitInSeconds"),
    ]
    assert [step.words for step in found.steps] == [
        "canary capacity of 1 instance(s)",
        "full capacity of 4 instance(s)",
    ]


def test_percentages_are_whole_instances_and_at_least_one():
    percent = blue_green("CANARY", CanarySize=size(10, "CAPACITY_PERCENT"))

    assert [dict(s.instances) for s in plan(percent, variants(2)).steps] == [{"A": 1}, {"A": 2}]
    assert [dict(s.instances) for s in plan(percent, variants(25)).steps] == [{"A": 2}, {"A": 25}]


def test_linear_moves_in_equal_steps_and_waits_between_them():
    linear = blue_green("LINEAR", 60, 30, LinearStepSize=size(33, "CAPACITY_PERCENT"))

    assert shape(plan(linear, variants(6))) == [
        ({"A": count}, count / 6, 60, "WaitIntervalInSeconds") for count in (1, 2, 3, 4, 5)
    ] + [({"A": 6}, 1.0, 30, "TerminationWaitInSeconds")]


def test_rolling_bakes_every_batch_and_rolls_back_in_its_own_batches():
    found = plan(rolling(size(2), 60, RollbackMaximumBatchSize=size(3)), variants(5))

    assert found.rolling
    assert [(dict(s.instances), s.bake_seconds) for s in found.steps] == [
        ({"A": 2}, 60), ({"A": 4}, 60), ({"A": 5}, 60),
    ]  # fmt: skip
    assert found.rollback == (0.6, 1.0)


def test_alarms_are_read_with_any_policy():
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}

    assert plan(alarms, variants()).alarms == ("a", "b")
    assert plan(alarms | blue_green(), variants()).alarms == ("a", "b")


@pytest.mark.parametrize(
    ("policy", "count", "says"),
    [
        (blue_green() | rolling(size(1)), 4, "only one update policy"),
        (blue_green("CANARY"), 4, "CanarySize is required"),
        (blue_green("LINEAR"), 4, "LinearStepSize is required"),
        (blue_green("CANARY", CanarySize=size(1)), 1, "not between 1% and 50%"),
        (blue_green("CANARY", CanarySize=size(10, "CAPACITY_PERCENT")), 1, "of the 1 instance(s)"),
        (blue_green("CANARY", CanarySize=size(3)), 4, "not between 1% and 50%"),
        (blue_green("CANARY", CanarySize=size(51, "CAPACITY_PERCENT")), 4, "not between 1% and"),
        (blue_green("LINEAR", LinearStepSize=size(9, "CAPACITY_PERCENT")), 4, "10% and 50%"),
        (blue_green("LINEAR", LinearStepSize=size(1)), 11, "10% and 50%"),
        (rolling(size(4, "CAPACITY_PERCENT")), 4, "MaximumBatchSize of 4"),
        (rolling(size(3)), 4, "5% and 50%"),
        (rolling(size(1), RollbackMaximumBatchSize=size(5)), 4, "RollbackMaximumBatchSize of 5"),
        (blue_green(final=600, timeout=600), 4, "must be larger than the total waiting time"),
        (blue_green("LINEAR", 300, 0, 900, LinearStepSize=size(1)), 4, "deployment, 900 seconds"),
        (rolling(size(1), 200, MaximumExecutionTimeoutInSeconds=800), 4, "deployment, 800 seconds"),
    ],
)  # fmt: skip
def test_what_sagemaker_refuses(policy, count, says):
    with pytest.raises(ValidationError) as raised:
        plan(policy, variants(count))

    assert says in raised.value.message


def test_steps_need_the_same_variant_names_and_one_step_does_not():
    with pytest.raises(ValidationError) as raised:
        plan(blue_green("CANARY", CanarySize=size(1)), variants(), ["B"])

    assert "has A" in raised.value.message
    assert len(plan(blue_green(), variants(), ["B"]).steps) == 1


@pytest.mark.parametrize(
    "excluded",
    [
        [{"VariantName": "A", "ServerlessConfig": {}}],
        variants(4, InstanceType="ml.inf1.xlarge"),
    ],
)
def test_what_has_no_guardrails_moves_at_once_and_does_not_bake(excluded):
    canary = blue_green("CANARY", 300, 600, CanarySize=size(1))
    if "ServerlessConfig" in excluded[0]:
        canary = blue_green("ALL_AT_ONCE", 300, 600)

    assert [(s.share, s.bake_seconds) for s in plan(canary, excluded).steps] == [(1.0, 0)]


def test_rolling_of_several_variants_moves_at_once():
    two = [*variants(), *variants(VariantName="B")]

    found = plan(rolling(size(1)), two)

    assert (found.rolling, len(found.steps)) == (False, 1)
