"""DynamoDB's wire format, and transactions that say which condition failed."""

import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.05
_CONDITION = "ConditionalCheckFailed"
_PASSING = frozenset(
    ("None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
)


class ConditionFailedError(Exception):
    """A transaction was cancelled; *failed* holds the indexes whose condition did not hold."""

    def __init__(self, failed: Sequence[int]) -> None:
        super().__init__(f"conditions {list(failed)} did not hold")
        self.failed = tuple(failed)


def marshal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* as DynamoDB attributes; None values are left out."""
    return {name: _out(value) for name, value in document.items() if value is not None}


def unmarshal(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain Python values; numbers are int when they have no fraction."""
    return {name: _in(value) for name, value in item.items()}


def values(**named: Any) -> dict[str, Any]:
    """Return expression attribute values: `values(now=3)` is `{":now": {"N": "3"}}`."""
    return {f":{name}": _out(value) for name, value in named.items()}


def transact(client: "DynamoDBClient", writes: "Sequence[TransactWriteItemTypeDef]") -> None:
    """
    Write all or nothing; contention with another transaction is tried again.

    Raises:
        ConditionFailedError: Some write's condition did not hold.
        TransactionCanceledException: Contention did not end, or DynamoDB cannot store an item.
    """
    for attempt in range(_ATTEMPTS):
        try:
            client.transact_write_items(TransactItems=writes)
        except client.exceptions.TransactionCanceledException as error:
            codes = [
                reason.get("Code", "None")
                for reason in error.response.get("CancellationReasons", [])
            ]
            failed = [index for index, code in enumerate(codes) if code == _CONDITION]
            if failed:
                raise ConditionFailedError(failed) from error
            if attempt == _ATTEMPTS - 1 or not _PASSING.issuperset(codes):
                raise  # nobody's condition failed: saying so would be taken for a lost race
            time.sleep(_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311  # jitter, no secret
        else:
            return


def _out(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case int() | float():
            return {"N": repr(value)}
        case frozenset() | set():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [_out(item) for item in value]}
        case Mapping():
            return {"M": {name: _out(item) for name, item in value.items() if item is not None}}
        case None:
            return {"NULL": True}
        case _:
            raise TypeError(f"cannot store a {type(value).__name__}")


def _in(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return int(value) if value.lstrip("-").isdecimal() else float(value)
        case "L":
            return [_in(item) for item in value]
        case "M":
            return {name: _in(item) for name, item in value.items()}
        case "SS":
            return frozenset(value)
        case "NULL":
            return None
        case _:
            return value
