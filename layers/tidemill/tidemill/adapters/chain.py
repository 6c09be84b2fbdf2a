"""
The ledger's hash chain in the ledger's table: a link per model and batch, each written once.

A link's key holds its number, and it is put on condition that there is none yet, so that two
writers cannot fork a chain: the slower one reads the head again. What is chained already is left
out, however often and in whatever order a stream tells of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.adapters.items import marshal, unmarshal, values
from tidemill.adapters.ledger import BY_TIME
from tidemill.domain.chain import LINK, Link, Named, digest, follow, link_hash, link_key
from tidemill.times import iso, seconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PaginatorConfigTypeDef

_ATTEMPTS = 20
#: As far may the clocks of two functions be apart, and an entry's time before its writing.
SLACK_SECONDS = 3600.0


class Chain:
    """Reads and extends the chains of all models."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def extend(self, model: str, entries: Sequence[Named], now: float) -> int:
        """
        Chain those of *entries* that no link names yet.

        Args:
            model: Whose entries they are.
            entries: In any order; without `sequence` when no stream told of them.
            now: Seconds since 1970.

        Returns:
            How many were chained.

        Raises:
            TimeoutError: Other writers were faster every time; try again.
        """
        wanted = {entry.key: entry for entry in reversed(entries)}  # told twice: the first image
        done = 0
        for _ in range(_ATTEMPTS):
            head = self.head(model)
            named = self._named(model, list(wanted.values()), head)
            left = sorted(
                (entry for key, entry in wanted.items() if key not in named),
                key=lambda entry: (entry.sequence or 0, entry.at, entry.key),
            )
            while left:
                link, count = follow(model, head, left, iso(now))
                head = self._write(link)
                if head is None:
                    break  # another writer has this number: look again
                left = left[count:]
                done += count
            if not left:
                return done
        raise TimeoutError(f"other links of {model} were written {_ATTEMPTS} times in between")

    def head(self, model: str) -> Link | None:
        """Return the newest link; a consistent read."""
        return next(self._newest_first(model, limit=1), None)

    def link(self, model: str, number: int) -> Link | None:
        """Return one link, or None."""
        answer = self._client.get_item(
            TableName=self._table,
            Key=marshal({"model": model, "entry": link_key(number)}),
            ConsistentRead=True,
        )
        return as_link(answer["Item"]) if "Item" in answer else None

    def unnamed(self, model: str, keys: Iterable[str], since: float) -> set[str]:
        """Return those of *keys*, entries made after *since*, that no link names."""
        left = set(keys)
        if not left:
            return left
        oldest = iso(max(0.0, since - SLACK_SECONDS))
        for link in self._newest_first(model):
            left -= {key for key, _ in link.entries}
            if not left or link.linked_at < oldest:
                break
        return left

    def made_between(
        self, model: str, since: float, until: float, most: int
    ) -> list[tuple[str, str]]:
        """Return (key, time) of entries of a stretch of time, oldest first and at most *most*."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_TIME,
            KeyConditionExpression="model = :model AND #at BETWEEN :since AND :until",
            ProjectionExpression="entry, #at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues=values(model=model, since=iso(since), until=iso(until)),
            PaginationConfig={"MaxItems": most},
        )
        return [
            (item["entry"]["S"], item["at"]["S"].partition("#")[0])
            for page in pages
            for item in page["Items"]
        ]

    def as_stored(self, model: str, key: str) -> Named | None:
        """Return an entry to be chained late, or None when it is gone."""
        answer = self._client.get_item(
            TableName=self._table,
            Key=marshal({"model": model, "entry": key}),
            ConsistentRead=True,
        )
        return as_named(answer["Item"]) if "Item" in answer else None

    def items(self, model: str, *, links: bool) -> Iterator[dict[str, Any]]:
        """Yield a model's links in order, or else its entries by key, as DynamoDB holds them."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="model = :model AND begins_with(entry, :link)"
            if links
            else "model = :model",
            ExpressionAttributeValues=values(model=model, **({"link": LINK} if links else {})),
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                if links or not item["entry"]["S"].startswith(LINK):
                    yield item

    def of_month(self, model: str, month: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a month (`2026-11`, UTC) oldest first, as DynamoDB has them."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_TIME,
            KeyConditionExpression="model = :model AND begins_with(#at, :month)",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues=values(model=model, month=f"{month}-"),
        )
        return (item for page in pages for item in page["Items"])

    def _write(self, link: Link) -> Link | None:
        """Write a link and return it with its hash, or None when its number is taken."""
        item = _stored(link)
        item["hash"] = {"S": link_hash(item)}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#entry)",
                ExpressionAttributeNames={"#entry": "entry"},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return as_link(item)

    def _named(self, model: str, entries: list[Named], head: Link | None) -> set[str]:
        """Return the keys that links name which may name some of *entries*."""
        keys = {entry.key for entry in entries}
        if head is None or not keys:
            return set()
        if any(entry.sequence is None for entry in entries):
            oldest = min((entry.at for entry in entries), default="")
            return keys - self.unnamed(model, keys, _moment(oldest))
        told = [entry.sequence for entry in entries if entry.sequence is not None]
        found: set[str] = set()
        if min(told) <= head.last:  # a batch that is tried again, or came out of order
            for link in self._newest_first(model):
                if link.last < min(told):
                    break
                found |= {key for key, _ in link.entries}
        # A stream that lags tells of entries that a sweep has chained meanwhile.
        oldest = iso(max(0.0, _moment(min(entry.at for entry in entries)) - SLACK_SECONDS))
        late = self.link(model, head.late) if head.late else None
        while late is not None and late.linked_at >= oldest:
            found |= {key for key, _ in late.entries}
            before = self.link(model, late.number - 1)
            late = self.link(model, before.late) if before and before.late else None
        return found

    def _newest_first(self, model: str, limit: int | None = None) -> Iterator[Link]:
        few: PaginatorConfigTypeDef = {"PageSize": limit or 4}  # a link may have 300 KB
        if limit is not None:
            few["MaxItems"] = limit
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="model = :model AND begins_with(entry, :link)",
            ExpressionAttributeValues=values(model=model, link=LINK),
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig=few,
        )
        return (as_link(item) for page in pages for item in page["Items"])


