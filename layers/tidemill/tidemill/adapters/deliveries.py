"""Open and closed deliveries: an upload's ledger entry and its delivery are written together."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidemill.adapters.checks import UNDER_WAY, Checks
from tidemill.adapters.entries import Entry, upload_entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import DELIVERY, OPEN_DELIVERY, State
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.delivery import OpenDelivery
from tidemill.domain.manifest import Manifest, newest
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 20
_LEDGER_WRITE = 0


#: DynamoDB writes 100 items in one transaction; one of them is the open delivery.
MOST_ARRIVALS = 99


@dataclass(frozen=True, slots=True)
class Arrival:
    """An upload that belongs to the open delivery, and its verdict."""

    version: ObjectVersion
    verdict: Verdict

    @property
    def data(self) -> bool:
        """Whether it is an upload that a dataset takes; others only arrived."""
        return self.verdict.name == "accept" and not self.verdict.catalogued


@dataclass(frozen=True, slots=True)
class Standing:
    """The open delivery; *armed* says that a message which will close it is under way."""

    delivery: OpenDelivery
    armed: bool


@dataclass(frozen=True, slots=True)
class Added:
    """
    What became of arrivals.

    *known* were recorded before. *delivery* took the others, None when there were none; *armed*
    says that a message which will close it was under way before.
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

    def standing(self, ref: str) -> Standing | None:
        """Return the open delivery and whether its message is under way, or None."""
        item = self._state.get(ref, OPEN_DELIVERY)
        return _standing(item) if item else None

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
            held = self.standing(ref)
            delivery = held.delivery.id if held else _delivery_id(ref, left[0].version, now)
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
                return Added(delivery, tuple(known), armed=held is not None and held.armed)
        raise TimeoutError(f"the open delivery of {ref} changed {_ATTEMPTS} times; try again")

    def begin(self, ref: str, version: ObjectVersion, now: float) -> OpenDelivery:
        """
        Return the open delivery; open one without uploads when there is none.

        For a marker that overtook its files.
        """
        held = self.open(ref)
        if held is not None:
            return held
        delivery = _delivery_id(ref, version, now)
        try:
            transact(self._state.client, [self._opening(ref, delivery, now)])
        except ConditionFailedError:
            return self.begin(ref, version, now)  # another was faster: its delivery it is
        return OpenDelivery(delivery, 1, now, now, uploads=0, bytes=0, marker_at=None)

    def mark(
        self,
        ref: str,
        delivery: str,
        version: ObjectVersion,
        verdict: Verdict,
        now: float,
        *,
        named: int | None,
    ) -> bool:
        """
        Record that the marker *version* arrived, and disarm the delivery: it may close sooner.

        Both or neither: a marker that is judged twice cannot close the next delivery too. Of a
        manifest only the place is kept, and *named*, the number of its files; None without one.

        Returns:
            False when the delivery was closed meanwhile.
        """
        entry = upload_entry(ref, version, verdict, now, delivery=delivery)
        facts = values(id=delivery, now=now, one=1)
        if named is not None:
            facts |= values(manifest={json.dumps({**asdict(version), "named": named})})
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, OPEN_DELIVERY),
                "UpdateExpression": "SET marker_at = :now REMOVE armed ADD revision :one"
                + (", manifests :manifest" if named is not None else ""),
                "ConditionExpression": "id = :id",
                "ExpressionAttributeValues": facts,
            }
        }
        try:
            transact(self._state.client, [self._ledger.put(entry), update])
        except ConditionFailedError as error:
            return _LEDGER_WRITE in error.failed
        return True

    def close(
        self, ref: str, delivery: OpenDelivery, reason: str, now: float, *, set_aside: int = 0
    ) -> bool:
        """
        Close *delivery* as it was read, and begin its check.

        Without an upload there is nothing to check, and nothing new to learn. *set_aside* uploads
        are not as its manifests say.

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
            "set_aside": set_aside,
            "manifests": [
                {**asdict(manifest.version), "named": manifest.named}
                for manifest in delivery.manifests
            ]
            or None,
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
        return {
            "Update": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, OPEN_DELIVERY),
                "UpdateExpression": "SET last_arrival = :now "
                "ADD uploads :uploads, others_ :others, bytes_ :bytes, revision :one",
                "ConditionExpression": "id = :id",
                "ExpressionAttributeValues": values(
                    id=delivery, now=now, one=1,
                    uploads=sums.uploads, others=sums.others, bytes=sums.bytes,
                ),
            }
        }  # fmt: skip

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
                "others_": sums.others,
                "bytes_": sums.bytes,
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
    others: int
    bytes: int


def _sums(arrivals: Sequence[Arrival]) -> _Sums:
    sizes = [item.version.size for item in arrivals if item.data]
    return _Sums(len(sizes), len(arrivals) - len(sizes), sum(sizes))


def _delivery_id(ref: str, version: ObjectVersion, now: float) -> str:
    stamp = iso(now)[:19].replace("-", "").replace(":", "").lower()
    first = f"{ref} {version.key} {version.version_id}"
    return f"d-{stamp}-{hashlib.sha256(first.encode()).hexdigest()[:6]}"


def _standing(item: dict[str, Any]) -> Standing:
    return Standing(_delivery(item), armed=bool(item.get("armed")))


def _delivery(item: dict[str, Any]) -> OpenDelivery:
    pointers = [json.loads(text) for text in item.get("manifests", ())]
    return OpenDelivery(
        id=item["id"],
        revision=item["revision"],
        opened_at=item["opened_at"],
        last_arrival=item["last_arrival"],
        uploads=item["uploads"],
        bytes=item["bytes_"],
        marker_at=item.get("marker_at"),
        others=item.get("others_", 0),
        manifests=newest(
            Manifest(named=pointer.pop("named"), version=ObjectVersion(**pointer))
            for pointer in pointers
        ),
    )
