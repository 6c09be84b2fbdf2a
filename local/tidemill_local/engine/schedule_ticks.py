"""Schedules are looked at twice a second, and one that has fired does not fire again on restart."""

import contextlib
import json
from typing import Any

from ministack.services import eventbridge, scheduler

from tidemill_local.engine.hooks import expect_value
from tidemill_local.engine.surroundings import Surroundings

_SECONDS = 0.5
_STORE = "schedule"


def check() -> None:
    """Require the two loops' intervals and memories."""
    for module, interval, fired in (
        (scheduler, "_SCHEDULE_TICK_INTERVAL", "_schedule_last_fired"),
        (eventbridge, "_SCHEDULER_TICK_INTERVAL", "_rule_last_fired"),
    ):
        expect_value(module, interval, (int, float))
        expect_value(module, fired, dict)


def apply(surroundings: Surroundings) -> None:
    """Shorten the intervals and keep when each schedule fired last."""
    scheduler._SCHEDULE_TICK_INTERVAL = _SECONDS
    eventbridge._SCHEDULER_TICK_INTERVAL = _SECONDS
    scheduler._schedule_last_fired = LastFired(surroundings, "schedules")
    eventbridge._rule_last_fired = LastFired(surroundings, "rules")


class LastFired(dict[tuple[str, str, str], float]):
    """When each schedule fired last (epoch seconds), by account, region and name; kept on disk."""

    def __init__(self, surroundings: Surroundings, parent: str) -> None:
        rows = surroundings.records.rows(_STORE, parent)
        super().__init__({tuple(json.loads(key)): fired for _, key, fired in rows})
        self._surroundings = surroundings
        self._records = surroundings.records
        self._parent = parent

    def __setitem__(self, key: tuple[str, str, str], fired: float) -> None:
        super().__setitem__(key, fired)
        self._records.put(_STORE, self._parent, json.dumps(key), fired)
        self._surroundings.changed()  # a schedule that fires may delete itself

    def pop(self, key: tuple[str, str, str], *default: Any) -> Any:
        """Forget a schedule that is over."""
        with contextlib.suppress(KeyError):
            del self[key]
            self._records.delete(_STORE, self._parent, json.dumps(key))
        return default[0] if default else None

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._records.clear(_STORE, self._parent)
