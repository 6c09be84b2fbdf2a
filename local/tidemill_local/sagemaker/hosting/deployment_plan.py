"""What a DeploymentConfig asks for, as steps; and what SageMaker refuses in one. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker.errors import ValidationError

LONGEST_SECONDS = 28_800
_CANARY = (1, 50)  # percent of a variant's instances
_LINEAR = (10, 50)
_ROLLING = (5, 50)
_ALL = (1, 100)
_WITHOUT_GUARDRAILS = "ml.inf1."


@dataclass(frozen=True)
class Step:
    """One shift of traffic: how many instances of each variant of the new fleet have traffic."""

    instances: Mapping[str, int]
    share: float  # of the endpoint's traffic
    words: str  # "canary capacity of 1 instance(s)"
    bake_seconds: int
    bake_name: str  # the member that says how long


@dataclass(frozen=True)
class Plan:
    """How an update shifts traffic, how long it may take, and what stops it."""

    rolling: bool
    steps: tuple[Step, ...]
    timeout: int = LONGEST_SECONDS
    alarms: tuple[str, ...] = ()
    rollback: tuple[float, ...] = (1.0,)
    """Of a rolling update: what part of the old fleet is back after each step of a rollback."""


def plan(
    policy: Mapping[str, Any] | None,
    variants: Sequence[Mapping[str, Any]],
    live: Sequence[str] | None = None,
) -> Plan:
    """
    Read a DeploymentConfig for the variants of the new configuration.

    Args:
        policy: The DeploymentConfig; None is all at once.
        variants: The new configuration's ProductionVariants.
        live: The names of the variants that serve now; None when nothing does.

    Raises:
        ValidationError: What SageMaker refuses.
    """
    policy = policy or {}
    alarms = tuple(
        alarm["AlarmName"]
        for alarm in policy.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        if alarm.get("AlarmName")
    )
    totals = {each["VariantName"]: each.get("InitialInstanceCount", 1) or 1 for each in variants}
    blue_green, rolling = policy.get("BlueGreenUpdatePolicy"), policy.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise ValidationError(
            "DeploymentConfig has both a BlueGreenUpdatePolicy and a RollingUpdatePolicy; give "
            "only one update policy."
        )
    if rolling:
        found = _rolling(rolling, totals, alarms)
    elif blue_green:
        found = _blue_green(blue_green, totals, alarms)
    else:
        found = Plan(False, _steps([totals], totals, "", 0, 0), alarms=alarms)
    if (blue_green or rolling) and _falls_back(variants, rolling=bool(rolling)):
        return Plan(False, _steps([totals], totals, "", 0, 0), alarms=alarms)
    if live is not None and len(found.steps) > 1 and set(live) != set(totals):
        raise ValidationError(
            "A deployment that shifts traffic in steps needs the variant names of the endpoint, "
            f"{', '.join(sorted(live))}; the new configuration has {', '.join(sorted(totals))}."
        )
    return found


def _blue_green(policy: Mapping[str, Any], totals: dict[str, int], alarms: tuple[str, ...]) -> Plan:
    routing = policy["TrafficRoutingConfiguration"]
    wait, final = routing["WaitIntervalInSeconds"], policy.get("TerminationWaitInSeconds", 0)
    match routing["Type"]:
        case "CANARY":
            first = _sizes(routing, "CanarySize", totals, _CANARY)
            steps = _steps([first, totals], totals, "canary ", wait, final)
        case "LINEAR":
            size = _sizes(routing, "LinearStepSize", totals, _LINEAR)
            steps = _steps(_cumulated(size, totals), totals, "", wait, final)
        case _:
            steps = _steps([totals], totals, "", wait, final)
    return Plan(False, steps, _timeout(policy, steps), alarms)


def _rolling(policy: Mapping[str, Any], totals: dict[str, int], alarms: tuple[str, ...]) -> Plan:
    wait = policy["WaitIntervalInSeconds"]
    size = _sizes(policy, "MaximumBatchSize", totals, _ROLLING)
    steps = _steps(
        _cumulated(size, totals), totals, "", wait, wait, final_name="WaitIntervalInSeconds"
    )
    rollback: tuple[float, ...] = (1.0,)
    if "RollbackMaximumBatchSize" in policy:
        back = _sizes(policy, "RollbackMaximumBatchSize", totals, _ALL)
        rollback = tuple(
            sum(each.values()) / sum(totals.values()) for each in _cumulated(back, totals)
        )
    return Plan(True, steps, _timeout(policy, steps), alarms, rollback)


def _steps(
    counts: list[dict[str, int]],
    totals: dict[str, int],
    first: str,
    wait: int,
    final: int,
    *,
    final_name: str = "TerminationWaitInSeconds",
) -> tuple[Step, ...]:
    whole = sum(totals.values())
    steps = []
    for number, instances in enumerate(counts):
        active, last = sum(instances.values()), number == len(counts) - 1
        kind = "full " if last else first
        steps.append(
            Step(
                instances=instances,
                share=1.0 if last else active / whole,
                words=f"{kind}capacity of {active} instance(s)",
                bake_seconds=final if last else wait,
                bake_name=final_name if last else "WaitIntervalInSeconds",
            )
        )
    return tuple(steps)


def _cumulated(size: dict[str, int], totals: dict[str, int]) -> list[dict[str, int]]:
    number = max(math.ceil(totals[name] / size[name]) for name in totals)
    return [
        {name: min(total, size[name] * step) for name, total in totals.items()}
        for step in range(1, number + 1)
    ]


def _sizes(
    policy: Mapping[str, Any], member: str, totals: dict[str, int], limits: tuple[int, int]
) -> dict[str, int]:
    """Return a CapacitySize in instances of each variant, which must be within *limits* percent."""
    size = policy.get(member)
    if size is None:
        raise ValidationError(f"{member} is required for this type of traffic routing.")
    least, most = limits
    sizes = {}
    for name, total in totals.items():
        value = size["Value"]
        if size["Type"] == "CAPACITY_PERCENT":
            percent, instances = float(value), max(1, total * value // 100)
        else:
            percent, instances = 100 * value / total, value
        if not least <= percent <= most or instances * 100 > total * most:
            raise ValidationError(
                f"{member} of {value} ({size['Type']}) is not between {least}% and {most}% of the "
                f"{total} instance(s) of variant {name}."
            )
        sizes[name] = instances
    return sizes


def _timeout(policy: Mapping[str, Any], steps: tuple[Step, ...]) -> int:
    timeout: int = policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_SECONDS)
    waits = sum(step.bake_seconds for step in steps)
    if timeout <= waits:
        raise ValidationError(
            f"MaximumExecutionTimeoutInSeconds is {timeout}; it must be larger than the total "
            f"waiting time of the deployment, {waits} seconds."
        )
    return timeout


def _falls_back(variants: Sequence[Mapping[str, Any]], *, rolling: bool) -> bool:
    """SageMaker deploys these all at once, without a bake, and says nothing."""
    if any("ServerlessConfig" in each for each in variants):
        return True
    if any(each.get("InstanceType", "").startswith(_WITHOUT_GUARDRAILS) for each in variants):
        return True
    return rolling and len(variants) > 1
