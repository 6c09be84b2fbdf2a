"""
One request to an endpoint, once it may be asked: variant, instance, answer, and who hears of it.

The answer is the container's own; a shadow variant gets a copy of the request, and its answer goes
to the data capture only.
"""

import json
import logging
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.hosting import capture
from tidemill_local.sagemaker.hosting.capture import Payload, now
from tidemill_local.sagemaker.hosting.component_routes import copies_asked
from tidemill_local.sagemaker.hosting.fleets import BusyError, Fleet, Process, Variant
from tidemill_local.sagemaker.hosting.metrics import EndpointMetrics, Measured
from tidemill_local.sagemaker.hosting.model_client import (
    ContainerAnswer,
    ContainerRequest,
    ContainerTimeoutError,
    ContainerUnreachableError,
)
from tidemill_local.sagemaker.hosting.multi_model import TARGET_MODEL, UnknownModelError
from tidemill_local.sagemaker.hosting.refusals import (
    InvocationError,
    ModelError,
    ThrottledError,
    UnavailableError,
)
from tidemill_local.sagemaker.hosting.router import Router
from tidemill_local.sagemaker.operations import on_stop

logger = logging.getLogger(__name__)

INVOCATION_SECONDS = 60.0
CONTENT_TYPE = "application/octet-stream"  # what a container sees when the caller says nothing
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
INFERENCE_COMPONENT = "X-Amzn-SageMaker-Inference-Component"
_PASSED_ON = ("Content-Type", "Accept", ATTRIBUTES, INFERENCE_ID, TARGET_MODEL)
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_SHADOW_THREADS = 8
_MOST_SHADOWED = 64  # copies under way; further ones are left out, as nobody waits for them

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Answered:
    """A container's good answer, and the variant that gave it."""

    variant: str
    answer: ContainerAnswer


