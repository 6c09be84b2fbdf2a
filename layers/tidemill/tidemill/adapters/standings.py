"""
How each model stands: one item, so that neither a decision nor the sweep reads all its runs.

Its attributes are written in the transactions that start and end runs. A start writes other
attributes than an end, and starts exclude each other by the lease: nothing overwrites anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.adapters.items import values
from tidemill.adapters.state import STANDING, State
from tidemill.domain.policy import WEEK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: As many starts are kept as `runs_per_week` may allow.
MOST_STARTS = 1_000


@dataclass(frozen=True, slots=True)
class Record:
    """The item. *look_at* is when the delayed hint arrives that is under way, or was the last."""

    going: frozenset[str] = frozenset()
    starts: tuple[float, ...] = ()
    ended_at: float | None = None
    ended_run: str = ""
    dataset_rows: int | None = None
    unlearned: int = 0
    look_at: float | None = None


class Standings:
    """Reads and writes the item `standing`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, ref: str) -> Record:
        """Return how the model stands; a model that had no run stands at nothing."""
        item = self._state.get(ref, STANDING) or {}
        return Record(
            going=item.get("going", frozenset()),
            starts=tuple(item.get("starts", ())),
            ended_at=item.get("ended_at"),
            ended_run=item.get("ended_run", ""),
            dataset_rows=item.get("dataset_rows"),
            unlearned=item.get("unlearned", 0),
            look_at=item.get("look_at"),
        )

    def started(
        self, ref: str, run: str, starts: Sequence[float], now: float, *, by_itself: bool
    ) -> "TransactWriteItemTypeDef":
        """
        Return the write that a run started; *starts* are those that were read before.

        A run that a person asked for does not count for `runs_per_week`.
        """
        recent = [start for start in starts if start + WEEK > now] + [now] * by_itself
        return self._update(
            ref,
            "SET starts = :starts ADD going :run",
            starts=recent[-MOST_STARTS:],
            run={run},
        )

    def ended(
        self, ref: str, record: dict[str, Any], now: float, *, learned: bool
    ) -> "TransactWriteItemTypeDef":
        """
        Return the write that a run ended.

        Args:
            ref: The model.
            record: The run's.
            now: Seconds since 1970.
            learned: It trained on its rows, whatever came of it; else they count as new still.
        """
        said: dict[str, Any] = {"now": now, "ended": record["run"], "run": {record["run"]}}
        sets = "SET ended_at = :now, ended_run = :ended"
        if learned:
            sets += ", unlearned = :none"
            said["none"] = 0
            if record.get("dataset_rows") is not None:
                sets += ", dataset_rows = :rows"
                said["rows"] = record["dataset_rows"]
            return self._update(ref, f"{sets} DELETE going :run", **said)
        said["lost"] = record.get("new_rows") or 0
        return self._update(ref, f"{sets} ADD unlearned :lost DELETE going :run", **said)

    def idle(self, ref: str) -> "TransactWriteItemTypeDef":
        """Return the condition that no run of the model is going."""
        return {
            "ConditionCheck": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, STANDING),
                "ConditionExpression": "attribute_not_exists(going)",
            }
        }

    def arm(self, ref: str, record: Record, due: float) -> bool:
        """
        Note that a hint is about to be sent that arrives at *due*.

        Returns:
            False when another was noted since *record* was read: that one suffices.
        """
        update = self._update(ref, "SET look_at = :due", due=due)["Update"]
        condition, read = "attribute_not_exists(look_at)", {}
        if record.look_at is not None:
            condition, read = "look_at = :read", values(read=record.look_at)
        update["ConditionExpression"] = condition
        update["ExpressionAttributeValues"] = {**update["ExpressionAttributeValues"], **read}
        client = self._state.client
        try:
            client.update_item(**update)
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _update(self, ref: str, expression: str, **named: Any) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, STANDING),
                "UpdateExpression": expression,
                "ExpressionAttributeValues": values(**named),
            }
        }
