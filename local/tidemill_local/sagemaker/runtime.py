"""
The runtime API: POST /endpoints/<name>/invocations, as `boto3.client("sagemaker-runtime")` asks.

Errors are the runtime's own (ValidationError, ThrottlingException, ModelError,
ServiceUnavailable), in REST-JSON.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import unquote

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.capture import Invocation, Payload, now
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.fleets import BusyError, Fleet, Variant
from tidemill_local.sagemaker.model_client import (
    ContainerAnswer,
    ContainerRequest,
    ContainerTimeoutError,
    ContainerUnreachableError,
)
from tidemill_local.sagemaker.router import Router
from tidemill_local.sagemaker.serving import ServingProcess

MAX_BODY_BYTES = 6_291_456
INVOCATION_SECONDS = 60.0
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_PATH = re.compile(r"/endpoints/([^/]+)/invocations/?")
_CONTENT_TYPE = "application/octet-stream"  # what a container sees when the caller says nothing
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
_TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
_PASSED_ON = ("Content-Type", "Accept", _ATTRIBUTES, _INFERENCE_ID)
_LIMITS = {_ATTRIBUTES: 1024, _INFERENCE_ID: 64, _TARGET_VARIANT: 63}
_NOT_HERE = (
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Inference-Component",
)

Answer = tuple[int, dict[str, str], bytes]


class InvocationError(ServiceError):
    """The request is refused before a container sees it; the runtime calls it ValidationError."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationError", message)


class ThrottledError(ServiceError):
    """A serverless endpoint answers as many requests at a time as it may."""

    def __init__(self, endpoint: str, variant: Variant) -> None:
        super().__init__(
            "ThrottlingException",
            f"The serverless endpoint {endpoint} has {variant.concurrency} requests under way, its "
            "maximum concurrency; try again in a moment.",
            status=HTTPStatus.TOO_MANY_REQUESTS,
        )


class UnavailableError(ServiceError):
    """The endpoint is in service and its container is not; clients ask again by themselves."""

    def __init__(self, message: str) -> None:
        super().__init__("ServiceUnavailable", message, status=503)


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
    endpoint = unquote(match[1])
    misfortune.refuse(context, "InvokeEndpoint", {"EndpointName": endpoint})
    _check(given, body)
    return _Call(context, endpoint, given, body).answer()


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


@dataclass(frozen=True)
class _Call:
    """One invocation; header names in `given` are lower-cased."""

    context: Context
    endpoint: str
    given: dict[str, str]
    body: bytes

    def answer(self) -> Answer:
        with self.context.part(Router).lease(self.endpoint) as fleet:
            if fleet is None:
                raise self._missing()
            variant = self._variant(fleet)
            began = now()
            try:
                with variant.seat() as process:
                    answer = self._ask(process)
            except BusyError as error:
                raise ThrottledError(self.endpoint, variant) from error
            except ContainerUnreachableError as error:
                raise UnavailableError(
                    f"The container of variant {variant.name} of endpoint {self.endpoint} does "
                    f"not answer: {error}. Its log group {self._log_group} says why."
                ) from error
            except ContainerTimeoutError:
                return self._model_error(variant, 0, _TIMED_OUT)
            if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                text = answer.body.decode("utf-8", errors="replace")
                return self._model_error(variant, answer.status, text)
            if fleet.capture is not None:
                fleet.capture.record(self._invocation(variant, answer, began))
            return _success(answer, variant)

    def _ask(self, process: ServingProcess) -> ContainerAnswer:
        client = process.client
        if client is None:
            raise ContainerUnreachableError("it is starting again")
        if misfortune.dies(self.context, self.endpoint, process.workload.variant):
            process.die()
        sent = {name: self.given[name.lower()] for name in _PASSED_ON if name.lower() in self.given}
        headers = {"Content-Type": _CONTENT_TYPE} | sent
        request = ContainerRequest("POST", "/invocations", INVOCATION_SECONDS, headers, self.body)
        return client.send(request)

    def _missing(self) -> ServiceError:
        record = self.context.store.get("Endpoint", self.endpoint)
        if record is not None and record["EndpointStatus"] in {"InService", "Updating"}:
            return UnavailableError(
                f"Endpoint {self.endpoint} is in service and its containers are starting again; "
                "try again in a moment."
            )
        return InvocationError(
            f"Endpoint {self.endpoint} of account {self.context.account} not found."
        )

    def _variant(self, fleet: Fleet) -> Variant:
        target = self.given.get(_TARGET_VARIANT.lower())
        if target is None:
            return fleet.choose()
        if target not in fleet.variants:
            raise InvocationError(
                f"Variant {target} of endpoint {self.endpoint} not found; "
                f"it has {', '.join(sorted(fleet.variants))}."
            )
        return fleet.variants[target]

    def _invocation(self, variant: Variant, answer: ContainerAnswer, began: datetime) -> Invocation:
        return Invocation(
            variant=variant.name,
            asked=Payload(self.given.get("content-type", ""), self.body),
            answered=Payload(answer.header("Content-Type"), answer.body),
            time=began,
            inference_id=self.given.get(_INFERENCE_ID.lower(), ""),
            custom_attributes=self.given.get(_ATTRIBUTES.lower(), ""),
        )

    @property
    def _log_group(self) -> str:
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"

    def _model_error(self, variant: Variant, status: int, message: str) -> Answer:
        """Quote the container as the runtime does; status 0 stands for no answer at all."""
        region, account = self.context.region, self.context.account
        client_side = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        side = "client" if client_side else "server"
        console = (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={self._log_group}"
        )
        document = {
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{self._log_group}",
            "Message": f'Received {side} error ({status}) from primary with message "{message}". '
            f"See {console} in account {account} for more information.",
            "OriginalMessage": message,
            "OriginalStatusCode": status,
        }
        headers = {
            "Content-Type": "application/json",
            "x-amzn-ErrorType": "ModelError",
            "x-Amzn-Invoked-Production-Variant": variant.name,
        }
        return HTTPStatus.FAILED_DEPENDENCY, headers, json.dumps(document).encode()


def _success(answer: ContainerAnswer, variant: Variant) -> Answer:
    headers = {
        "Content-Type": answer.header("Content-Type", _CONTENT_TYPE),
        "x-Amzn-Invoked-Production-Variant": variant.name,
    }
    if attributes := answer.header(_ATTRIBUTES):
        headers[_ATTRIBUTES] = attributes
    return HTTPStatus.OK, headers, answer.body
