"""How rollouts end: the champion or the failure, in the ledger, and the lease."""

from tidemill.adapters.bus import Bus
from tidemill.adapters.entries import Entry
from tidemill.adapters.monitoring import Monitoring
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import RolloutRolledBack, RolloutSucceeded
from tidemill.contracts.models import Failure
from tidemill.contracts.rollouts import CloseRollout
from tidemill.domain.failure import explain


class RolloutEnds:
    """Safe to repeat: what has ended stays as it ended."""

    def __init__(self, stores: Stores, bus: Bus, monitoring: Monitoring | None = None) -> None:
        self._stores = stores
        self._bus = bus
        self._monitoring = monitoring  # needed where versions come into service

    def close(self, request: CloseRollout, now: float) -> Entry:
        """
        End a rollout as its workflow says.

        Args:
            request: What was done, and the failure if there was one.
            now: Seconds since 1970.

        Returns:
            The ledger's entry.
        """
        if request.gone:
            self._stores.champions.forget(request.ref)
        entry = self._entry(request, now)
        if request.failure is None and request.action != "none":
            self._stores.champions.crown(
                request.ref,
                version=request.version,
                config=request.config,
                package=request.package,
                now=now,
                entry=entry,
            )
            self._follow(request, now)
        else:
            self._stores.ledger.append(entry)
        self._stores.leases.release(request.ref, "rollout", request.execution)
        announced = RolloutSucceeded if request.failure is None else RolloutRolledBack
        self._bus.put(
            announced(request.project, request.model, number=request.version, reason=entry.reason)
        )
        return entry

    def interrupted(self, ref: str, execution: str, version: int, reason: str, now: float) -> bool:
        """
        Record a rollout that ended without a word, and free its lease.

        Returns:
            False when it had recorded its end itself.
        """
        facts = {"version": version, "execution": execution}
        changed = self._stores.ledger.append(
            Entry(
                ref,
                _sort_key(execution),
                now,
                "rollout",
                f"version {version}",
                "fail",
                reason,
                facts,
            )
        )
        self._stores.leases.release(ref, "rollout", execution)
        if changed:
            project, _, model = ref.partition("/")
            self._bus.put(RolloutRolledBack(project, model, number=version, reason=reason))
        return changed

    def _follow(self, request: CloseRollout, now: float) -> None:
        """Have SageMaker's schedule, if the traffic is read by one, look at the new version."""
        spec = self._stores.specs.find(request.ref)
        if self._monitoring is None or spec is None or spec.watch.backend != "sagemaker":
            return
        warning = self._monitoring.follow(spec)
        if warning is not None:
            said = Entry(
                request.ref,
                f"watch#{request.execution}",
                now,
                "watch",
                f"version {request.version}",
                "failed",
                warning,
                {"version": request.version, "execution": request.execution},
            )
            self._stores.ledger.append(said)

    def _entry(self, request: CloseRollout, now: float) -> Entry:
        verdict, reason = self._outcome(request)
        return Entry(
            request.ref,
            _sort_key(request.execution),
            now,
            "rollout",
            f"version {request.version}",
            verdict,
            reason,
            {"version": request.version, "config": request.config, "execution": request.execution},
        )

    def _outcome(self, request: CloseRollout) -> tuple[str, str]:
        """Return the verdict and its reason."""
        if request.failure is not None:
            failure = Failure.parse(request.failure)
            said = explain(failure.state, failure.error, failure.cause).reason
            champion = self._stores.champions.find(request.ref)
            after = f"version {champion['version']} stays" if champion else "nothing is in service"
            return "roll back" if request.rolled_back else "fail", f"{said}; {after}"
        if request.action == "none":
            return "keep", f"version {request.version} is already in service"
        return "in service", f"version {request.version} answers as evaluated: {request.why}"


def _sort_key(execution: str) -> str:
    """Return the place of a rollout's one entry: who ends it first has said how it ended."""
    return f"rollout#{execution}"
