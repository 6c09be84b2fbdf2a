"""S3 and DynamoDB in memory, as far as intake and checks ask, for a hundred thousand files."""

import hashlib
import io
import json
import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tidemill.adapters.items import unmarshal

from .memory_tables import Item, MemoryTables, _Condition

_PARTITION = re.compile(r"(\S+) = (:\w+)")
_FROM = re.compile(r"begins_with\(\S+, (:\w+)\)|>= (:\w+)")
_AFTER_ALL = "\U0010ffff"


class WideTables(MemoryTables):
    """Finds what a query asks without looking at every item: keys are kept in their order."""

    def __init__(self, exceptions: Any, tables: dict[str, dict[str, Any]]) -> None:
        super().__init__(exceptions, tables)
        self._orders: dict[tuple[str, str], list[tuple[str, str, tuple[str, ...]]]] = {
            (name, ""): [] for name in tables
        } | {key: [] for key in self._indexes}
        self.largest = 0  # bytes of the largest item that was written, about

    def _apply(self, write: dict[str, Any]) -> None:
        ((kind, body),) = write.items()
        table, key, held = self._held(body)
        if held:
            self._order(table, key, held, gone=True)
        super()._apply(write)
        if kind in ("Put", "Update"):
            item = self._items[table][key]
            text = json.dumps(unmarshal(item), default=lambda data: "x" * len(data))
            self.largest = max(self.largest, len(text))
            self._order(table, key, item)

    def _order(self, table: str, key: tuple[str, ...], item: Item, *, gone: bool = False) -> None:
        for (name, index), order in self._orders.items():
            names = self._indexes[name, index] if index else self._keys[name]
            if name == table and all(each in item for each in names):
                place = (item[names[0]]["S"], item[names[1]]["S"], key)
                if gone:
                    del order[bisect_left(order, place)]
                else:
                    insort(order, place)

    def paginate(self, *, TableName: str, IndexName: str = "", **query: Any) -> Iterator[Item]:
        self.before("Query")
        text, given = query["KeyConditionExpression"], query["ExpressionAttributeValues"]
        condition = _Condition(text, query)
        ((_, value),) = [_PARTITION.match(text).groups()]  # type: ignore[union-attr]
        partition = given[value]["S"]
        bound = _FROM.search(text)
        first = given[bound.group(1) or bound.group(2)]["S"] if bound else ""
        last = first if bound and bound.group(1) else ""
        order = self._orders[TableName, IndexName]
        begin = bisect_left(order, (partition, first, ()))
        end = bisect_left(order, (partition, last + _AFTER_ALL, ()))
        places = range(begin, end)
        if not query.get("ScanIndexForward", True):
            places = places[::-1]
        most = query.get("PaginationConfig", {}).get("MaxItems")
        found: list[Item] = []
        for place in places:
            item = self._items[TableName][order[place][2]]
            if condition.of(item):
                found.append(dict(item))
            if len(found) == most:
                break
        yield {"Items": found}


class _Body(io.BytesIO):
    def iter_chunks(self, _: int) -> Iterator[bytes]:
        yield self.read()


class MemoryObjects:
    """A client of S3; an object has one version, called `v1`."""

    class _MissingError(ClientError):
        pass

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.exceptions = SimpleNamespace(NoSuchKey=self._MissingError)

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **_: Any) -> None:
        data = Body if isinstance(Body, bytes) else Body.read()
        self.objects[Bucket, Key] = data

    def get_object(self, *, Bucket: str, Key: str, Range: str = "", **_: Any) -> dict[str, Any]:
        data = self.objects.get((Bucket, Key))
        if data is None:
            raise self._MissingError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        size = len(data)
        if Range:
            first, last = Range.removeprefix("bytes=").split("-")
            data = data[int(first) : int(last) + 1]
        return {
            "Body": _Body(data),
            "ContentLength": len(data),
            "ContentRange": f"bytes 0-{len(data)}/{size}",
            "ETag": f'"{etag(self.objects[Bucket, Key])}"',
            "LastModified": datetime(2026, 11, 20, tzinfo=UTC),
        }

    def get_paginator(self, operation: str) -> SimpleNamespace:
        assert operation == "list_objects_v2"
        return SimpleNamespace(paginate=self._list)

    def _list(self, *, Bucket: str, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:
        found = sorted(k for b, k in self.objects if b == Bucket and k.startswith(Prefix))
        yield {
            "Contents": [
                {"Key": key, "Size": len(self.objects[Bucket, key]), "ETag": '""'} for key in found
            ]
        }


def etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
