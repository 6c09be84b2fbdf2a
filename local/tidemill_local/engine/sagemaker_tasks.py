"""Step Functions drives SageMaker: optimized tasks, their `.sync` form, and aws-sdk."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import MinistackChangedError, expect, expect_value
from tidemill_local.engine.lifeline import current
from tidemill_local.engine.sagemaker_service import sagemaker
from tidemill_local.engine.step_functions import ended
from tidemill_local.engine.surroundings import Surroundings

_OPTIMIZED = "arn:aws:states:::sagemaker:"
_SDK = "arn:aws:states:::aws-sdk:sagemaker:"
_RUNTIME = "arn:aws:states:::aws-sdk:sagemakerruntime:"
_TASKS = {
    "createEndpoint", "createEndpointConfig", "createModel", "createProcessingJob",
    "createTrainingJob", "createTransformJob", "createHyperParameterTuningJob", "updateEndpoint",
}  # fmt: skip
_JOBS = {"ProcessingJob", "TrainingJob", "TransformJob", "HyperParameterTuningJob"}
_TERMINAL = {"Completed", "Failed", "Stopped"}
_LOOK_SECONDS = 2.0  # between looks at a job whose events do not come

# Errors that SageMaker's API model declares keep their names; all others share a generic one.
_DECLARED = {
    "ResourceInUse": "ResourceInUseException",
    "ResourceLimitExceeded": "ResourceLimitExceededException",
    "ResourceNotFound": "ResourceNotFoundException",
    "ConflictException": "ConflictException",
}


def check() -> None:
    """Require the table of integrations, and that ministack has none for SageMaker."""
    expect(stepfunctions, "_invoke_resource", "(resource, input_data)")
    expect_value(stepfunctions, "_SERVICE_DISPATCH", dict)
    if any("sagemaker" in prefix for prefix in stepfunctions._SERVICE_DISPATCH):
        raise MinistackChangedError("ministack drives SageMaker itself")


def apply(_: Surroundings) -> None:
    """Register our integrations."""
    stepfunctions._SERVICE_DISPATCH |= {
        _OPTIMIZED: run_optimized,
        _SDK: call_sdk,
        _RUNTIME: invoke_endpoint,
    }


def run_optimized(resource: str, arguments: dict[str, Any]) -> Any:
    """
    Run `sagemaker:<task>` or `sagemaker:<task>.sync`.

    Raises:
        _ExecutionError: SageMaker refused the request, or the job did not complete
            (States.TaskFailed, with what Describe answers as the cause).
    """
    task, _, mode = resource.removeprefix(_OPTIMIZED).partition(".")
    kind = task.removeprefix("create")
    if task not in _TASKS or (mode and (mode != "sync" or kind not in _JOBS)):
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"The resource {resource} is not one that Step Functions offers."
        )
    operation = task[0].upper() + task[1:]
    answer = _call(operation, arguments, _optimized_error)
    if not mode:
        return _with_times(answer, _milliseconds)
    name, arn = f"{kind}Name", answer[f"{kind}Arn"]
    document = _wait(kind, {name: arguments[name]}, arn)
    shown = _with_times(document, _milliseconds)
    if document[f"{kind}Status"] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(shown))
    return shown


def call_sdk(resource: str, arguments: dict[str, Any]) -> Any:
    """
    Run `aws-sdk:sagemaker:<operation>`.

    Raises:
        _ExecutionError: SageMaker.<Exception>; the cause ends with SageMaker's own code.
    """
    operation = resource.removeprefix(_SDK)
    operation = operation[0].upper() + operation[1:]
    return _with_times(_call(operation, arguments, _sdk_error), _iso)


def invoke_endpoint(resource: str, arguments: dict[str, Any]) -> Any:
    """
    Run `aws-sdk:sagemakerruntime:invokeEndpoint`.

    Raises:
        _ExecutionError: The endpoint is missing or its model failed.
    """
    if resource.removeprefix(_RUNTIME) != "invokeEndpoint":
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"The local cloud does not offer {resource}."
        )
    names = {"ContentType": "content-type", "Accept": "accept"}
    headers = {wire: arguments[name] for name, wire in names.items() if name in arguments}
    body = arguments["Body"]
    body = body if isinstance(body, str) else json.dumps(body)
    path = f"/endpoints/{quote(arguments['EndpointName'])}/invocations"
    status, answered, content = sagemaker.service.invoke("POST", path, headers, body.encode())
    if status >= 400:  # noqa: PLR2004 - an HTTP status
        message = json.loads(content).get("message", "")
        code = answered.get("x-amzn-ErrorType", "ModelError")
        raise stepfunctions._ExecutionError(
            "SageMakerRuntime.SageMakerRuntimeException", f"{message} (Error Code: {code})"
        )
    lower = {name.lower(): value for name, value in answered.items()}
    return {
        "Body": content.decode(),
        "ContentType": lower.get("content-type", ""),
        "InvokedProductionVariant": lower.get("x-amzn-invoked-production-variant", ""),
    }


def _wait(kind: str, name: dict[str, str], arn: str) -> dict[str, Any]:
    """Look at the job at each of its events; stop it when the execution is over."""
    looked = threading.Event()
    with _woken(arn, looked), current().wakes(looked):
        while True:
            looked.clear()
            if current().is_cut:
                _call(f"Stop{kind}", name, _optimized_error)
                raise ended()
            document = _call(f"Describe{kind}", name, _optimized_error)
            if document[f"{kind}Status"] in _TERMINAL:
                return document
            looked.wait(_LOOK_SECONDS)


@contextmanager
def _woken(arn: str, event: threading.Event) -> Iterator[None]:
    sagemaker.wake_on_change(arn, event)
    try:
        yield
    finally:
        sagemaker.stop_waking(arn, event)


def _call(
    operation: str,
    arguments: dict[str, Any],
    error: Callable[[int, str, str, str], Exception],
) -> dict[str, Any]:
    status, headers, body = sagemaker.service.handle(operation, json.dumps(arguments).encode())
    answer: dict[str, Any] = json.loads(body or b"{}")
    if status >= 400:  # noqa: PLR2004 - an HTTP status
        code = answer.get("__type", "InternalFailure").rpartition("#")[2]
        raise error(status, code, answer.get("message", ""), headers.get("x-amzn-RequestId", ""))
    return answer


def _optimized_error(status: int, code: str, message: str, request: str) -> Exception:
    """Optimized integrations name errors after version 1 of the Java SDK."""
    name = _DECLARED.get(code, "AmazonSageMakerException")
    cause = (
        f"{message} (Service: AmazonSageMaker; Status Code: {status}; Error Code: {code}; "
        f"Request ID: {request}; Proxy: null)"
    )
    error: Exception = stepfunctions._ExecutionError(f"SageMaker.{name}", cause)
    return error


def _sdk_error(status: int, code: str, message: str, request: str) -> Exception:
    """aws-sdk integrations name errors after version 2 of the Java SDK."""
    name = _DECLARED.get(code, "SageMakerException")
    cause = (
        f"{message} (Service: SageMaker, Status Code: {status}, Error Code: {code}, "
        f"Request ID: {request})"
    )
    error: Exception = stepfunctions._ExecutionError(f"SageMaker.{name}", cause)
    return error


def _with_times(value: Any, shown: Callable[[float], Any]) -> Any:
    """Return the document with its points in time (epoch seconds) as the integration shows them."""
    if isinstance(value, list):
        return [_with_times(each, shown) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: shown(each)
        if name.endswith("Time") and isinstance(each, int | float)
        else _with_times(each, shown)
        for name, each in value.items()
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
