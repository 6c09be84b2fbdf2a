"""What the ledger's stream tells."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from tidemill.errors import InvalidInputError
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class LedgerChange(Contract):
    """
    One record of the ledger table's stream; items are as DynamoDB has them (`{"S": …}`).

    *expired* is true when DynamoDB removed the item because its time had come.
    """

    model: str
    entry: str
    change: Literal["INSERT", "MODIFY", "REMOVE"]
    sequence: str
    expired: bool = False
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None

    @classmethod
    def of_record(cls, record: Any) -> Self:
        """
        Read a record of a DynamoDB stream with new and old images.

        Raises:
            InvalidInputError: It is none.
        """
        try:
            changed = record["dynamodb"]
            document = {
                "model": changed["Keys"]["model"]["S"],
                "entry": changed["Keys"]["entry"]["S"],
                "change": record["eventName"],
                "sequence": changed["SequenceNumber"],
                "expired": (record.get("userIdentity") or {}).get("principalId")
                == "dynamodb.amazonaws.com",
                "old": changed.get("OldImage"),
                "new": changed.get("NewImage"),
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"not a record of the ledger's stream: {error!r}") from error
        return cls.parse(document)
