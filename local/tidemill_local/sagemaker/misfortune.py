"""
How the faults that somebody asked for strike the local SageMaker.

The places that ask are few: before a request is performed, before a job's or a fleet's containers
start, when an endpoint is updated, and at each invocation. No answer says that it comes of
a fault; the local cloud's log does.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tidemill_local.faults import Fault, checked, missing
from tidemill_local.sagemaker import protocol
from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceLimitExceededError, ServiceError
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

logger = logging.getLogger(__name__)

_KIND = "Fault"
_REQUEST_FAULTS = frozenset({"throttle", "internal-error", "resource-limit"})
_LOOK_SECONDS = 0.1
_JOB_REASONS = {
    "capacity-error": (
        "CapacityError: Unable to provision requested ML compute capacity. "
        "Please retry using a different ML instance type."
    ),
    "job-error": "InternalServerError: We encountered an internal error. Please try again.",
}
_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)


class StruckError(Exception):
    """A fault ends this job; the message is its FailureReason."""


class Faults:
    """One service's faults, a part of its context; they are in its store and outlive it."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._all: tuple[Fault, ...] = ()
        self._load()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._all)

    def add(self, kind: str, **scope: Any) -> Fault:
        """
        Have something go wrong from now on; *scope* is made of the fields of `Fault`.

        Raises:
            FaultError: No such kind, or a scope that nothing can match.
        """
        scope = checked(kind, scope, protocol.operation_names())
        number = 1 + max((int(fault.id.rpartition("-")[2]) for fault in self._all), default=0)
        while True:
            fault = Fault(f"fault-{number}", kind, since=time.time(), **scope)
            try:
                self._store.insert(_KIND, fault.id, {"fault": fault.to_json()})
            except DuplicateRecordError:
                number += 1
                continue
            break
        logger.warning("%s is rehearsed from now on: %s", fault.id, kind)
        self._load()
        return fault

    def list(self) -> list[Fault]:
        """Return all faults as they are now, oldest first."""
        return [Fault(**body["fault"]) for body in self._store.rows(_KIND)]

    def remove(self, fault_id: str) -> Fault:
        """
        End one fault; return it as it was last.

        Raises:
            FaultError: There is no such fault.
        """
        body = self._store.get(_KIND, fault_id)
        try:
            self._store.delete(_KIND, fault_id)
        except MissingRecordError:
            raise missing(fault_id) from None
        self._load()
        return Fault(**(body or {})["fault"])

    def clear(self) -> tuple[Fault, ...]:
        """End all faults; return them as they were last."""
        return tuple(self.remove(fault.id) for fault in self.list())

    def strike(
        self,
        kinds: Iterable[str],
        *,
        operation: str = "",
        event: str = "",
        names: Iterable[str] = (),
    ) -> Fault | None:
        """
        Return the first fault of these kinds that strikes here, and count it; None when none does.

        Args:
            kinds: Which kinds can strike at this place.
            operation: What is asked, or was asked when the job or endpoint began.
            event: The event's detail type.
            names: What the resource is called; one that fits is enough.
        """
        if not self._all:
            return None
        names = tuple(names)
        for fault in self._all:
            if fault.kind not in kinds:
                continue
            if not fault.matches(operation=operation, event=event, names=names):
                continue
            if self._counted(fault.id):
                what = " ".join((operation or event, *names))
                logger.warning("%s (%s) strikes %s", fault.id, fault.kind, what)
                return fault
        return None

    def _counted(self, fault_id: str) -> bool:
        """Count one that matches, and say whether it is struck."""
        strikes = False

        def change(body: dict[str, Any]) -> None:
            nonlocal strikes
            fault = Fault(**body["fault"])
            strikes = fault.strikes_next()
            body["fault"]["seen"] += 1
            body["fault"]["struck"] += strikes

        try:
            self._store.edit(_KIND, fault_id, change)
        except MissingRecordError:  # removed a moment ago
            return False
        return strikes

    def _load(self) -> None:
        self._all = tuple(self.list())


def refuse(context: Context, operation: str, request: dict[str, Any]) -> None:
    """
    Answer a request with an error, if a fault says so.

    Raises:
        ServiceError: What SageMaker answers when this happens.
    """
    names = _names(request)
    fault = context.part(Faults).strike(_REQUEST_FAULTS, operation=operation, names=names)
    if fault is None:
        return
    if fault.kind == "throttle":
        raise ServiceError("ThrottlingException", "Rate exceeded")
    if fault.kind == "resource-limit":
        raise ResourceLimitExceededError(_limit(operation, request))
    raise ServiceError(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure.",
        status=500,
    )


