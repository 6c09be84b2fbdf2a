"""Is a SageMaker resource terminal *for what this execution asked*? An event is only a hint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["pipeline", "endpoint"]


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Answer the waiting task with this output."""

    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """Fail the waiting task: *error* is a class of `tidemill.errors`."""

    error: str
    cause: str


Answer = Succeeded | Failed

#: States that an endpoint does not leave by itself.
_BROKEN = ("Failed", "UpdateRollbackFailed", "OutOfService")


def judge_pipeline(description: Mapping[str, Any] | None) -> Answer | None:
    """
    Judge a DescribePipelineExecution answer; None while it goes on.

    A pipeline that its gate stopped ends Failed too: both are answers, told apart by
    `functions/read_outcome`, which reads the steps.
    """
    if description is None:
        return Failed("PipelineFailedError", "the SageMaker pipeline was deleted while it ran")
    status = description["PipelineExecutionStatus"]
    if status in ("Executing", "Stopping"):
        return None
    if status == "Stopped":
        return Failed("PipelineFailedError", "the SageMaker pipeline was stopped")
    return Succeeded({"status": status, "reason": description.get("FailureReason", "")})


def judge_endpoint(description: Mapping[str, Any] | None, wanted_config: str) -> Answer | None:
    """
    Judge a DescribeEndpoint answer against the configuration that was asked for.

    An endpoint also goes Updating → InService when it scales, and InService with the *old*
    configuration after a silent rollback: only the configuration tells.
    """
    if description is None:
        return Failed("EndpointFailedError", "the endpoint was deleted while it was awaited")
    status, config = description["EndpointStatus"], description["EndpointConfigName"]
    reason = description.get("FailureReason") or "SageMaker gave no reason"
    if status in _BROKEN:
        return Failed("EndpointFailedError", f"the endpoint is {status}: {reason}")
    if status != "InService":
        return None
    if config != wanted_config:
        return Failed("EndpointFailedError", f"SageMaker went back to {config}: {reason}")
    return Succeeded({"status": status, "config": config})
