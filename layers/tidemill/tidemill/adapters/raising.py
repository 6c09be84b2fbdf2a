"""Triggers that nobody asked for by hand: a schedule fired, drift was found, an alarm went off."""

import hashlib
from typing import Any

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DriftFound, TriggerDecided
from tidemill.contracts.runs import AlarmChanged, ScheduleFired
from tidemill.domain.placement import are_names
from tidemill.domain.trigger import Trigger
from tidemill.errors import InvalidInputError
from tidemill.times import seconds

#: What CloudWatch says of the state in which it creates an alarm.
_CREATED = "Unchecked"


class Raising:
    """Safe to repeat: a trigger's id is made of what it came from."""

    def __init__(self, stores: Stores, queue: Queue, bus: Bus) -> None:
        self._stores = stores
        self._queue = queue
        self._bus = bus

    def schedule(self, fired: ScheduleFired) -> str:
        """
        Raise the trigger of a schedule; return its id.

        Raises:
            InvalidInputError: The names are no model's, or the time is none.
        """
        if not are_names(fired.project, fired.model):
            raise InvalidInputError(f"schedule {fired.schedule}: {fired.ref} is no model's name")
        try:
            at = seconds(fired.at)
        except ValueError as error:
            raise InvalidInputError(f"schedule {fired.schedule}: at: {error}") from error
        identity = f"schedule-{_short(f'{fired.schedule} {fired.at}')}"
        why = f"the schedule {fired.expression} fired"
        facts = {"expression": fired.expression, "schedule": fired.schedule}
        self._raise(fired.ref, Trigger(identity, "schedule", at, why), facts)
        return identity

    def drift(self, found: DriftFound, at: float) -> str:
        """
        Raise the trigger of a drift finding of *at* (seconds since 1970); return its id.

        Of a model that is not to be trained for drift, it is refused at once, with its reason.
        """
        identity = f"drift-{_short(found.finding)}"
        trigger = Trigger(identity, "drift", at, f"drift was found: {found.reason}")
        facts = {"finding": found.finding, "feature": found.feature, "window": found.window}
        if found.retrain:
            self._raise(found.ref, trigger, facts)
        else:
            reason = f"{trigger.why}; watch.drift.retrain is false, so nothing starts"
            self._dismiss(found.ref, trigger, reason, facts)
        return identity

    def alarm(self, changed: AlarmChanged) -> list[str]:
        """
        Raise a trigger of each model whose spec names the alarm; return those models.

        An alarm that is new has no state before; its first is no finding.
        """
        models = self._stores.specs.naming(changed.alarm)
        said = f"the alarm {changed.alarm} went off"
        why = f"{said}: {changed.reason}" if changed.reason else said
        facts = {"alarm": changed.alarm, "previous": changed.previous}
        for ref in models:
            trigger = Trigger(f"alarm-{changed.id}", "drift", seconds(changed.at), why)
            if _is_new(changed):
                reason = f"{said} with its first state after it was made; that is no drift"
                self._dismiss(ref, trigger, reason, facts)
            else:
                self._raise(ref, trigger, facts)
        return models

    def _raise(self, ref: str, trigger: Trigger, facts: dict[str, Any]) -> None:
        raised = self._stores.triggers.raised(ref, trigger, facts)
        if raised == "coalesce":
            self._tell(ref, trigger, "coalesce")
        project, _, model = ref.partition("/")
        # Also of one that is known: the attempt that stored it may have died before it said so.
        self._queue.send({"project": project, "model": model})

    def _dismiss(self, ref: str, trigger: Trigger, reason: str, facts: dict[str, Any]) -> None:
        self._tell(ref, trigger, "refuse")
        self._stores.triggers.dismissed(ref, trigger, reason, facts)

    def _tell(self, ref: str, trigger: Trigger, verdict: Any) -> None:
        project, _, model = ref.partition("/")
        self._bus.put(TriggerDecided(project, model, trigger=trigger.id, verdict=verdict, run=""))


def _is_new(changed: AlarmChanged) -> bool:
    unknown = changed.previous == "INSUFFICIENT_DATA"
    return unknown and (not changed.previous_reason or changed.previous_reason.startswith(_CREATED))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
