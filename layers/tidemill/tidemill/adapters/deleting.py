"""How a model goes out of service: all that costs money, then its spec."""

from tidemill.adapters.applying import turn
from tidemill.adapters.bus import Queue
from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.monitoring import MonitoringSchedules
from tidemill.adapters.schedules import Schedules
from tidemill.adapters.state import QUALITY
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import DeleteModel
from tidemill.errors import ApplyBusyError, InvalidInputError
from tidemill.names import aws_name, rollout_name
from tidemill.spec.compiled import Spec
from tidemill.times import iso


class Deleting:
    """Safe to repeat: what is gone already is left out. Uploads, versions and ledger stay."""

    def __init__(
        self,
        stores: Stores,
        endpoints: Endpoints,
        jobs: Jobs,
        schedules: Schedules,
        queue: Queue,
        *,
        monitoring: MonitoringSchedules,
        stack: str,
    ) -> None:
        self._stores = stores
        self._monitoring = monitoring
        self._endpoints = endpoints
        self._jobs = jobs
        self._schedules = schedules
        self._queue = queue
        self._stack = stack

    def delete(self, request: DeleteModel, now: float) -> list[str]:
        """
        Delete what the model has in service, then its spec, with its ledger entry.

        Args:
            request: Which model, and why.
            now: Seconds since 1970.

        Returns:
            What this call deleted, by kind and name.

        Raises:
            NotFoundError: The model has no spec.
            InvalidInputError: A run or a rollout of it goes on.
            ApplyBusyError: It is being applied, or a run has started meanwhile.
        """
        spec = self._stores.specs.get(request.ref)
        with turn(self._stores, request.ref, "delete", now):
            self._refuse_while_busy(request.ref, now)
            gone = self._clear(request, spec)
            self._forget(request, gone, now)
        # What waits for a run is told that there will be none.
        self._queue.send({"project": request.project, "model": request.model})
        return gone

    def _refuse_while_busy(self, ref: str, now: float) -> None:
        run, rollout = (self._stores.leases.read(ref, name) for name in ("run", "rollout"))
        if run is not None and run.expires_at > now:
            raise InvalidInputError(
                f"{run.holder} is still going; wait for it, or stop it, then delete"
            )
        if rollout is not None and rollout.expires_at > now:
            raise InvalidInputError(f"the rollout {rollout.holder} is still going; wait for it")

    def _clear(self, request: DeleteModel, spec: Spec) -> list[str]:
        name = aws_name(self._stack, request.project, request.model)
        schedules = self._schedules.remove(request.project, request.model)
        if spec.watch.backend == "sagemaker":
            schedules += self._monitoring.remove(request.project, request.model)
        gone = self._endpoints.delete(name, self._created(request))
        if self._jobs.delete_pipeline(name):
            gone.append(f"pipeline {name}")
        self._stores.champions.forget(request.ref)
        return gone + [f"schedule {schedule}" for schedule in schedules]

    def _created(self, request: DeleteModel) -> list[str]:
        """Return what the model's rollouts called their SageMaker model and configuration."""
        executions = [
            entry["facts"]["execution"]
            for entry in self._stores.ledger.entries(request.ref)
            if entry["kind"] == "rollout" and "execution" in entry["facts"]
        ]
        return [
            rollout_name(self._stack, request.project, request.model, execution)
            for execution in dict.fromkeys(executions)
        ]

    def _forget(self, request: DeleteModel, gone: list[str], now: float) -> None:
        entry = Entry(
            request.ref,
            f"model#delete#{iso(now)}",
            now,
            "model",
            request.model,
            "delete",
            f"{request.why}; uploads, versions and this ledger stay",
            {"deleted": gone},
        )
        also = (
            self._stores.standings.idle(request.ref),
            self._stores.watches.forget(request.ref),
            self._stores.state.delete(request.ref, QUALITY),
        )
        try:
            self._stores.specs.remove(request.ref, self._stores.ledger, entry, also)
        except ConditionFailedError as error:
            raise ApplyBusyError(
                "a run has started meanwhile; delete again when it ends"
            ) from error