def as_named(item: dict[str, Any], sequence: int | None = None) -> Named:
    """Return an entry, as DynamoDB or its stream has it, as a link would name it."""
    expires = item.get("expires", {}).get("N")
    return Named(
        key=item["entry"]["S"],
        digest=digest(item),
        at=item.get("at", {}).get("S", "").partition("#")[0],
        sequence=sequence,
        expires=int(expires) if expires else None,
    )


def as_link(item: dict[str, Any]) -> Link:
    """Return a link as DynamoDB has it."""
    document = unmarshal(item)
    return Link(
        model=document["model"],
        number=document["number"],
        previous=document["previous"],
        entries=tuple((key, found) for key, found in document["entries"]),
        linked_at=document["linked_at"],
        first=int(document["first"]),
        last=int(document["last"]),
        late=document["late"],
        expires=document.get("entries_expire"),
        hash=document["hash"],
    )


def _stored(link: Link) -> dict[str, Any]:
    """Return a link as it is stored, without its hash; places in a stream are text (40 digits)."""
    return marshal(
        {
            "model": link.model,
            "entry": link_key(link.number),
            "number": link.number,
            "previous": link.previous,
            "entries": [list(pair) for pair in link.entries],
            "linked_at": link.linked_at,
            "first": str(link.first),
            "last": str(link.last),
            "late": link.late,
            "entries_expire": link.expires,
        }
    )


def _moment(at: str) -> float:
    """Return a time's seconds; 0 when it is none, as of an entry that somebody forged."""
    try:
        return seconds(at)
    except ValueError:
        return 0.0
