"""The version in service, as last verified; the endpoint itself is the truth."""

from typing import Any

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import transact
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import CHAMPION, State


class Champions:
    """One item per model, written only after a rollout was verified."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state = state
        self._ledger = ledger

    def find(self, ref: str) -> dict[str, Any] | None:
        """Return `{"version", "config", "package", "since", "previous"}`, or None."""
        item = self._state.get(ref, CHAMPION)
        return item and {
            name: item.get(name) for name in ("version", "config", "package", "since", "previous")
        }

    def crown(
        self, ref: str, *, version: int, config: str, package: str, now: float, entry: Entry
    ) -> None:
        """
        Record *version* as the champion, with the rollout's ledger entry. Safe to repeat.

        The rollout lease makes this the only writer.
        """
        before = self.find(ref)
        if before and before["version"] == version and before["config"] == config:
            self._ledger.append(entry)
            return
        document = {
            "version": version,
            "config": config,
            "package": package,
            "since": now,
            "previous": _previous(before, version),
        }
        state = self._state
        transact(state.client, [state.put(ref, CHAMPION, document), self._ledger.put(entry)])

    def forget(self, ref: str) -> None:
        """Remove the record after the endpoint was deleted."""
        self._state.client.delete_item(
            TableName=self._state.table, Key=self._state.key(ref, CHAMPION)
        )


def _previous(before: dict[str, Any] | None, version: int) -> int | None:
    """Return what a rollback goes to: never the version itself, also when it came in anew."""
    if before is None:
        return None
    previous: int | None = before["previous" if before["version"] == version else "version"]
    return previous
