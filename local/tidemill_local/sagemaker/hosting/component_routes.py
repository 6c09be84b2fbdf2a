"""Which copies answer for which inference component, and what is said when none do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.hosting.fleets import Fleet, Variant
from tidemill_local.sagemaker.hosting.refusals import InvocationError, UnavailableError
from tidemill_local.sagemaker.hosting.router import Router

KIND = "InferenceComponent"
_SERVES = ("InService", "Updating")


class ComponentRouter(Router):
    """The live copies by the inference component's name: one per service, a part of its context."""


def copies_of(fleet: Fleet) -> Variant:
    """Return the copies that a component's fleet is made of."""
    (copies,) = fleet.variants.values()
    return copies


def hosted(context: Context, endpoint: str) -> list[dict[str, Any]]:
    """Return the records of an endpoint's inference components, oldest first."""
    return [body for body in context.store.rows(KIND) if body["EndpointName"] == endpoint]


@contextmanager
def copies_asked(context: Context, endpoint: str, component: str | None) -> Iterator[Variant]:
    """
    Hold the copies of an inference component for a request to its endpoint.

    Raises:
        ServiceError: ValidationError or ServiceUnavailable: nothing can answer.
    """
    if component is None:
        raise InvocationError(
            "Inference Component Name header is required for endpoints to which you plan to deploy "
            "inference components. Please include Inference Component Name header or consider "
            "using SageMaker models."
        )
    with context.part(ComponentRouter).lease(component) as fleet:
        copies = None if fleet is None else copies_of(fleet)
        if copies is None or copies.workload.endpoint != endpoint:
            raise _missing(context, endpoint, component)
        if not copies.count:
            raise InvocationError(
                "Inference Component has no capacity to process this request. "
                "ApplicationAutoScaling may be in-progress (if configured) or try to increase the "
                "capacity by invoking UpdateInferenceComponentRuntimeConfig API."
            )
        yield copies


def _missing(context: Context, endpoint: str, component: str) -> ServiceError:
    body = context.store.get(KIND, component)
    if body is None or body["EndpointName"] != endpoint:
        return InvocationError(
            f"Inference Component {component} of account {context.account} not found on endpoint "
            f"{endpoint}."
        )
    status = body["InferenceComponentStatus"]
    if status in _SERVES:
        return UnavailableError(
            f"Inference Component {component} is in service and its copies are starting again; "
            "try again in a moment."
        )
    return InvocationError(f"Inference Component {component} is not InService: it is {status}.")
