"""What a rollout must do, given what is there now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["create", "update", "replace", "none"]


@dataclass(frozen=True, slots=True)
class Plan:
    """*replace* deletes a Failed endpoint first, which accepts nothing else."""

    action: Action
    reason: str


def plan(endpoint: Mapping[str, Any] | None, champion: int | None, version: int) -> Plan:
    """
    Say how *version* gets into service.

    Args:
        endpoint: DescribeEndpoint's answer, or None when there is no endpoint.
        champion: The version in service as last verified, or None.
        version: The version that was approved.
    """
    if endpoint is None:
        return Plan("create", "there is no endpoint yet")
    status = endpoint["EndpointStatus"]
    if status == "Deleting":
        return Plan("create", "the endpoint is being deleted; a new one follows")
    if status == "Failed":
        return Plan("replace", "the endpoint is Failed and accepts only deletion")
    if champion == version and status == "InService":
        return Plan("none", f"version {version} is already in service")
    before = f"version {champion}" if champion is not None else "a version never verified"
    return Plan("update", f"version {version} takes the place of {before}")


def why_not(endpoint: Mapping[str, Any] | None, *, serverless: bool) -> str:
    """
    Return why SageMaker would refuse to update the endpoint; empty when it would not.

    Args:
        endpoint: DescribeEndpoint's answer, or None when there is no endpoint.
        serverless: Whether the next configuration is.
    """
    if endpoint is None or endpoint["EndpointStatus"] in ("Failed", "Deleting") or not serverless:
        return ""
    variants = endpoint.get("ProductionVariants", ())
    if not variants or any("CurrentServerlessConfig" in variant for variant in variants):
        return ""
    name = endpoint["EndpointName"]
    return (
        f"the endpoint {name} has instances, and SageMaker makes no such endpoint serverless; "
        f"delete it (aws sagemaker delete-endpoint --endpoint-name {name}; its callers get errors "
        "until the rollout has ended), then roll out again"
    )


def differing_row(expected: list[Any], answered: list[Any], tolerance: float = 1e-5) -> int | None:
    """
    Return the index of the first smoke row whose answer differs, or None when all agree.

    Numbers agree when |Δ| ≤ tolerance · max(1, |expected|); other values when they are equal.
    A different number of answers differs at the first missing or surplus row.
    """
    for index, (want, got) in enumerate(zip(expected, answered, strict=False)):
        if not _agrees(want, got, tolerance):
            return index
    return None if len(expected) == len(answered) else min(len(expected), len(answered))


def _agrees(want: Any, got: Any, tolerance: float) -> bool:
    if isinstance(want, bool) or isinstance(got, bool):
        return bool(want == got)
    if isinstance(want, int | float) and isinstance(got, int | float):
        return abs(want - got) <= tolerance * max(1.0, abs(want))
    if isinstance(want, dict) and isinstance(got, dict):
        return want.keys() == got.keys() and all(
            _agrees(want[key], got[key], tolerance) for key in want
        )
    if isinstance(want, list) and isinstance(got, list):
        return differing_row(want, got, tolerance) is None
    return bool(want == got)
