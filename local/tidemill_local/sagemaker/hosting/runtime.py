"""
The runtime API: POST /endpoints/<name>/invocations and the like.

Errors are the runtime's own (ValidationError, ThrottlingException, ModelError,
ServiceUnavailable), in REST-JSON.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting import event_stream
from tidemill_local.sagemaker.hosting.async_inference import invoke_async
from tidemill_local.sagemaker.hosting.deployment import Deployer
from tidemill_local.sagemaker.hosting.invocation import (
    ATTRIBUTES,
    INFERENCE_COMPONENT,
    INFERENCE_ID,
    TARGET_VARIANT,
    Answer,
    Invocation,
    quoted,
    success,
)
from tidemill_local.sagemaker.hosting.multi_model import TARGET_MODEL
from tidemill_local.sagemaker.hosting.refusals import InvocationError, ModelError

MAX_BODY_BYTES = 6_291_456
_PATH = re.compile(
    r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)/?"
)
_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_LIMITS = {
    ATTRIBUTES: 1024,
    INFERENCE_ID: 64,
    TARGET_VARIANT: 63,
    TARGET_MODEL: 1024,
    INFERENCE_COMPONENT: 63,
}
_NOT_HERE = ("X-Amzn-SageMaker-Target-Container-Hostname",)


def invoke(
    context: Context, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """
    Answer one request to the runtime.

    Args:
        context: The service's.
        method: The HTTP method.
        path: Without a query string.
        headers: In any letter case.
        body: The whole body.

    Returns:
        Status, headers and body: the container's own, or a ModelError (424) that quotes it.

    Raises:
        ServiceError: ValidationError, ThrottlingException or ServiceUnavailable.
    """
    match = _PATH.fullmatch(path)
    if match is None or method != "POST":
        raise InvocationError(
            f"{method} {path} is not offered by the local SageMaker runtime; "
            "it offers POST /endpoints/<name>/invocations"
        )
    given = {name.lower(): value for name, value in headers.items()}
    endpoint, operation = unquote(match[1]), _OPERATIONS[match[2]]
    misfortune.refuse(context, operation, {"EndpointName": endpoint})
    _check(given, body)
    maintenance = misfortune.is_maintained(context, endpoint)
    if maintenance is not None:
        context.part(Deployer).maintain(endpoint, maintenance)
    if operation == "InvokeEndpointAsync":
        return invoke_async(context, endpoint, given, body)
    streams = operation == "InvokeEndpointWithResponseStream"
    if streams:
        given |= {"accept": given.get("x-amzn-sagemaker-accept", "*/*")}
    try:
        answer = success(Invocation(context, endpoint, given, body).perform())
    except ModelError as error:
        return quoted(error, context)
    return _streamed(answer) if streams else answer


def _streamed(answer: Answer) -> Answer:
    """Return an answer as the events of InvokeEndpointWithResponseStream."""
    status, headers, body = answer
    headers = headers | {
        "Content-Type": event_stream.CONTENT_TYPE,
        "X-Amzn-SageMaker-Content-Type": headers["Content-Type"],
    }
    return status, headers, event_stream.payload_parts(body)


def _check(given: dict[str, str], body: bytes) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise InvocationError(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BODY_BYTES}"
        )
    for name, limit in _LIMITS.items():
        if len(given.get(name.lower(), "")) > limit:
            raise InvocationError(
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {limit}"
            )
    for name in _NOT_HERE:
        if name.lower() in given:
            raise InvocationError(f"{name} is not supported by the local SageMaker runtime")
