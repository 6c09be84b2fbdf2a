"""The State table's key map, and the reads and writes that its owners share."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidemill.adapters.items import marshal, unmarshal, values

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SPEC = "spec"
OPEN_DELIVERY = "delivery#open"
DELIVERY = "delivery#"
TRIGGER = "trigger#"
RUN = "run#"
LEASE = "lease#"
CHAMPION = "champion"
CONTRACT = "contract"
CONTENTS = "contents#"
STANDING = "standing"
WATCH = "watch"
QUALITY = "quality"
#: Partitions that are not a model's.
MODELS = "models"
PARKED = "parked"
ALARMS = "alarms"
CHAINS = "chains"
CHECKING = "checking"

_ATTEMPTS, _PAUSE_SECONDS = 8, 0.1
_MOST_WRITES = 25  # of one BatchWriteItem


class State:
    """Items are keyed by `owner` (a model, or MODELS, PARKED, CHAINS, CHECKING) and `fact`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self.client = client
        self.table = table

    def key(self, owner: str, fact: str) -> dict[str, Any]:
        """Return an item's key as DynamoDB attributes."""
        return marshal({"owner": owner, "fact": fact})

    def get(self, owner: str, fact: str) -> dict[str, Any] | None:
        """Return one item as it is now (a consistent read), or None."""
        answer = self.client.get_item(
            TableName=self.table, Key=self.key(owner, fact), ConsistentRead=True
        )
        return unmarshal(answer["Item"]) if "Item" in answer else None

    def put_many(self, owner: str, documents: Mapping[str, dict[str, Any]]) -> None:
        """
        Write whole items by their facts, on no condition and not together: a unit for each.

        Raises:
            TimeoutError: DynamoDB is throttled all the time; some are written.
        """
        left: list[Any] = [
            {"PutRequest": {"Item": self.item(owner, fact, document)}}
            for fact, document in documents.items()
        ]
        throttled = 0
        while left:
            answer = self.client.batch_write_item(RequestItems={self.table: left[:_MOST_WRITES]})
            again = answer.get("UnprocessedItems", {}).get(self.table, [])
            left = [*left[_MOST_WRITES:], *again]
            if again:
                throttled += 1
                if throttled == _ATTEMPTS:
                    raise TimeoutError(f"{len(left)} items of {owner} are not written; try again")
                time.sleep(_PAUSE_SECONDS * 2**throttled)

    def under(
        self, owner: str, prefix: str = "", *, most: int | None = None, consistent: bool = True
    ) -> list[dict[str, Any]]:
        """
        Return the items of *owner* whose fact begins with *prefix*, in key order; at *most*.

        Half as dear when not *consistent*: then it may be a moment behind.
        """
        condition = "#owner = :owner"
        named = values(owner=owner)
        if prefix:  # DynamoDB refuses an empty prefix
            condition += " AND begins_with(fact, :prefix)"
            named |= values(prefix=prefix)
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=named,
            ConsistentRead=consistent,
            PaginationConfig={"MaxItems": most} if most else {},
        )
        return [unmarshal(item) for page in pages for item in page["Items"]]

    def item(self, owner: str, fact: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return a whole item as DynamoDB attributes."""
        return marshal({"owner": owner, "fact": fact, **document})

    def put(self, owner: str, fact: str, document: dict[str, Any]) -> "TransactWriteItemTypeDef":
        """Return the unconditional write of a whole item, for a transaction."""
        return {"Put": {"TableName": self.table, "Item": self.item(owner, fact, document)}}

    def delete(self, owner: str, fact: str) -> "TransactWriteItemTypeDef":
        """Return the unconditional removal of an item, for a transaction."""
        return {"Delete": {"TableName": self.table, "Key": self.key(owner, fact)}}
