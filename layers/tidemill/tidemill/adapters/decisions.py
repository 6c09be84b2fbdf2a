"""What becomes of a model's pending triggers, and the start of the run that follows."""

from typing import Any

from tidemill.adapters.bus import LONGEST_DELAY_SECONDS, Bus, Queue
from tidemill.adapters.outlook import OVERDUE_SECONDS, Outlook, look
from tidemill.adapters.runs import MOST_TRIGGERS, Basis
from tidemill.adapters.stores import Stores
from tidemill.adapters.triggers import chunks, trigger_entry
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.domain_events import RunStarted, TriggerDecided
from tidemill.contracts.models import LookAtModel, ModelRef
from tidemill.domain.trigger import Decision, VerdictName

_ATTEMPTS = 10


class Decisions:
    """Safe to repeat: what is pending is in the State table, and a run's name starts it once."""

    def __init__(self, stores: Stores, retrain: Workflows, bus: Bus, queue: Queue) -> None:
        self._stores = stores
        self._retrain = retrain
        self._bus = bus
        self._queue = queue

    def take(
        self, request: LookAtModel, now: float, *, repeated: bool = False
    ) -> list[dict[str, Any]]:
        """
        Decide every pending trigger of a model.

        Those that time alone frees are looked at again by then: one delayed hint per model is
        under way, however many of them wait and however often one looks.

        Args:
            request: Which model.
            now: Seconds since 1970.
            repeated: An attempt before may have died just before it sent the hint.

        Returns:
            The runs that are to be started, also one whose starter died after writing it.

        Raises:
            TimeoutError: Other decisions on the model were faster every time; try again.
        """
        stores, ref = self._stores, request.ref
        for _ in range(_ATTEMPTS):
            seen = look(stores, ref)
            decision = seen.decide(now)
            if decision.run is None:
                self._refuse(request, decision, now)
                self._put_off(request, seen, decision, now)
                self._look_again(request, seen, decision, now, repeated=repeated)
                break
            # Whether it starts or another decision was faster: look again at those that are left.
            same_spec = stores.specs.unchanged(ref, str(seen.digest))
            basis = Basis(seen.lease, seen.record.starts, (same_spec,))
            if stores.runs.start(ref, decision, basis, now):
                self._join_the_rest(ref, decision, now)
        else:
            raise TimeoutError(f"other decisions on {ref} were faster {_ATTEMPTS} times")
        going = [stores.runs.get(ref, run) for run in sorted(stores.standings.read(ref).going)]
        return [run for run in going if run["status"] == "starting"]

    def start(self, model: ModelRef, run: dict[str, Any]) -> None:
        """Start the workflow of a run that was decided, and tell subscribers."""
        # Told first: a short run may have ended before a retry comes by to say that it began.
        for place, trigger in enumerate(run["triggers"]):
            self._tell(model, trigger, "coalesce" if place else "start", run["run"])
        self._bus.put(
            RunStarted(
                model.project, model.model, run=run["run"], trigger=run["trigger"], why=run["why"]
            )
        )
        execution = self._retrain.start(
            run["run"], {"project": model.project, "model": model.model, "run": run["run"]}
        )
        self._stores.runs.note(model.ref, run["run"], status="running", execution=execution)

    def _join_the_rest(self, ref: str, decision: Decision, now: float) -> None:
        """Let the triggers join that the transaction of the start had no room for."""
        for verdicts in chunks(decision.verdicts[MOST_TRIGGERS:], MOST_TRIGGERS):
            if not self._stores.runs.join(ref, decision, verdicts, now):
                return  # what is left waits for the run's end

    def _refuse(self, model: ModelRef, decision: Decision, now: float) -> None:
        refused = [verdict for verdict in decision.verdicts if verdict.name == "refuse"]
        for verdict in refused:
            self._tell(model, verdict.trigger.id, "refuse", "")
        self._stores.triggers.refused(model.ref, refused, now)

    def _put_off(self, model: ModelRef, seen: Outlook, decision: Decision, now: float) -> None:
        told = {waiting.trigger.id: waiting.told for waiting in seen.waiting}
        for verdict in decision.verdicts:
            trigger = verdict.trigger
            if verdict.name != "defer" or told[trigger.id] == verdict.reason:
                continue
            run = verdict.facts["run"] if verdict.facts["rule"] == "lease" else ""
            self._stores.ledger.append(trigger_entry(model.ref, verdict, now, run))
            self._tell(model, trigger.id, "defer", run)
            self._stores.triggers.told(model.ref, trigger, verdict.reason)

    def _look_again(
        self, request: LookAtModel, seen: Outlook, decision: Decision, now: float, *, repeated: bool
    ) -> None:
        """Send the delayed hint, unless one is under way that comes in time; hop by hop."""
        again, armed = decision.look_again, seen.record.look_at
        if again is None:
            return
        is_here = armed is not None and armed == request.look_at
        if armed is not None and not is_here and now <= armed + OVERDUE_SECONDS and armed <= again:
            if not repeated:
                return
            due = armed
        else:
            due = min(again, now + LONGEST_DELAY_SECONDS)
            if not self._stores.standings.arm(request.ref, seen.record, due):
                return
        message = {"project": request.project, "model": request.model, "look_at": due}
        self._queue.send(message, due - now)

    def _tell(self, model: ModelRef, trigger: str, verdict: VerdictName, run: str) -> None:
        self._bus.put(
            TriggerDecided(model.project, model.model, trigger=trigger, verdict=verdict, run=run)
        )
