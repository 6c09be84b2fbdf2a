"""
Checks of closed deliveries: which are unfinished, how each stands, what it came to.

A closed delivery's record says how its check stands: `checking`, `check_failed`, `checked`. The
partition CHECKING names those that are not done, so that a sweep reads no others.
"""

from typing import TYPE_CHECKING, Any

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import CHECKING, DELIVERY, State
from tidemill.adapters.triggers import Triggers
from tidemill.domain.check import Checked, next_attempt_at
from tidemill.domain.trigger import Trigger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

UNDER_WAY, FAILED, DONE = "checking", "check_failed", "checked"


class Checks:
    """Reads and writes how checks stand. Safe to repeat: what is done stays done."""

    def __init__(self, state: State, ledger: Ledger, triggers: Triggers) -> None:
        self._state = state
        self._ledger = ledger
        self._triggers = triggers

    def begun(self, ref: str, delivery: str) -> "TransactWriteItemTypeDef":
        """Return the write that names *delivery* as unfinished."""
        return self._state.put(CHECKING, _fact(ref, delivery), {"ref": ref, "delivery": delivery})

    def unfinished(self) -> list[tuple[str, str]]:
        """Return model and delivery of every check that is not done, also of those that failed."""
        return [(item["ref"], item["delivery"]) for item in self._state.under(CHECKING)]

    def find(self, ref: str, delivery: str) -> dict[str, Any] | None:
        """Return a closed delivery's record, or None."""
        return self._state.get(ref, DELIVERY + delivery)

    def finish(self, ref: str, delivery: str, checked: Checked, now: float) -> None:
        """
        Write what the check came to, and the trigger that follows: both or neither.

        A delivery of which nothing can be used triggers nothing.
        """
        entry = Entry(
            ref,
            f"{DELIVERY}{delivery}#checked",
            now,
            "delivery",
            delivery,
            "check",
            checked.reason,
            checked.facts,
        )
        why = f"delivery {delivery}: {checked.reason}"
        trigger = Trigger(delivery, "data", now, why, checked.rows)
        update = self._update(
            ref,
            delivery,
            {"stands": DONE, "checked_at": now, "check": checked.reason, **checked.facts},
            "stands IN (:under_way, :failed)",
            under_way=UNDER_WAY,
            failed=FAILED,
        )
        try:
            transact(
                self._state.client,
                [
                    update,
                    self._ledger.put(entry),
                    self._state.delete(CHECKING, _fact(ref, delivery)),
                    *([self._triggers.put(ref, trigger)] if checked.accepted else []),
                ],
            )
        except ConditionFailedError:
            return  # an attempt before wrote it

    def fail(self, ref: str, delivery: str, attempt: int, reason: str, now: float) -> bool:
        """
        Write that an attempt failed, and when the next one may start.

        Returns:
            False when the attempt's end was written before, or the check is done.
        """
        again_at = next_attempt_at(attempt, now)
        entry = Entry(
            ref,
            f"{DELIVERY}{delivery}#check-failed#{attempt}",
            now,
            "delivery",
            delivery,
            "check failed",
            reason,
            {"attempt": attempt, "again_at": again_at},
        )
        update = self._update(
            ref,
            delivery,
            {"stands": FAILED, "check": reason, "again_at": again_at, "since": now},
            "stands = :under_way AND attempt = :attempt",
            under_way=UNDER_WAY,
            attempt=attempt,
        )
        return self._written([update, self._ledger.put(entry)])

    def begin_again(
        self, ref: str, delivery: str, attempt: int, now: float, *, request: str = "", why: str = ""
    ) -> bool:
        """
        Begin the attempt after *attempt*, which failed.

        Args:
            ref: The model.
            delivery: Its id.
            attempt: The number of the one that failed.
            now: Seconds since 1970.
            request: Which request of a person began it; empty when time did.
            why: Their reason, for the ledger.

        Returns:
            False when another was faster.
        """
        begun = {"stands": UNDER_WAY, "attempt": attempt + 1, "since": now}
        update = self._update(
            ref,
            delivery,
            begun | ({"request": request} if request else {}),
            "stands = :failed AND attempt = :before",
            failed=FAILED,
            before=attempt,
        )
        entry = Entry(
            ref,
            f"{DELIVERY}{delivery}#check-asked#{attempt + 1}",
            now,
            "delivery",
            delivery,
            "check again",
            why,
            {"attempt": attempt + 1},
        )
        return self._written([update, *([self._ledger.put(entry)] if request else [])])

    def _written(self, writes: "list[TransactWriteItemTypeDef]") -> bool:
        try:
            transact(self._state.client, writes)
        except ConditionFailedError:
            return False
        return True

    def _update(
        self, ref: str, delivery: str, facts: dict[str, Any], condition: str, **named: Any
    ) -> "TransactWriteItemTypeDef":
        """Return a conditional update of a closed delivery's record."""
        return {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, DELIVERY + delivery),
                "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in facts),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {f"#{name}": name for name in facts},
                "ExpressionAttributeValues": values(**facts, **named),
            }
        }


def reach(record: dict[str, Any]) -> dict[str, Any]:
    """
    Return what the ledger needs to read no more than a closed delivery's entries.

    They are read from an index that may be a moment behind. What a manifest set aside was written
    a moment before the check began, and must not be missed: so it is counted. A delivery that was
    closed before such counts were kept (until 2026-11) has all of the model's uploads read.
    """
    aside = record.get("set_aside", None if record.get("manifests") else 0)
    if aside is None:
        return {}
    return {"since": record["opened_at"], "count": record["uploads"], "aside": aside}


def _fact(ref: str, delivery: str) -> str:
    return f"{ref}#{delivery}"
