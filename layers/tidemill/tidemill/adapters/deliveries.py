"""Open and closed deliveries: an upload's ledger entry and its delivery are written together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.adapters.checks import UNDER_WAY, Checks
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Entry, Ledger, upload_entry
from tidemill.adapters.state import DELIVERY, OPEN_DELIVERY, State
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.delivery import OpenDelivery
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 20
_LEDGER_WRITE = 0


#: DynamoDB writes 100 items in one transaction; one of them is the open delivery.
MOST_ARRIVALS = 99


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    An upload that belongs to the open delivery, and its verdict.

    *name* is kept for a manifest to be checked against; None when the spec has no marker.
    """

    version: ObjectVersion
    verdict: Verdict
    name: str | None = None

    @property
    def data(self) -> bool:
        """Whether it is an upload that a dataset takes; others only arrived."""
        return self.verdict.name == "accept" and not self.verdict.catalogued


@dataclass(frozen=True, slots=True)
class Added:
    """
    What became of arrivals.

    *known* were recorded before. *delivery* took the others, None when there were none; *armed*
    says that a message which will close it was under way already.
    """

    delivery: str | None
    known: tuple[Arrival, ...] = ()
    armed: bool = False


class Deliveries:
    """One open delivery per model; whoever comes first opens it."""

    def __init__(self, state: State, ledger: Ledger, checks: Checks) -> None:
        self._state = state
        self._ledger = ledger
        self._checks = checks

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

    def add(self, ref: str, arrivals: Sequence[Arrival], now: float) -> Added:
        """
        Record uploads and add them to the open delivery, all or none of them.

        What was recorded before is left out: its verdict stays. One write of the open delivery
        serves them all, so that a storm does not queue behind one item.

        Args:
            ref: The model.
            arrivals: At most MOST_ARRIVALS, no version twice.
            now: Seconds since 1970.

        Raises:
            TimeoutError: Others changed the open delivery every time; try again.
        """
        left = list(arrivals)
        known: list[Arrival] = []
        for _ in range(_ATTEMPTS):
            if not left:
                return Added(None, tuple(known))
            held = self._state.get(ref, OPEN_DELIVERY)
            delivery = held["id"] if held else _delivery_id(ref, left[0].version, now)
            entries = [
                upload_entry(ref, item.version, item.verdict, now, delivery=delivery)
                for item in left
            ]
            write = (
                self._addition(ref, delivery, left, now)
                if held
                else self._opening(ref, delivery, now, left)
            )
            try:
                transact(
                    self._state.client, [*(self._ledger.put(entry) for entry in entries), write]
                )
            except ConditionFailedError as error:
                known += [item for n, item in enumerate(left) if n in error.failed]
                left = [item for n, item in enumerate(left) if n not in error.failed]
            else:
                armed = bool(held and held.get("armed"))
                return Added(delivery, tuple(known), armed=armed)
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
        Close *delivery* as it was read, and begin its check.

        Without an upload there is nothing to check, and nothing new to learn.

        Returns:
            False when an upload arrived since it was read: judge it again.
        """
        state = self._state
        closed = {
            "id": delivery.id,
            "opened_at": delivery.opened_at,
            "closed_at": now,
            "uploads": delivery.uploads,
            "bytes": delivery.bytes,
            "reason": reason,
        }
        if delivery.uploads:
            closed |= {"stands": UNDER_WAY, "attempt": 1, "since": now}
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
                    *([self._checks.begun(ref, delivery.id)] if delivery.uploads else []),
                ],
            )
        except ConditionFailedError:
            return False
        return True

    def _addition(
        self, ref: str, delivery: str, arrivals: Sequence[Arrival], now: float
    ) -> "TransactWriteItemTypeDef":
        sums = _sums(arrivals)
        named = values(id=delivery, now=now, one=1, more=sums.uploads, size=sums.bytes)
        if sums.names:
            named |= values(names=sums.names)
        return {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, OPEN_DELIVERY),
                "UpdateExpression": "SET last_arrival = :now "
                "ADD uploads :more, bytes_ :size, revision :one"
                + (", arrived :names" if sums.names else ""),
                "ConditionExpression": "id = :id",
                "ExpressionAttributeValues": named,
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
        self, ref: str, delivery: str, now: float, arrivals: Sequence[Arrival] = ()
    ) -> "TransactWriteItemTypeDef":
        sums = _sums(arrivals)
        item = self._state.item(
            ref,
            OPEN_DELIVERY,
            {
                "id": delivery,
                "revision": 1,
                "opened_at": now,
                "last_arrival": now,
                "uploads": sums.uploads,
                "bytes_": sums.bytes,
                "arrived": sums.names or None,  # NAMES is a word of DynamoDB's own
            },
        )
        return {
            "Put": {
                "TableName": self._state.table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(id)",
            }
        }


@dataclass(frozen=True, slots=True)
class _Sums:
    uploads: int
    bytes: int
    names: frozenset[str]


def _sums(arrivals: Sequence[Arrival]) -> _Sums:
    accepted = [item.version.size for item in arrivals if item.data]
    names = frozenset(item.name for item in arrivals if item.name)
    return _Sums(len(accepted), sum(accepted), names)


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