@dataclass(frozen=True)
class Invocation:
    """
    One invocation.

    Attributes:
        context: The service's.
        endpoint: Its name.
        given: The request's headers, their names lower-cased.
        body: The request's body.
        seconds: How long the container may take; None is a minute.
        asynchronous: Whether it comes from the queue of an asynchronous endpoint.
    """

    context: Context
    endpoint: str
    given: dict[str, str]
    body: bytes
    seconds: float | None = None
    asynchronous: bool = False

    def perform(self) -> Answered:
        """
        Ask a container.

        Raises:
            ModelError: What the container had to say.
            ServiceError: ValidationError, ThrottlingException or ServiceUnavailable.
        """
        arrived = time.perf_counter()
        with self.context.part(Router).lease(self.endpoint) as fleet:
            if fleet is None:
                raise self._missing()
            if fleet.asynchronous is not None and not self.asynchronous:
                raise InvocationError(
                    f"Endpoint {self.endpoint} is asynchronous and answers no such requests; use "
                    "InvokeEndpointAsync."
                )
            with self._asked(fleet) as variant:
                return self._perform(fleet, variant, arrived)

    def _perform(self, fleet: Fleet, variant: Variant, arrived: float) -> Answered:
        self._check_target(variant)
        began = now()
        if fleet.shadows:
            self._shadow(fleet, variant)
        try:
            answer = self._ask_and_measure(fleet, variant, arrived)
        except BusyError as error:
            raise ThrottledError(self.endpoint, variant) from error
        except ContainerUnreachableError as error:
            raise UnavailableError(
                f"The container of {variant.workload.title} of endpoint {self.endpoint} does "
                f"not answer: {error}. Its log group {variant.workload.log_group} says why."
            ) from error
        except UnknownModelError as error:
            raise InvocationError(str(error)) from error
        except ContainerTimeoutError as error:
            raise ModelError(variant, 0, _TIMED_OUT) from error
        if not _is_good(answer):
            text = answer.body.decode("utf-8", errors="replace")
            raise ModelError(variant, answer.status, text)
        if fleet.capture is not None:
            fleet.capture.record(self._captured(variant, answer, began))
        return Answered(variant.name, answer)

    def _ask_and_measure(self, fleet: Fleet, variant: Variant, arrived: float) -> ContainerAnswer:
        status, model = 0, 0.0
        try:
            with variant.seat() as process:
                asked = time.perf_counter()
                answer = self._ask(process)
                status, model = answer.status, time.perf_counter() - asked
                return answer
        except (BusyError, UnknownModelError):
            status = -1  # no container was asked
            raise
        finally:
            if status >= 0:
                overhead = time.perf_counter() - arrived - model
                self.context.part(EndpointMetrics).record(
                    Measured(
                        self.endpoint,
                        fleet.config,
                        variant.name,
                        status,
                        model * 1e6,
                        overhead * 1e6,
                        variant.workload.component,
                        variant.count,
                    )
                )

    def _ask(self, process: Process) -> ContainerAnswer:
        client = process.client
        if client is None:
            raise ContainerUnreachableError("it is starting again")
        if misfortune.dies(self.context, self.endpoint, process.workload.variant):
            process.die()
        sent = {name: self.given[name.lower()] for name in _PASSED_ON if name.lower() in self.given}
        headers = {"Content-Type": CONTENT_TYPE} | sent
        seconds = INVOCATION_SECONDS if self.seconds is None else self.seconds
        request = ContainerRequest("POST", "/invocations", seconds, headers, self.body)
        return client.send(request)

    def _shadow(self, fleet: Fleet, variant: Variant) -> None:
        """Send copies to shadow variants, as many as their weight is of the variant's."""
        for shadow in fleet.shadows.values():
            share = shadow.weight / variant.weight if variant.weight else 1.0
            if random.random() < share:  # noqa: S311 - traffic, no secret
                self.context.part(Shadows).send(self, shadow)

    def ask_shadow(self, shadow: Variant) -> None:
        """Ask a shadow variant and drop the answer, which the capture keeps; raise nothing."""
        arrived, began = time.perf_counter(), now()
        with self.context.part(Router).lease(self.endpoint) as fleet:
            if fleet is None or fleet.shadows.get(shadow.name) is not shadow:
                return  # an update came between
            try:
                answer = self._ask_and_measure(fleet, shadow, arrived)
            except (ContainerUnreachableError, ContainerTimeoutError) as error:
                logger.debug("shadow variant %s did not answer: %s", shadow.name, error)
                return
            if fleet.capture is not None and _is_good(answer):
                fleet.capture.record(self._captured(shadow, answer, began))

    def _missing(self) -> ServiceError:
        record = self.context.store.get("Endpoint", self.endpoint)
        if record is not None and record["EndpointStatus"] not in _WITHOUT_FLEET:
            return UnavailableError(
                f"Endpoint {self.endpoint} is in service and its containers are starting again; "
                "try again in a moment."
            )
        return InvocationError(
            f"Endpoint {self.endpoint} of account {self.context.account} not found."
        )

    @contextmanager
    def _asked(self, fleet: Fleet) -> Iterator[Variant]:
        """Hold what is to answer: a variant, or the copies of an inference component on one."""
        component = self.given.get(INFERENCE_COMPONENT.lower())
        if fleet.bare:
            with copies_asked(self.context, self.endpoint, component) as variant:
                self._check_on(variant)
                yield variant
        elif component is None:
            yield self._variant(fleet)
        else:
            raise InvocationError(
                f"Endpoint {self.endpoint} hosts models and no inference components; leave "
                "InferenceComponentName out."
            )

    def _check_on(self, copies: Variant) -> None:
        target = self.given.get(TARGET_VARIANT.lower())
        if target not in {None, copies.name}:
            raise InvocationError(
                f"Variant {target} does not host {copies.workload.title}; {copies.name} does."
            )

    def _variant(self, fleet: Fleet) -> Variant:
        target = self.given.get(TARGET_VARIANT.lower())
        if target is None:
            return fleet.choose()
        if target not in fleet.variants:
            raise InvocationError(
                f"Variant {target} of endpoint {self.endpoint} not found; "
                f"it has {', '.join(sorted(fleet.variants))}."
            )
        return fleet.variants[target]

    def _check_target(self, variant: Variant) -> None:
        if variant.workload.multi_model == (TARGET_MODEL.lower() in self.given):
            return
        if variant.workload.multi_model:
            raise InvocationError(
                f"Variant {variant.name} of endpoint {self.endpoint} hosts many models; say which "
                "one with TargetModel."
            )
        raise InvocationError(
            f"Variant {variant.name} of endpoint {self.endpoint} hosts one model; leave "
            "TargetModel out."
        )

    def _captured(
        self, variant: Variant, answer: ContainerAnswer, began: datetime
    ) -> capture.Invocation:
        return capture.Invocation(
            variant=variant.name,
            asked=Payload(self.given.get("content-type", ""), self.body),
            answered=Payload(answer.header("Content-Type"), answer.body),
            time=began,
            inference_id=self.given.get(INFERENCE_ID.lower(), ""),
            custom_attributes=self.given.get(ATTRIBUTES.lower(), ""),
        )


