"""How runs and rollouts end, whoever notices: the workflow itself, its status event, the sweep."""

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.ledger import Entry
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DomainEvent, RolloutRolledBack, RunFailed, RunSucceeded


class Closing:
    """Safe to repeat: what has ended stays as it ended."""

    def __init__(self, stores: Stores, triggers: Queue, bus: Bus) -> None:
        self._stores = stores
        self._triggers = triggers
        self._bus = bus

    def run(self, ref: str, run: str, ended: Ended, now: float) -> bool:
        """
        End a run, free its lease, and have the triggers decided that waited for it.

        Returns:
            False when it had ended otherwise before.
        """
        changed = self._stores.runs.finish(ref, run, ended, now)
        project, _, model = ref.partition("/")
        self._triggers.send({"project": project, "model": model})
        if changed:
            self._bus.put(_announced(project, model, run, ended))
        return changed

    def rollout(self, ref: str, execution: str, version: int, reason: str, now: float) -> bool:
        """
        Record a rollout that ended without a word, and free its lease.

        Returns:
            False when it had recorded its end itself.
        """
        changed = self._stores.ledger.append(
            Entry(
                ref,
                f"rollout#{execution}",
                now,
                "rollout",
                f"version {version}",
                "fail",
                reason,
                {"version": version, "execution": execution},
            )
        )
        self._stores.leases.release(ref, "rollout", execution)
        if changed:
            project, _, model = ref.partition("/")
            self._bus.put(RolloutRolledBack(project, model, number=version, reason=reason))
        return changed


def _announced(project: str, model: str, run: str, ended: Ended) -> DomainEvent:
    match ended.status:
        case "succeeded":
            return RunSucceeded(project, model, run=run, status=ended.status, reason=ended.reason)
        case status:
            return RunFailed(project, model, run=run, status=status, reason=ended.reason)
