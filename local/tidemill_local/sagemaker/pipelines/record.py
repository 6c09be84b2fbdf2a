"""What is recorded of a pipeline execution, and what it announces on the way."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.context import Context

# Fields of an execution's record that the API does not know.
DEFINITION = "_Definition"
PARAMETERS = "_Parameters"
STEPS = "_Steps"
SELECTED = "_Selected"
# Fields of a step's entry in it.
TYPE = "_Type"
PROPERTIES = "_Properties"  # what later steps may refer to
CACHE_KEY = "_CacheKey"
JOB = "_Job"  # the name of what the present attempt makes
BEGUN = "_Begun"  # the present attempt has done what cannot be done twice

LIVE = frozenset({"Executing", "Stopping"})
ENDED_STEP = frozenset({"Succeeded", "Failed", "Stopped"})

_EXECUTION_EVENT = "SageMaker Model Building Pipeline Execution Status Change"
_STEP_EVENT = "SageMaker Model Building Pipeline Execution Step Status Change"


def move_execution(
    context: Context, arn: str, status: str, *, allowed: frozenset[str], reason: str | None = None
) -> bool:
    """Change an execution's status if it is one of *allowed*, and announce it; say whether."""
    previous: list[str] = []

    def change(body: dict[str, Any]) -> None:
        if body["PipelineExecutionStatus"] in allowed:
            previous.append(body["PipelineExecutionStatus"])
            body["PipelineExecutionStatus"] = status
            body["FailureReason"] = reason

    body = context.store.edit("PipelineExecution", arn, change)
    if not previous:
        return False
    announce_execution(context, body, previous[0])
    return True


def write_step(context: Context, arn: str, entry: dict[str, Any], previous: str | None) -> None:
    """Put a step's entry into the record; announce it if its status has changed."""

    def change(body: dict[str, Any]) -> None:
        others = [step for step in body[STEPS] if step["StepName"] != entry["StepName"]]
        body[STEPS] = [*others, entry]

    body = context.store.edit("PipelineExecution", arn, change)
    if entry["StepStatus"] != previous:
        announce_step(context, body, entry, previous)


def announce_execution(context: Context, body: dict[str, Any], previous: str | None) -> None:
    """Emit the execution's status change."""
    status = body["PipelineExecutionStatus"]
    detail = {
        "pipelineArn": body["PipelineArn"],
        "pipelineExecutionArn": body["PipelineExecutionArn"],
        "pipelineExecutionDisplayName": body["PipelineExecutionDisplayName"],
        "pipelineExecutionDescription": body.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": iso(body["CreationTime"]),
        "executionEndTime": None if status in LIVE else iso(body["LastModifiedTime"]),
    }
    resources = [body["PipelineArn"], body["PipelineExecutionArn"]]
    context.emit(_EXECUTION_EVENT, _present(detail), resources)


def announce_step(
    context: Context, body: dict[str, Any], step: dict[str, Any], previous: str | None
) -> None:
    """Emit a step's status change; *step* is its entry in the execution's record."""
    ended = step.get("EndTime")
    hit = step.get("CacheHitResult")
    detail = {
        "pipelineArn": body["PipelineArn"],
        "pipelineExecutionArn": body["PipelineExecutionArn"],
        "stepName": step["StepName"],
        "stepType": step[TYPE],
        "currentStepStatus": step["StepStatus"],
        "previousStepStatus": previous,
        "stepStartTime": iso(step["StartTime"]),
        "stepEndTime": None if ended is None else iso(ended),
        "metadata": _lowered(step.get("Metadata", {})),
        "cacheHitResult": None if hit is None else _lowered(hit),
        "failureReason": step.get("FailureReason"),
    }
    context.emit(_STEP_EVENT, _present(detail), [body["PipelineArn"], body["PipelineExecutionArn"]])


def execution_variables(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Execution.…` stands for in one execution; times are ISO 8601, UTC."""
    pipeline, execution = body["PipelineArn"], body["PipelineExecutionArn"]
    return {
        "PipelineName": name_in(pipeline),
        "PipelineArn": pipeline,
        "PipelineExecutionId": execution.rpartition("/")[2],
        "PipelineExecutionArn": execution,
        "StartDateTime": moment(body.get("CreationTime", time.time())),
    }


def iso(seconds: float) -> str:
    """Return epoch seconds as these events write times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(seconds: float) -> str:
    """Return epoch seconds as execution variables write times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _lowered(value: Any) -> Any:
    """The API's names begin with capitals, the events' with small letters."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _lowered(of) for name, of in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value


def _present(detail: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if value is not None}
