"""
The ledger: every upload, trigger, verdict, approval and rollout, append-only.

Conditional puts only: an entry that exists is never replaced, so a repeated write is no write.
An entry's key is its identity; the index `by_time` gives the order people read.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.adapters.entries import (
    EXPIRING,
    Entry,
    Seen,
    upload_key,
)
from tidemill.adapters.items import marshal, unmarshal, values
from tidemill.adapters.last_words import (
    BY_MANIFEST,
    PASSED,
    LastWord,
    accepted,
    judged,
    last_words,
    members,
    of_delivery,
    passes,
)
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion
from tidemill.domain.check import Pass
from tidemill.domain.dataset import Arrival, age
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

BY_TIME = "by_time"
_DAY = 86_400
#: So many entries of one key are read to find the version before.
LONGEST_HISTORY = 200
#: An entry has the time at which its batch was begun: so much may it be older than its delivery.
SLACK_SECONDS = 300.0
_MOST_KEYS = 100  # of one BatchGetItem
_PAUSE_SECONDS = 0.1


class History:
    """
    The entries of one key.

    Args:
        entries: As stored.
        whole: False when there are more than one read holds: a key with so many versions is
            overwritten all the time, and whether the last one is a repetition is not asked.
    """

    def __init__(self, entries: list[dict[str, Any]], *, whole: bool) -> None:
        self._admitted = {entry["entry"]: entry for entry in entries}
        self.newest = max(accepted(entries), key=age, default=None) if whole else None

    def of(self, key: str, version_id: str) -> dict[str, Any] | None:
        """Return admission's entry of one version of the key, or None."""
        return self._admitted.get(upload_key(key, version_id))


