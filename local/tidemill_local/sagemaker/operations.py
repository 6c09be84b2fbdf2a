"""The operations this service offers, by name, and what runs when it starts and stops."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker import misfortune, protocol
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError, ValidationError

logger = logging.getLogger(__name__)

Operation = Callable[[Context, dict[str, Any]], dict[str, Any]]
Hook = Callable[[Context], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """
    An operation as this service has it.

    A request with a member that is *refused* is answered with an error; one that is *idle* is kept
    and described, and does nothing here. *differs* says what else is not as on AWS.
    """

    function: Operation
    refused: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    differs: str = ""


_operations: dict[str, Offer] = {}
_start_hooks: list[Hook] = []
_stop_hooks: list[Hook] = []


def operation(
    name: str, *, refused: Sequence[str] = (), idle: Sequence[str] = (), differs: str = ""
) -> Callable[[Operation], Operation]:
    """
    Register a function under an operation's name, as an `Offer`; it may also be called directly.

    The function gets a request that keeps the service model's rules, and answers in the API's
    shape: unknown keys are dropped, times are epoch seconds. It raises `ServiceError`.
    """

    def register(function: Operation) -> Operation:
        if name in _operations:
            raise ValueError(f"operation {name} is registered twice")
        _operations[name] = Offer(function, tuple(refused), tuple(idle), differs)
        return function

    return register


def on_start(hook: Hook) -> Hook:
    """Register what a module does when the service starts: recover what a crash interrupted."""
    _start_hooks.append(hook)
    return hook


def on_stop(hook: Hook) -> Hook:
    """Register what a module does when the service stops: end its processes and threads."""
    _stop_hooks.append(hook)
    return hook


def call(context: Context, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """
    Perform an operation as a client would, with validation and shaping, but without HTTP.

    Raises:
        ServiceError: What a client would see.
    """
    offer = _operations.get(name)
    if offer is None:
        raise _unsupported(name)
    misfortune.refuse(context, name, request)
    accepted = protocol.accept(name, request)
    for member in offer.refused:
        if member in accepted:
            raise ValidationError(f"{member} is not supported by the local SageMaker.")
    answer = offer.function(context, accepted)
    return protocol.shape(name, answer)


def supported() -> list[str]:
    """Return the names of the operations this service offers, sorted."""
    return sorted(_operations)


def offers() -> dict[str, Offer]:
    """Return what this service offers, by the operation's name."""
    return dict(sorted(_operations.items()))


def start(context: Context) -> None:
    """Run the start hooks in the order of registration."""
    for hook in _start_hooks:
        hook(context)


def stop(context: Context) -> None:
    """Run the stop hooks, last registered first; one that fails does not spare the others."""
    for hook in reversed(_stop_hooks):
        try:
            hook(context)
        except Exception:  # processes that are not ended would outlive us
            logger.exception("%s failed", hook)


def _unsupported(name: str) -> ServiceError:
    if protocol.knows(name):
        return ValidationError(
            f"{name} is a SageMaker operation that the local cloud does not support; "
            f"it supports {', '.join(supported())}"
        )
    return ServiceError(
        "UnknownOperationException", f"{name!r} is not a SageMaker operation; check the name"
    )
