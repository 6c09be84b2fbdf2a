"""How runs and rollouts end, whoever notices: the workflow itself, its status event, the sweep."""

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.ledger import Entry
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores


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
            False when it had ended before.
        """
        changed = self._stores.runs.finish(ref, run, ended, now)
        project, _, model = ref.partition("/")
        self._triggers.send({"project": project, "model": model})
        if changed:
            self._bus.put(
                "Run Succeeded" if ended.status == "succeeded" else "Run Failed",
                ref,
                run=run,
                status=ended.status,
                reason=ended.reason,
            )
        return changed

    def rollout(self, ref: str, execution: str, version: int, reason: str, now: float) -> bool:
        """Record a rollout that ended without a word, and free its lease."""
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
        return changed
