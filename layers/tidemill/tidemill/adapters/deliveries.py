"""Open and closed deliveries: an upload's ledger entry and its delivery are written together."""

import hashlib
from typing import TYPE_CHECKING, Any

from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Entry, Ledger, upload_entry
from tidemill.adapters.state import DELIVERY, OPEN_DELIVERY, State
from tidemill.adapters.triggers import Triggers
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.delivery import OpenDelivery
from tidemill.domain.trigger import Trigger
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 20
_LEDGER_WRITE = 0


class Deliveries:
    """One open delivery per model; whoever comes first opens it."""

    def __init__(self, state: State, ledger: Ledger, triggers: Triggers) -> None:
        self._state = state
        self._ledger = ledger
        self._triggers = triggers

    def open(self, ref: str) -> OpenDelivery | None:
        """Return the model's open delivery, or None."""
        item = self._state.get(ref, OPEN_DELIVERY)
        return _delivery(item) if item else None

    def armed(self, ref: str, delivery: str) -> bool:
        """Say whether the open delivery has a message under way that will close it."""
        item = self._state.get(ref, OPEN_DELIVERY)
        return item is None or item["id"] != delivery or bool(item.get("armed"))

    def set_armed(self, ref: str, delivery: str) -> None:
        """Remember that a message is under way; nothing happens when it was closed meanwhile."""
        self._update(ref, delivery, "SET armed = :armed", armed=True)

    def closed(self, ref: str, delivery: str) -> dict[str, Any] | None:
        """Return a closed delivery's record, or None while it is open."""
        return self._state.get(ref, f"{DELIVERY}{delivery}")

    def take(
        self, ref: str, version: ObjectVersion, verdict: Verdict, now: float, *, name: str | None
    ) -> str | None:
        """
        Record an accepted upload and add it to the open delivery, both or neither.

        Args:
            ref: The model.
            version: What was uploaded.
            verdict: Why it is accepted.
            now: Seconds since 1970.
            name: Its name below the model's prefix, kept for a manifest to be checked against;
                None when the spec has no marker.

        Returns:
            The delivery's id, or None when the upload was recorded before.
        """
        for _ in range(_ATTEMPTS):
            held = self._state.get(ref, OPEN_DELIVERY)
            delivery = held["id"] if held else _delivery_id(ref, version, now)
            entry = upload_entry(ref, version, verdict, now, delivery=delivery)
            write = (
                self._addition(ref, delivery, version, now, name)
                if held
                else self._opening(ref, delivery, now, uploads=1, size=version.size, name=name)
            )
            try:
                transact(self._state.client, [self._ledger.put(entry), write])
            except ConditionFailedError as error:
                if _LEDGER_WRITE in error.failed:
                    return None
            else:
                return delivery
        raise TimeoutError(f"the open delivery of {ref} changed {_ATTEMPTS} times; try again")

    def begin(self, ref: str, version: ObjectVersion, now: float) -> str:
        """
        Return the open delivery's id; open one without uploads when there is none.

        For what belongs to a delivery and is no data: a marker that overtook its files, or a
        file that its manifest names and that was not accepted.
        """
        held = self._state.get(ref, OPEN_DELIVERY)
        if held is not None:
            return str(held["id"])
        delivery = _delivery_id(ref, version, now)
        try:
            transact(self._state.client, [self._opening(ref, delivery, now)])
        except ConditionFailedError:
            return self.begin(ref, version, now)  # another was faster: its delivery it is
        return delivery

    def heard_of(self, ref: str, version: ObjectVersion, name: str, now: float) -> str:
        """Remember that *name* arrived, if not as data; return the delivery that it belongs to."""
        delivery = self.begin(ref, version, now)
        self._update(
            ref,
            delivery,
            "SET last_arrival = :now ADD arrived :name, revision :one",
            now=now,
            name={name},
            one=1,
        )
        return delivery

    def mark(
        self,
        ref: str,
        delivery: str,
        version: ObjectVersion,
        verdict: Verdict,
        now: float,
        *,
        expected: tuple[str, ...] | None,
    ) -> bool:
        """
        Record that the marker *version* arrived, and disarm the delivery: it may close sooner.

        Both or neither: a marker that is judged twice cannot close the next delivery too.

        Returns:
            False when the delivery was closed meanwhile.
        """
        entry = upload_entry(ref, version, verdict, now, delivery=delivery)
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, OPEN_DELIVERY),
                "UpdateExpression": "SET marker_at = :now, expected = :expected "
                "REMOVE armed ADD revision :one",
                "ConditionExpression": "id = :id",
                "ExpressionAttributeValues": values(
                    id=delivery,
                    now=now,
                    expected=list(expected) if expected is not None else None,
                    one=1,
                ),
            }
        }
        try:
            transact(self._state.client, [self._ledger.put(entry), update])
        except ConditionFailedError as error:
            return _LEDGER_WRITE in error.failed
        return True

    def close(self, ref: str, delivery: OpenDelivery, reason: str, now: float) -> bool:
        """
        Close *delivery* as it was read, and store the trigger that it is.

        Without an upload it is none: there is nothing new to learn.

        Returns:
            False when an upload arrived since it was read: judge it again.
        """
        state = self._state
        trigger = Trigger(delivery.id, "data", now, f"delivery {delivery.id} closed: {reason}")
        closed = {
            "id": delivery.id,
            "opened_at": delivery.opened_at,
            "closed_at": now,
            "uploads": delivery.uploads,
            "bytes": delivery.bytes,
            "reason": reason,
        }
        facts = {"uploads": delivery.uploads, "bytes": delivery.bytes}
        entry = Entry(
            ref, f"{DELIVERY}{delivery.id}", now, "delivery", delivery.id, "close", reason, facts
        )
        try:
            transact(
                state.client,
                [
                    {
                        "Delete": {
                            "TableName": state.table,
                            "Key": state.key(ref, OPEN_DELIVERY),
                            "ConditionExpression": "id = :id AND revision = :revision",
                            "ExpressionAttributeValues": values(
                                id=delivery.id, revision=delivery.revision
                            ),
                        }
                    },
                    state.put(ref, f"{DELIVERY}{delivery.id}", closed),
                    self._ledger.put(entry),
                    *([self._triggers.put(ref, trigger)] if delivery.uploads else []),
                ],
            )
        except ConditionFailedError:
            return False
        return True

    def _addition(
        self, ref: str, delivery: str, version: ObjectVersion, now: float, name: str | None
    ) -> "TransactWriteItemTypeDef":
        sums = values(id=delivery, now=now, one=1, size=version.size)
        return {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, OPEN_DELIVERY),
                "UpdateExpression": "SET last_arrival = :now "
                "ADD uploads :one, bytes_ :size, revision :one"
                + (", arrived :name" if name else ""),
                "ConditionExpression": "id = :id",
                "ExpressionAttributeValues": {**sums, **(values(name={name}) if name else {})},
            }
        }

    def _update(self, ref: str, delivery: str, expression: str, **named: Any) -> None:
        """Update the open delivery; one that was closed meanwhile stays closed."""
        client = self._state.client
        try:
            client.update_item(
                TableName=self._state.table,
                Key=self._state.key(ref, OPEN_DELIVERY),
                UpdateExpression=expression,
                ConditionExpression="id = :id",
                ExpressionAttributeValues=values(id=delivery, **named),
            )
        except client.exceptions.ConditionalCheckFailedException:
            return

    def _opening(
        self,
        ref: str,
        delivery: str,
        now: float,
        *,
        uploads: int = 0,
        size: int = 0,
        name: str | None = None,
    ) -> "TransactWriteItemTypeDef":
        item = self._state.item(
            ref,
            OPEN_DELIVERY,
            {
                "id": delivery,
                "revision": 1,
                "opened_at": now,
                "last_arrival": now,
                "uploads": uploads,
                "bytes_": size,
                "arrived": {name} if name else None,  # NAMES is a word of DynamoDB's own
            },
        )
        return {
            "Put": {
                "TableName": self._state.table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(id)",
            }
        }


def _delivery_id(ref: str, version: ObjectVersion, now: float) -> str:
    stamp = iso(now)[:19].replace("-", "").replace(":", "").lower()
    first = f"{ref} {version.key} {version.version_id}"
    return f"d-{stamp}-{hashlib.sha256(first.encode()).hexdigest()[:6]}"


def _delivery(item: dict[str, Any]) -> OpenDelivery:
    expected = item.get("expected")
    return OpenDelivery(
        id=item["id"],
        revision=item["revision"],
        opened_at=item["opened_at"],
        last_arrival=item["last_arrival"],
        uploads=item["uploads"],
        bytes=item["bytes_"],
        marker_at=item.get("marker_at"),
        expected=tuple(expected) if expected is not None else None,
        names=item.get("arrived", frozenset()),
    )
