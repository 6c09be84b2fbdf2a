"""What happened to a model: the ledger, read the way people ask. Reads only."""

from collections.abc import Iterable
from typing import Any

from tidemill.adapters.items import unmarshal, values
from tidemill.adapters.ledger import BY_TIME
from tidemill.times import iso
from tidemill_cli.stack import Stack


def newest(
    stack: Stack, ref: str, *, since: float | None, last: int | None
) -> list[dict[str, Any]]:
    """
    Return the ledger's entries of a model, oldest first.

    Args:
        stack: Where to look.
        ref: The model, or `unplaced` for uploads that no model's prefix took.
        since: Seconds since 1970; None for all time.
        last: Only so many, the newest; None for all. A ledger may hold millions: the index is
            read from its end, and no further than asked.
    """
    pages = stack.clients.dynamodb.get_paginator("query").paginate(
        TableName=stack.output("LedgerTable"),
        IndexName=BY_TIME,
        KeyConditionExpression="model = :model AND #at >= :since",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues=values(model=ref, since=iso(since or 0.0)),
        ScanIndexForward=False,
        PaginationConfig={"MaxItems": last} if last else {},
    )
    return list(reversed(_read(pages)))


def under(stack: Stack, ref: str, prefix: str) -> list[dict[str, Any]]:
    """Return a model's entries whose key begins with *prefix*, oldest first; consistent."""
    pages = stack.clients.dynamodb.get_paginator("query").paginate(
        TableName=stack.output("LedgerTable"),
        KeyConditionExpression="model = :model AND begins_with(entry, :prefix)",
        ExpressionAttributeValues=values(model=ref, prefix=prefix),
        ConsistentRead=True,
    )
    return sorted(_read(pages), key=lambda entry: str(entry["at"]))


def _read(pages: Iterable[Any]) -> list[dict[str, Any]]:
    items = [unmarshal(item) for page in pages for item in page["Items"]]
    return [{**item, "at": item["at"].partition("#")[0]} for item in items]
