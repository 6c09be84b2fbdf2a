"""What becomes of a model's pending triggers, and the start of the run that follows."""

from typing import Any

from tidemill.adapters.bus import Bus
from tidemill.adapters.runs import trigger_entry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import ModelRef, RunStarted, TriggerDecided
from tidemill.domain.trigger import Decision, VerdictName, decide

_ATTEMPTS = 10


class Decisions:
    """Safe to repeat: what is pending is in the State table, and a run's name starts it once."""

    def __init__(self, stores: Stores, retrain: Workflows, bus: Bus) -> None:
        self._stores = stores
        self._retrain = retrain
        self._bus = bus

    def take(self, model: ModelRef, now: float) -> list[dict[str, Any]]:
        """
        Decide every pending trigger of *model* at *now* (seconds since 1970).

        Returns:
            The runs that are to be started, also one whose starter died after writing it.

        Raises:
            TimeoutError: Other decisions on the model were faster every time; try again.
        """
        stores = self._stores
        for _ in range(_ATTEMPTS):
            lease = stores.leases.read(model.ref, "run")
            in_force = stores.specs.applied(model.ref) is not None
            decision = decide(stores.triggers.pending(model.ref), lease, now, in_force=in_force)
            if decision.run is None:
                self._defer(model, decision, lease.holder if lease else "", now)
                break
            # Whether it starts or another decision was faster: look again at those that are left.
            stores.runs.start(model.ref, decision, lease, now)
        else:
            raise TimeoutError(f"other decisions on {model.ref} were faster {_ATTEMPTS} times")
        return [run for run in stores.runs.of(model.ref) if run["status"] == "starting"]

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

    def _defer(self, model: ModelRef, decision: Decision, holder: str, now: float) -> None:
        for verdict in decision.verdicts:
            if self._stores.ledger.append(trigger_entry(model.ref, verdict, now, holder)):
                self._tell(model, verdict.trigger.id, "defer", holder)

    def _tell(self, model: ModelRef, trigger: str, verdict: VerdictName, run: str) -> None:
        self._bus.put(
            TriggerDecided(model.project, model.model, trigger=trigger, verdict=verdict, run=run)
        )
