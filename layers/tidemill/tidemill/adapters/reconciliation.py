"""The sweep's parts: compare what there is with what is written, and hint at the difference."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidemill.adapters.bus import Queue
from tidemill.adapters.checking import Checking
from tidemill.adapters.closing import Closing
from tidemill.adapters.lake import Lake
from tidemill.adapters.missed import Missed
from tidemill.adapters.outlook import look
from tidemill.adapters.runs import GOING, Ended
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.domain.delivery import Wait, judge
from tidemill.domain.failure import interrupted
from tidemill.domain.placement import TRUTH

#: A delivery's message may be this late before the sweep sends another.
OVERDUE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Queues:
    """Where the hints go."""

    intake: Queue
    truth: Queue
    deliveries: Queue
    triggers: Queue


class Reconciliation:
    """Each method returns how many differences it found."""

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        queues: Queues,
        *,
        checking: Checking,
        retrain: Workflows,
        rollout: Workflows,
        closing: Closing,
    ) -> None:
        self._stores = stores
        self._missed = Missed(stores, lake, queues.intake)
        self._truth = Missed(stores, lake, queues.truth, TRUTH)
        self._queues = queues
        self._checking = checking
        self._retrain = retrain
        self._rollout = rollout
        self._closing = closing

    def uploads(self, bucket: str, now: float) -> int:
        """Send object versions under raw/ that have no verdict through intake again."""
        return self._missed.walk(bucket, now)

    def truth(self, bucket: str, now: float) -> int:
        """Send object versions under truth/ that nobody has read to be recorded."""
        return self._truth.walk(bucket, now)

    def _of_each(self, act: Callable[[str], int]) -> int:
        """Do *act* for each model; what one breaks does not keep the others from their turn."""
        done, errors = 0, []
        for ref in self._stores.specs.refs():
            try:
                done += act(ref)
            except Exception as error:  # noqa: BLE001  # raised below, after the others' turn
                error.add_note(f"of {ref}")
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} models could not be swept", errors)
        return done

    def executions(self, now: float) -> int:
        """End every run whose workflow has ended without saying so."""
        return self._of_each(lambda ref: self._settle(ref, now))

    def _settle(self, ref: str, now: float) -> int:
        settled = 0
        lease = self._stores.leases.read(ref, "run")
        holder = {lease.holder} if lease is not None and lease.holder else set()
        for run in self._stores.standings.read(ref).going | holder:
            ended = self._ended(ref, run)
            if ended is not None and self._stores.runs.get(ref, run)["status"] in GOING:
                settled += self._closing.run(ref, run, ended, now)
        return settled + self._free_lease(ref) + self._settle_rollout(ref, now)

    def deliveries(self, now: float) -> int:
        """Send the closing message again of every open delivery that should have been looked at."""
        return self._of_each(lambda ref: self._look(ref, now))

    def _look(self, ref: str, now: float) -> int:
        delivery = self._stores.deliveries.open(ref)
        spec = self._stores.specs.find(ref)
        if delivery is None or spec is None:
            return 0
        # Not merely late; and only once, for a message that has to wait sends itself again.
        if isinstance(judge(delivery, spec.delivery, now - OVERDUE_SECONDS), Wait):
            return 0
        message = {"project": spec.project, "model": spec.model, "delivery": delivery.id}
        self._queues.deliveries.send({**message, "once": True})
        return 1

    def checks(self, now: float) -> int:
        """Set going again every check that died, or that failed and is due."""
        return self._checking.sweep(now)

    def triggers(self, now: float) -> int:
        """
        Have every model decided whose message was lost, or that has an unstarted run.

        Not every model that waits: a hint that is under way is left to come.
        """
        return self._of_each(lambda ref: self._wake(ref, now))

    def _wake(self, ref: str, now: float) -> int:
        seen = look(self._stores, ref)
        runs = [self._stores.runs.get(ref, run) for run in seen.record.going]
        unstarted = any(run["status"] == "starting" for run in runs)
        if not unstarted and not seen.is_overdue(seen.decide(now), now):
            return 0
        project, _, model = ref.partition("/")
        self._queues.triggers.send({"project": project, "model": model})
        return 1

    def _free_lease(self, ref: str) -> int:
        """Free the lease of a run whose end was written by somebody who then died."""
        lease = self._stores.leases.read(ref, "run")
        if lease is None or not lease.holder:
            return 0
        if self._stores.runs.get(ref, lease.holder)["status"] in GOING:
            return 0
        return int(self._stores.leases.release(ref, "run", lease.holder))

    def _settle_rollout(self, ref: str, now: float) -> int:
        lease = self._stores.leases.read(ref, "rollout")
        described = self._rollout.find(lease.holder) if lease and lease.holder else None
        if lease is None or described is None or described["status"] == "RUNNING":
            return 0
        version = json.loads(described["input"])["version"]
        return self._closing.rollout(ref, lease.holder, version, _reason(described), now)

    def _ended(self, ref: str, run: str) -> Ended | None:
        described = self._retrain.find(run)
        if described is None or described["status"] == "RUNNING":
            return None
        reason = _reason(described, run_of=ref)
        return Ended("stopped" if described["status"] == "ABORTED" else "failed", reason)


def _reason(described: dict[str, Any], *, run_of: str = "") -> str:
    error, cause = described.get("error") or "", described.get("cause") or ""
    return interrupted(described["status"], error, cause, run_of)
