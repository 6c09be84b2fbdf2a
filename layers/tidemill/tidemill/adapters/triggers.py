"""Triggers that wait for a decision."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from tidemill.adapters.state import TRIGGER, State
from tidemill.domain.trigger import Trigger
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class Triggers:
    """Pending triggers of a model; a decision that starts a run takes them away."""

    def __init__(self, state: State) -> None:
        self._state = state

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
        """Return the model's pending triggers, oldest first."""
        return [
            Trigger(item["id"], item["kind"], item["at"], item["why"], item.get("rows"))
            for item in self._state.under(ref, TRIGGER)
        ]


def _fact(trigger: Trigger) -> str:
    return f"{TRIGGER}{iso(trigger.at)}#{trigger.id}"