class Ledger:
    """Reads and appends entries."""

    def __init__(self, client: "DynamoDBClient", table: str, *, days: int = 0) -> None:
        self._client = client
        self._table = table
        self._days = days

    def append(self, entry: Entry) -> bool:
        """Write *entry* unless it exists; say whether it was new."""
        put = self.put(entry)["Put"]
        try:
            self._client.put_item(**put)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def put(self, entry: Entry) -> "TransactWriteItemTypeDef":
        """Return the conditional put of *entry*, for a transaction."""
        item = {
            "model": entry.ref,
            "entry": entry.key,
            "at": f"{iso(entry.at)}#{entry.key}",
            "kind": entry.kind,
            "subject": entry.subject,
            "verdict": entry.verdict,
            "reason": entry.reason,
            "facts": entry.facts,
            "expires": self._expires(entry),
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": marshal(item),
                "ConditionExpression": "attribute_not_exists(#entry)",
                "ExpressionAttributeNames": {"#entry": "entry"},
            }
        }

    def _expires(self, entry: Entry) -> int | None:
        """Return when DynamoDB may remove *entry* (seconds since 1970); None for never."""
        if not self._days or entry.kind not in EXPIRING:
            return None
        return int(entry.at) + self._days * _DAY

    def find(self, ref: str, identity: str) -> dict[str, Any] | None:
        """Return the entry of that identity, or None."""
        answer = self._client.get_item(
            TableName=self._table,
            Key=marshal({"model": ref, "entry": identity}),
            ConsistentRead=True,
        )
        return unmarshal(answer["Item"]) if "Item" in answer else None

    def history(self, ref: str, key: str) -> "History":
        """
        Return what is known of *key*: one cheap read, which may be a moment behind.

        Whoever writes on its word does so on condition, so that what it missed changes nothing.
        """
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="model = :model AND begins_with(entry, :prefix)",
            ExpressionAttributeValues=values(model=ref, prefix=upload_key(key)),
            Limit=LONGEST_HISTORY,
        )
        entries = [unmarshal(item) for item in answer["Items"]]
        return History(entries, whole="LastEvaluatedKey" not in answer)

    def upload(
        self, ref: str, key: str, version_id: str, kind: Seen = "upload"
    ) -> dict[str, Any] | None:
        """Return the first entry of an object version, or None when it was never seen."""
        return self.find(ref, upload_key(key, version_id, kind))

    def of_key(self, ref: str, key: str) -> list[dict[str, Any]]:
        """Return all that is recorded of the versions of one object, oldest first."""
        return self.under(ref, upload_key(key))

    def unknown(
        self, ref: str, uploads: Sequence[ObjectCreated], kind: Seen = "upload"
    ) -> list[ObjectCreated]:
        """Return those of *uploads* that have no entry; a cheap read, a moment behind."""
        left = {upload_key(upload.key, upload.version_id, kind): upload for upload in uploads}
        keys = [marshal({"model": ref, "entry": entry}) for entry in left]
        for first in range(0, len(keys), _MOST_KEYS):
            few = keys[first : first + _MOST_KEYS]
            asked: Any = {self._table: {"Keys": few, "ProjectionExpression": "entry"}}
            while asked:
                answer = self._client.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(self._table, []):
                    left.pop(str(unmarshal(item)["entry"]), None)
                asked = answer.get("UnprocessedKeys")
                if asked:
                    time.sleep(_PAUSE_SECONDS)  # throttled: the rest in a moment
        return list(left.values())

    def last_words(self, ref: str, key: str = "") -> list[LastWord]:
        """Return what stands of each object version of *key*, or of all of the model's uploads."""
        return last_words(self._query(ref, upload_key(key) if key else "upload#"))

    def newest_accepted(self, ref: str, key: str) -> ObjectVersion | None:
        """Return the newest accepted version of *key* that is data, or None."""
        return max(accepted(self._query(ref, upload_key(key))), key=age, default=None)

    def accepted(self, ref: str) -> list[ObjectVersion]:
        """Return a model's accepted, not later quarantined object versions that are data."""
        return accepted(self._query(ref, "upload#"))

    def accepted_in(
        self,
        ref: str,
        delivery: str,
        *,
        since: float | None = None,
        count: int | None = None,
        aside: int = 0,
    ) -> list[ObjectVersion]:
        """
        Return the object versions that were accepted into a delivery and not set aside since.

        With *since* (when it was opened, seconds since 1970), *count* (how many uploads were
        accepted, as its record says) and *aside* (how many of them its manifests set aside) no more
        is read than was written since then; but another verdict of the last moment may then be
        missing. Without them all uploads of the model are read.
        """
        return accepted(self._in(ref, delivery, since, count, aside))

    def arrived_in(
        self, ref: str, delivery: str, *, since: float, count: int
    ) -> Iterator[tuple[ObjectVersion, str]]:
        """
        Yield every upload of a delivery, with admission's verdict; in no order.

        Its entries stand together in the index by time, so that no more than they are read. The
        index may be a moment behind: when it lacks some, the model's uploads are read one by one.

        Args:
            ref: The model.
            delivery: Its id.
            since: When it was opened, in seconds since 1970.
            count: How many there are.
        """
        found = [
            judged(entry) for entry in self._by_time(ref, since - SLACK_SECONDS)
            if of_delivery(entry, delivery)
        ]  # fmt: skip
        if len(found) < count:
            entries = self._query(ref, "upload#")
            found = [judged(entry) for entry in entries if of_delivery(entry, delivery)]
        return iter(found)

    def uploads_in(
        self,
        ref: str,
        delivery: str,
        stage: str,
        *,
        since: float | None = None,
        count: int | None = None,
        aside: int = 0,
    ) -> tuple[list[ObjectVersion], list[dict[str, Any]], list[tuple[ObjectVersion, Pass]]]:
        """
        Return a delivery's accepted uploads of which *stage* said nothing, and what it said.

        That are the entries of single uploads, and those that passed without one of their own.
        *since*, *count* and *aside* are as in `accepted_in`.
        """
        entries = self._in(ref, delivery, since, count, aside)
        told = [entry for entry in entries if entry["entry"].endswith(f"#{stage}")]
        known = {judged(entry)[0].id for entry in told}
        passed = passes(self._query(ref, f"{stage}#{delivery}#"))
        unsaid = [item for item in accepted(entries) if item.id not in known]
        left = [item for item in unsaid if item.id not in passed]
        return left, told, [(item, passed[item.id]) for item in unsaid if item.id in passed]

    def _in(
        self, ref: str, delivery: str, since: float | None, count: int | None, aside: int
    ) -> list[dict[str, Any]]:
        """Return all that is said of the uploads that admission accepted into a delivery."""
        if since is not None and count is not None:
            recent = self._by_time(ref, since - SLACK_SECONDS)
            entries = [entry for entry in recent if entry["kind"] == "upload"]
            belong = members(entries, delivery)
            found = [entry for entry in entries if judged(entry)[0].identity in belong]
            by_manifest = sum(entry["entry"].endswith(BY_MANIFEST) for entry in found)
            if len(belong) >= count and by_manifest >= aside:
                return found
        entries = self._query(ref, "upload#")
        belong = members(entries, delivery)
        return [entry for entry in entries if judged(entry)[0].identity in belong]

    def arrivals(self, ref: str) -> list[Arrival]:
        """Return what `accepted` does as far as checks have read it, each with its delivery."""
        passed = passes(self._query(ref, PASSED))
        return [
            Arrival(word.version, word.facts.get("delivery") or "")
            for word in last_words(self._query(ref, "upload#"), passed)
            if word.trains
        ]

    def entries(self, ref: str, *, since: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield entries oldest first, as plain JSON with `at` in ISO 8601."""
        return self._by_time(ref, since)

    def newest(
        self, ref: str, limit: int | None = None, *, since: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Yield entries newest first, as plain JSON with `at` in ISO 8601.

        A ledger may hold millions: the index is read from its end, and no further than asked.

        Args:
            ref: The model, or UNPLACED.
            limit: At most so many (1 or more); None for all.
            since: Seconds since 1970; None for all time.
        """
        few = {"MaxItems": limit, "PageSize": limit} if limit is not None else {}
        return self._by_time(ref, since, ScanIndexForward=False, PaginationConfig=few)

    def under(self, ref: str, prefix: str) -> list[dict[str, Any]]:
        """
        Return the entries whose key begins with *prefix*, oldest first; a consistent read.

        As plain JSON with `at` in ISO 8601, as `entries` has them; those come from an index, in
        which a new entry is seen a moment later.
        """
        found = sorted(self._query(ref, prefix), key=lambda item: str(item["at"]))
        return [_told(item) for item in found]

    def _by_time(self, ref: str, since: float | None, **how: Any) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_TIME,
            KeyConditionExpression="model = :model AND #at >= :since",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues=values(model=ref, since=iso(since or 0.0)),
            **how,
        )
        return (_told(unmarshal(item)) for page in pages for item in page["Items"])

    def _query(self, ref: str, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="model = :model AND begins_with(entry, :prefix)",
            ExpressionAttributeValues=values(model=ref, prefix=prefix),
            ConsistentRead=True,
        )
        return [unmarshal(item) for page in pages for item in page["Items"]]


def _told(item: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with the time that people read; as stored, its key makes it unique."""
    return {**item, "at": item["at"].partition("#")[0]}