def before_job(context: Context, kind: str, name: str, check: Callable[[], None]) -> None:
    """
    Let a job meet its faults before its container starts.

    Args:
        context: The service's.
        kind: Such as TrainingJob.
        name: The job's.
        check: Called while it waits; raises when the job should not go on.

    Raises:
        StruckError: The job ends, with this reason.
    """
    faults, operation = context.part(Faults), f"Create{kind}"
    slow = faults.strike({"slow-start"}, operation=operation, names=(name,))
    if slow is not None:
        deadline = time.monotonic() + (slow.seconds or 0.0)
        while (left := deadline - time.monotonic()) > 0:
            check()
            time.sleep(min(_LOOK_SECONDS, left))
    fault = faults.strike(_JOB_REASONS, operation=operation, names=(name,))
    if fault is not None:
        raise StruckError(_JOB_REASONS[fault.kind])


def takes_spot_instances(context: Context, name: str) -> float | None:
    """Return for how many seconds a spot training job that runs has no capacity; None if it has."""
    fault = context.part(Faults).strike(
        {"spot-interruption"}, operation="CreateTrainingJob", names=(name,)
    )
    return None if fault is None else fault.seconds or 0.0


def before_fleet(context: Context, endpoint: str, stopping: threading.Event) -> str | None:
    """
    Let an endpoint meet its faults before its containers start.

    Args:
        context: The service's.
        endpoint: Its name.
        stopping: Ends the wait of a slow start.

    Returns:
        Why there will be no fleet; None when there is no reason.
    """
    faults, operation = context.part(Faults), _asked(context, endpoint)
    slow = faults.strike({"slow-start"}, operation=operation, names=(endpoint,))
    if slow is not None:
        stopping.wait(slow.seconds)
    short = faults.strike({"capacity-error"}, operation=operation, names=(endpoint,))
    return None if short is None else _NO_CAPACITY


def patience(context: Context, endpoint: str) -> float | None:
    """Return after how many seconds a container that shall never be healthy is given up."""
    fault = context.part(Faults).strike(
        {"never-healthy"}, operation=_asked(context, endpoint), names=(endpoint,)
    )
    return None if fault is None else fault.seconds


def rolls_back_silently(context: Context, endpoint: str) -> bool:
    """Whether the endpoint's update ends InService as if nothing had been asked."""
    fault = context.part(Faults).strike(
        {"silent-rollback"}, operation="UpdateEndpoint", names=(endpoint,)
    )
    return fault is not None


def dies(context: Context, endpoint: str, variant: str) -> bool:
    """Whether the variant's container dies of this invocation."""
    fault = context.part(Faults).strike(
        {"dies-under-load"}, operation="InvokeEndpoint", names=(endpoint, f"{endpoint}/{variant}")
    )
    return fault is not None


def is_maintained(context: Context, endpoint: str) -> float | None:
    """Return how long SageMaker's own maintenance of an endpoint in service takes; None if none."""
    faults = context.part(Faults)
    if not faults:
        return None
    body = context.store.get("Endpoint", endpoint) or {}
    if body.get("EndpointStatus") != "InService":
        return None
    fault = faults.strike({"system-update"}, operation="InvokeEndpoint", names=(endpoint,))
    return None if fault is None else fault.seconds or 0.0


def _asked(context: Context, endpoint: str) -> str:
    """Return which operation the endpoint's fleet is for."""
    body = context.store.get("Endpoint", endpoint) or {}
    return "CreateEndpoint" if body.get("EndpointStatus") == "Creating" else "UpdateEndpoint"


def _names(request: dict[str, Any]) -> Iterator[str]:
    """Yield the resources' names in a request: all members that are called so."""
    for member, value in request.items():
        if member.endswith(("Name", "Arn")) and isinstance(value, str):
            yield name_in(value)


_JOB_RESOURCES = {
    "CreateTrainingJob": ("training job", "ResourceConfig"),
    "CreateProcessingJob": ("processing job", "ProcessingResources"),
    "CreateTransformJob": ("transform job", "TransformResources"),
}


def _limit(operation: str, request: dict[str, Any]) -> str:
    words, member = _JOB_RESOURCES.get(operation, ("endpoint", ""))
    resources = request.get(member, {})
    resources = resources.get("ClusterConfig", resources)
    kind = resources.get("InstanceType", "ml.m5.large")
    count = resources.get("InstanceCount", 1)
    return (
        f"The account-level service limit '{kind} for {words} usage' is 0 Instances, with current "
        f"utilization of 0 Instances and a request delta of {count} Instances. Please use AWS "
        "Service Quotas to request an increase for this quota. If AWS Service Quotas is not "
        "available, contact AWS support to request an increase for this quota."
    )
