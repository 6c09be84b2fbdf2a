"""What a rollout is about to do: its lease, then what is there against what was approved."""

from dataclasses import dataclass
from typing import Any

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.monitoring import MonitoringSchedules
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.rollouts import RolloutRef
from tidemill.domain.rollout import Plan, plan, why_not
from tidemill.errors import InvalidInputError, RolloutBusyError
from tidemill.names import aws_name, rollout_name
from tidemill.spec.compiled import Spec

LEASE_SECONDS = 7 * 3600.0  # longer than the rollout machine's own limit


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be put in service, and how."""

    plan: Plan
    spec: Spec
    package: dict[str, Any]  # as described
    endpoint: str
    before: str  # the configuration that the endpoint has; empty when there is none
    unique: str  # what the rollout calls its SageMaker model and configuration
    tags: dict[str, str]


class RolloutPlans:
    """Safe to repeat: the lease is the execution's own."""

    def __init__(
        self,
        stores: Stores,
        registry: Registry,
        endpoints: Endpoints,
        *,
        monitoring: MonitoringSchedules,
        stack: str,
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._endpoints = endpoints
        self._monitoring = monitoring
        self._stack = stack

    def make(self, request: RolloutRef, now: float) -> Planned:
        """
        Take the model's rollout lease, and say what must be created, updated or replaced.

        Args:
            request: The version, and the execution that puts it in service.
            now: Seconds since 1970.

        Raises:
            RolloutBusyError: Another rollout of the model goes on.
            NotFoundError: The model has no spec, or there is no such package.
            InvalidInputError: The version is not approved any more, or SageMaker could not bring
                the endpoint to what the spec asks for.
        """
        if not self._stores.leases.acquire(
            request.ref, "rollout", holder=request.execution, now=now, seconds=LEASE_SECONDS
        ):
            raise RolloutBusyError(f"another rollout of {request.ref} is under way")
        spec = self._stores.specs.get(request.ref)
        package = self._registry.describe(request.package)
        if package["ModelApprovalStatus"] != "Approved":
            raise InvalidInputError(f"version {request.version} is not approved any more")
        project, model = request.project, request.model
        endpoint = aws_name(self._stack, project, model)
        live = self._endpoints.describe(endpoint)
        if refused := why_not(live, serverless=spec.deploy.serverless is not None):
            raise InvalidInputError(refused)
        champion = self._stores.champions.find(request.ref)
        planned = plan(live, champion["version"] if champion else None, request.version)
        if planned.action == "replace":  # the rollout's end makes it anew, on the new endpoint
            self._monitoring.remove(project, model)
        return Planned(
            planned,
            spec,
            package,
            endpoint,
            live["EndpointConfigName"] if live else "",
            rollout_name(self._stack, project, model, request.execution),
            {
                "stack": self._stack,
                "project": project,
                "model": model,
                "version": str(request.version),
            },
        )