_WITHOUT_FLEET = frozenset({"Creating", "Deleting", "Failed"})


class Shadows:
    """Sends copies of requests to shadow variants, in the background; a part of the context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._pool = ThreadPoolExecutor(_SHADOW_THREADS, thread_name_prefix="shadow")
        self._under_way = 0

    def send(self, invocation: Invocation, shadow: Variant) -> None:
        """Ask a shadow variant soon, unless too many copies wait already."""
        if self._under_way >= _MOST_SHADOWED:
            logger.warning("a copy for shadow variant %s was left out", shadow.name)
            return
        self._under_way += 1
        try:
            self._pool.submit(self._run, invocation, shadow)
        except RuntimeError:  # the service is being stopped
            self._under_way -= 1

    def stop(self) -> None:
        """Give up the copies that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, invocation: Invocation, shadow: Variant) -> None:
        try:
            invocation.ask_shadow(shadow)
        except Exception:  # nobody waits for it
            logger.exception("shadow variant %s", shadow.name)
        finally:
            self._under_way -= 1


def success(answered: Answered) -> Answer:
    """Return a container's answer as the runtime passes it on."""
    answer = answered.answer
    headers = {
        "Content-Type": answer.header("Content-Type", CONTENT_TYPE),
        "x-Amzn-Invoked-Production-Variant": answered.variant,
    }
    if attributes := answer.header(ATTRIBUTES):
        headers[ATTRIBUTES] = attributes
    return HTTPStatus.OK, headers, answer.body


def quoted(error: ModelError, context: Context) -> Answer:
    """Quote the container as the runtime does: a ModelError, 424."""
    document = {
        "ErrorCode": f"{_side(error).upper()}_ERROR_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{context.region}:{context.account}:log-group:"
        f"{error.log_group}",
        "Message": quotation(error, context),
        "OriginalMessage": error.message,
        "OriginalStatusCode": error.status,
    }
    headers = {
        "Content-Type": "application/json",
        "x-amzn-ErrorType": "ModelError",
        "x-Amzn-Invoked-Production-Variant": error.variant,
    }
    return HTTPStatus.FAILED_DEPENDENCY, headers, json.dumps(document).encode()


def quotation(error: ModelError, context: Context) -> str:
    """Return the sentence in which SageMaker quotes a container's error."""
    console = (
        f"https://{context.region}.console.aws.amazon.com/cloudwatch/home?region={context.region}"
        f"#logEventViewer:group={error.log_group}"
    )
    return (
        f"Received {_side(error)} error ({error.status}) from primary with message "
        f'"{error.message}". See {console} in account {context.account} for more information.'
    )


def _side(error: ModelError) -> str:
    is_clients = HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return "client" if is_clients else "server"


def _is_good(answer: ContainerAnswer) -> bool:
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


@on_stop
def stop_shadows(context: Context) -> None:
    """Give up the copies that wait."""
    context.part(Shadows).stop()
