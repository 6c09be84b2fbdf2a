"""How runs and rollouts end, whoever notices: the workflow itself, its status event, the sweep."""

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.rollout_ends import RolloutEnds
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DomainEvent, RunFailed, RunSucceeded


class Closing:
    """Safe to repeat: what has ended stays as it ended."""

    def __init__(self, stores: Stores, triggers: Queue, bus: Bus) -> None:
        self._stores = stores
        self._triggers = triggers
        self._bus = bus
        self._rollouts = RolloutEnds(stores, bus)

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
        return self._rollouts.interrupted(ref, execution, version, reason, now)


def _announced(project: str, model: str, run: str, ended: Ended) -> DomainEvent:
    match ended.status:
        case "succeeded":
            return RunSucceeded(project, model, run=run, status=ended.status, reason=ended.reason)
        case status:
            return RunFailed(project, model, run=run, status=status, reason=ended.reason)
