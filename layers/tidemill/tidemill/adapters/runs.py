"""Runs: what was started, how far it is, how it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.leases import Leases
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.standings import Standings
from tidemill.adapters.state import RUN, State
from tidemill.adapters.triggers import Triggers, trigger_entry
from tidemill.domain.trigger import BY_A_PERSON, Decision, Lease, Verdict
from tidemill.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Final = Literal["succeeded", "refused", "failed", "stopped"]
GOING = ("starting", "running")
#: Longer than the retrain machine's own limit, so that a live run never loses its lease.
LEASE_SECONDS = 26 * 3600.0
# A transaction takes 100 writes; each trigger needs two, lease, run, standing and spec one each.
MOST_TRIGGERS = 45
# Trained to its end, whatever the gate said of it.
_LEARNED = ("succeeded", "refused")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision rested on: it is carried out only if that is still so."""

    lease: Lease | None
    starts: tuple[float, ...] = ()
    holds: "tuple[TransactWriteItemTypeDef, ...]" = ()  # more conditions, such as the spec's


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: the final status and one clear sentence."""

    status: Final
    reason: str


class Runs:
    """One item per run under its model; a final status never changes."""

    def __init__(
        self,
        state: State,
        ledger: Ledger,
        leases: Leases,
        triggers: Triggers,
        standings: Standings,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._leases = leases
        self._triggers = triggers
        self._standings = standings

    def get(self, ref: str, run: str) -> dict[str, Any]:
        """
        Return a run's record.

        Raises:
            NotFoundError: The model has no such run.
        """
        item = self._state.get(ref, RUN + run)
        if item is None:
            raise NotFoundError(f"{ref} has no run {run}; `tidemill runs {ref}` lists them")
        return item

    def of(self, ref: str) -> list[dict[str, Any]]:
        """Return the model's runs, oldest first."""
        return sorted(self._state.under(ref, RUN), key=lambda run: float(run["started_at"]))

    def start(self, ref: str, decision: Decision, basis: Basis, now: float) -> bool:
        """
        Write what *decision* says: lease, run, and its triggers' verdicts, or nothing.

        Triggers beyond MOST_TRIGGERS stay pending, for `join`.

        Returns:
            False when another decision was faster, or the spec has changed since.
        """
        run = decision.run
        if run is None:
            raise ValueError("the decision starts no run")
        verdicts = decision.verdicts[:MOST_TRIGGERS]
        first = verdicts[0].trigger
        by_itself = first.kind not in BY_A_PERSON
        record = {
            "run": run,
            "status": "starting",
            "trigger": first.kind,
            "why": first.why,
            "triggers": [verdict.trigger.id for verdict in verdicts],
            "new_rows": _new_rows(verdicts),
            "started_at": now,
        }
        lease = self._leases.take(
            ref, "run", holder=run, held=basis.lease, now=now, seconds=LEASE_SECONDS
        )
        writes: list[TransactWriteItemTypeDef] = [
            lease,
            {
                "Put": {
                    "TableName": self._state.table,
                    "Item": self._state.item(ref, RUN + run, record),
                    "ConditionExpression": "attribute_not_exists(run)",
                }
            },
            self._standings.started(ref, run, basis.starts, now, by_itself=by_itself),
            *basis.holds,
            *self._verdicts(ref, run, verdicts, now),
        ]
        return self._written(writes)

    def join(self, ref: str, decision: Decision, verdicts: Sequence[Verdict], now: float) -> bool:
        """
        Let some *verdicts* of a decision that has started its run join it too.

        What they bring was there before the run began, so that its dataset holds it.

        Returns:
            False when one of the triggers was taken by another decision.
        """
        run = str(decision.run)
        record = self.get(ref, run)
        joined: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, RUN + run),
                "UpdateExpression": "SET triggers = :triggers, new_rows = :rows",
                "ConditionExpression": "new_rows = :before",
                "ExpressionAttributeValues": values(
                    triggers=[*record["triggers"], *(verdict.trigger.id for verdict in verdicts)],
                    before=record["new_rows"],
                    rows=record["new_rows"] + _new_rows(verdicts),
                ),
            }
        }
        return self._written([joined, *self._verdicts(ref, run, verdicts, now)])

    def _verdicts(
        self, ref: str, run: str, verdicts: Sequence[Verdict], now: float
    ) -> "Iterator[TransactWriteItemTypeDef]":
        for verdict in verdicts:
            yield self._triggers.taken(ref, verdict.trigger)
            yield self._ledger.put(trigger_entry(ref, verdict, now, run))

    def _written(self, writes: "Sequence[TransactWriteItemTypeDef]") -> bool:
        try:
            transact(self._state.client, writes)
        except ConditionFailedError:
            return False
        return True

    def note(self, ref: str, run: str, **facts: Any) -> None:
        """Add facts to a run that is going, such as its stage or dataset; a final one stays."""
        named = {name: value for name, value in facts.items() if value is not None}
        assignments = ", ".join(f"#{name} = :{name}" for name in named)
        self._write(
            ref,
            run,
            UpdateExpression=f"SET {assignments}",
            ExpressionAttributeNames={"#status": "status", **{f"#{name}": name for name in named}},
            ExpressionAttributeValues=values(starting="starting", running="running", **named),
        )

    def finish(self, ref: str, run: str, ended: Ended, now: float) -> bool:
        """
        Write the final status and its ledger entry, and free the lease. Safe to repeat.

        Returns:
            True when the run ended so, now or by an earlier attempt; False when it had ended
            otherwise.
        """
        record = self.get(ref, run)
        entry = Entry(
            ref,
            f"{RUN}{run}#ended",
            now,
            "run",
            run,
            ended.status,
            ended.reason,
            {"seconds": round(now - record["started_at"], 1), "version": record.get("version")},
        )
        as_said = True
        try:
            transact(
                self._state.client,
                [
                    {
                        "Update": {
                            "TableName": self._state.table,
                            "Key": self._state.key(ref, RUN + run),
                            "UpdateExpression": "SET #status = :status, reason = :reason, "
                            "finished_at = :now",
                            "ConditionExpression": _IS_GOING,
                            "ExpressionAttributeNames": {"#status": "status"},
                            "ExpressionAttributeValues": values(
                                status=ended.status,
                                reason=ended.reason,
                                now=now,
                                starting="starting",
                                running="running",
                            ),
                        }
                    },
                    self._ledger.put(entry),
                    self._standings.ended(ref, record, now, learned=ended.status in _LEARNED),
                ],
            )
        except ConditionFailedError:
            record = self.get(ref, run)
            as_said = (record["status"], record.get("reason")) == (ended.status, ended.reason)
        self._leases.release(ref, "run", run)
        return as_said

    def _write(self, ref: str, run: str, **update: Any) -> None:
        client = self._state.client
        try:
            client.update_item(
                TableName=self._state.table,
                Key=self._state.key(ref, RUN + run),
                ConditionExpression=_IS_GOING,
                **update,
            )
        except client.exceptions.ConditionalCheckFailedException:
            return


_IS_GOING = "#status IN (:starting, :running)"


def _new_rows(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.trigger.rows or 0 for verdict in verdicts)
