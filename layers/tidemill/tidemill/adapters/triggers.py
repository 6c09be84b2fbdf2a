"""Triggers that wait for a decision."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import TRIGGER, State
from tidemill.domain.trigger import MOST_WAITING, Trigger, Verdict
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending trigger, and the reason that the ledger and subscribers heard of it last."""

    trigger: Trigger
    told: str = ""


class Triggers:
    """Pending triggers of a model; a decision that starts a run takes them away."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state = state
        self._ledger = ledger

    def put(self, ref: str, trigger: Trigger) -> "TransactWriteItemTypeDef":
        """Return the write that makes *trigger* pending; repeating it changes nothing."""
        return self._state.put(ref, _fact(trigger), asdict(trigger))

    def taken(self, ref: str, trigger: Trigger) -> "TransactWriteItemTypeDef":
        """Return the write that takes *trigger* away, on condition that nobody else did."""
        return {
            "Delete": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, _fact(trigger)),
                "ConditionExpression": "attribute_exists(id)",
            }
        }

    def pending(self, ref: str) -> list[Trigger]:
        """Return the model's pending triggers, oldest first; of very many the oldest."""
        return [waiting.trigger for waiting in self.waiting(ref)]

    def waiting(self, ref: str) -> list[Waiting]:
        """Return the model's pending triggers with what was said of them, oldest first."""
        return [
            Waiting(
                Trigger(item["id"], item["kind"], item["at"], item["why"], item.get("rows")),
                item.get("told", ""),
            )
            for item in self._state.under(ref, TRIGGER, most=MOST_WAITING)
        ]

    def told(self, ref: str, trigger: Trigger, reason: str) -> None:
        """Remember that it was said why *trigger* waits; one that was taken meanwhile stays so."""
        client = self._state.client
        try:
            client.update_item(
                TableName=self._state.table,
                Key=self._state.key(ref, _fact(trigger)),
                UpdateExpression="SET told = :reason",
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeValues=values(reason=reason),
            )
        except client.exceptions.ConditionalCheckFailedException:
            return

    def raised(
        self, ref: str, trigger: Trigger, facts: dict[str, Any], *, joins: bool = True
    ) -> Literal["raise", "coalesce"]:
        """
        Make *trigger* pending, with its ledger entry: once, however often it is told.

        One that *joins* is no other while one of its kind waits: a schedule that fires every hour
        of a long blackout is one reason to run when it ends. For triggers that bring no data.

        Returns:
            What became of it, now or when it was raised before.

        Raises:
            TimeoutError: Others took what it was about to join every time; try again.
        """
        for _ in range(_ATTEMPTS):
            waiting = self.pending(ref) if joins else []
            first = next((other for other in waiting if other.kind == trigger.kind), None)
            if first is None:
                place, verdict, reason = self.put(ref, trigger), "raise", trigger.why
            else:
                place, verdict = self._still(ref, first), "coalesce"
                reason = (
                    f"{trigger.why}; joins the {first.kind} trigger of {iso(first.at)} that waits"
                )
            entry = _raised(ref, trigger, verdict, reason, facts)
            try:
                transact(self._state.client, [self._ledger.put(entry), place])
            except ConditionFailedError as error:
                if 0 in error.failed:
                    known = self._ledger.find(ref, entry.key)
                    return "coalesce" if known and known["verdict"] == "coalesce" else "raise"
                continue  # a run took it: this one comes after
            return "raise" if first is None else "coalesce"
        raise TimeoutError(f"the triggers of {ref} changed {_ATTEMPTS} times; try again")

    def dismissed(self, ref: str, trigger: Trigger, reason: str, facts: dict[str, Any]) -> None:
        """Write down that *trigger* arose and is refused at once; it never waits."""
        self._ledger.append(_raised(ref, trigger, "refuse", reason, facts))

    def refused(self, ref: str, verdicts: list[Verdict], now: float) -> None:
        """Take triggers away that can never start, each with its ledger entry."""
        for verdict in verdicts:
            entry = trigger_entry(ref, verdict, now, "")
            try:
                transact(
                    self._state.client, [self.taken(ref, verdict.trigger), self._ledger.put(entry)]
                )
            except ConditionFailedError:
                continue  # another decision was faster

    def _still(self, ref: str, trigger: Trigger) -> "TransactWriteItemTypeDef":
        """Return the condition that *trigger* is pending."""
        return {
            "ConditionCheck": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, _fact(trigger)),
                "ConditionExpression": "attribute_exists(id)",
            }
        }


def trigger_entry(ref: str, verdict: Verdict, now: float, run: str) -> Entry:
    """
    Return the ledger entry of a trigger's verdict; *run* is the run it starts, joins or waits for.

    Of a trigger that is put off there is one entry per reason, however often one looks.
    """
    trigger = verdict.trigger
    bearing = _short(verdict.reason) if verdict.name == "defer" else run
    facts = {**verdict.facts, "trigger": trigger.id, "run": run, "until": verdict.until}
    return Entry(
        ref,
        f"{TRIGGER}{trigger.id}#{verdict.name}#{bearing}",
        now,
        "trigger",
        trigger.kind,
        verdict.name,
        verdict.reason,
        facts,
    )


def chunks(verdicts: tuple[Verdict, ...], size: int) -> Iterator[tuple[Verdict, ...]]:
    """Yield *verdicts* in groups of at most *size*."""
    for begin in range(0, len(verdicts), size):
        yield verdicts[begin : begin + size]


def _raised(ref: str, trigger: Trigger, verdict: str, reason: str, facts: dict[str, Any]) -> Entry:
    identity = f"{TRIGGER}{trigger.id}#raise"
    known = {**facts, "trigger": trigger.id}
    return Entry(ref, identity, trigger.at, "trigger", trigger.kind, verdict, reason, known)


def _short(reason: str) -> str:
    return hashlib.sha256(reason.encode()).hexdigest()[:8]


def _fact(trigger: Trigger) -> str:
    return f"{TRIGGER}{iso(trigger.at)}#{trigger.id}"
