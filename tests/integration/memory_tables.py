"""
DynamoDB in memory, as far as the adapters speak it, fast enough for thousands of interleavings.

Conditions and transactions hold as DynamoDB's do; the adapters' own tests run on this and on moto.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore import xform_name

from tidemill.adapters.items import marshal, unmarshal

Item = dict[str, Any]
_TOKEN = re.compile(r"[#:]?\w+|[(),]|<=|>=|=")


class MemoryTables:
    """A client of some tables; *before* is called before every call with its operation."""

    def __init__(self, exceptions: Any, tables: dict[str, dict[str, Any]]) -> None:
        self.exceptions = exceptions
        self._keys = {name: _key_names(table["KeySchema"]) for name, table in tables.items()}
        self._indexes = {
            (name, index["IndexName"]): _key_names(index["KeySchema"])
            for name, table in tables.items()
            for index in table.get("GlobalSecondaryIndexes", [])
        }
        self._items: dict[str, dict[tuple[str, ...], Item]] = {name: {} for name in tables}
        self.before: Callable[[str], None] = lambda _: None

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer what a client asks as DynamoDB would; what it raises is a ClientError."""
        if operation == "Query" and "Limit" not in request:
            (page,) = self.paginate(**request)
            return page
        found: dict[str, Any] | None = getattr(self, xform_name(operation))(**request)
        return found or {}

    def get_item(self, *, TableName: str, Key: Item, **_: Any) -> dict[str, Any]:
        self.before("GetItem")
        held = self._items[TableName].get(self._key(TableName, Key))
        return {"Item": dict(held)} if held is not None else {}

    def put_item(self, **write: Any) -> None:
        self._alone("PutItem", {"Put": write})

    def update_item(self, **write: Any) -> None:
        self._alone("UpdateItem", {"Update": write})

    def delete_item(self, **write: Any) -> None:
        self._alone("DeleteItem", {"Delete": write})

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]], **_: Any) -> None:
        self.before("TransactWriteItems")
        codes = [
            {"Code": "None" if self._holds(write) else "ConditionalCheckFailed"}
            for write in TransactItems
        ]
        if any(code["Code"] != "None" for code in codes):
            raise self.exceptions.TransactionCanceledException(
                {"Error": {"Code": "TransactionCanceledException", "Message": ""},
                 "CancellationReasons": codes},
                "TransactWriteItems",
            )  # fmt: skip
        for write in TransactItems:
            self._apply(write)

    def get_paginator(self, operation: str) -> "MemoryTables":
        assert operation == "query"
        return self

    def paginate(self, *, TableName: str, IndexName: str = "", **query: Any) -> Iterator[Item]:
        self.before("Query")
        key = self._indexes[TableName, IndexName] if IndexName else self._keys[TableName]
        condition = _Condition(query["KeyConditionExpression"], query)
        partition = condition.equals(key[0])
        found = [
            item
            for item in self._items[TableName].values()
            if item.get(key[0]) == partition and condition.of(item)
        ]
        found.sort(key=lambda item: item[key[1]]["S"])
        if not query.get("ScanIndexForward", True):
            found.reverse()
        most = query.get("PaginationConfig", {}).get("MaxItems")
        yield {"Items": [dict(item) for item in found[:most]]}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        self.before("BatchGetItem")
        found: dict[str, list[Item]] = {}
        for table, asked in RequestItems.items():
            held = (self._items[table].get(self._key(table, key)) for key in asked["Keys"])
            found[table] = [dict(item) for item in held if item is not None]
        return {"Responses": found, "UnprocessedKeys": {}}

    def batch_write_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        """No batch is atomic: it may end before each of its items."""
        for table, requests in RequestItems.items():
            for request in requests:
                self.before("BatchWriteItem")
                self._apply({"Put": {"TableName": table, **request["PutRequest"]}})
        return {"UnprocessedItems": {}}

    def query(self, *, Limit: int, **query: Any) -> dict[str, Any]:
        (page,) = self.paginate(**query, PaginationConfig={"MaxItems": Limit + 1})
        more = {"LastEvaluatedKey": {}} if len(page["Items"]) > Limit else {}
        return {"Items": page["Items"][:Limit], **more}

    def scan(self, *, TableName: str) -> Item:
        return {"Items": [dict(item) for item in self._items[TableName].values()]}

    def _alone(self, operation: str, write: dict[str, Any]) -> None:
        self.before(operation)
        if not self._holds(write):
            raise self.exceptions.ConditionalCheckFailedException(
                {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}, operation
            )
        self._apply(write)

    def _key(self, table: str, item: Item) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in self._keys[table])

    def _held(self, write: dict[str, Any]) -> tuple[str, tuple[str, ...], Item]:
        table = write["TableName"]
        key = self._key(table, write.get("Item") or write["Key"])
        return table, key, self._items[table].get(key, {})

    def _holds(self, write: dict[str, Any]) -> bool:
        ((_, body),) = write.items()
        if "ConditionExpression" not in body:
            return True
        return _Condition(body["ConditionExpression"], body).of(self._held(body)[2])

    def _apply(self, write: dict[str, Any]) -> None:
        ((kind, body),) = write.items()
        table, key, held = self._held(body)
        match kind:
            case "Put":
                self._items[table][key] = dict(body["Item"])
            case "Delete":
                self._items[table].pop(key, None)
            case "ConditionCheck":
                pass
            case "Update":
                self._items[table][key] = _updated({**held, **body["Key"]}, body)


def _key_names(schema: list[dict[str, str]]) -> list[str]:
    kinds = {part["KeyType"]: part["AttributeName"] for part in schema}
    return [kinds["HASH"], kinds["RANGE"]]


def _updated(item: Item, body: dict[str, Any]) -> Item:
    names = body.get("ExpressionAttributeNames", {})
    given = body["ExpressionAttributeValues"]
    clauses = re.split(r"\b(SET|ADD|REMOVE|DELETE)\b", body["UpdateExpression"])[1:]
    for verb, text in zip(clauses[::2], clauses[1::2], strict=True):
        for part in text.split(","):
            name, *rest = part.replace("=", " ").split()
            name = names.get(name, name)
            match verb:
                case "SET":
                    item[name] = given[rest[0]]
                case "REMOVE":
                    item.pop(name, None)
                case "ADD":
                    item[name] = _added(item.get(name), given[rest[0]])
                case "DELETE":
                    left = {*item.pop(name, {"SS": []})["SS"]} - {*given[rest[0]]["SS"]}
                    item |= {name: {"SS": sorted(left)}} if left else {}
    return item


def _added(held: Item | None, more: Item) -> Item:
    if "SS" in more:
        return {"SS": sorted({*(held or {"SS": []})["SS"], *more["SS"]})}
    both = unmarshal({"held": held or {"N": "0"}, "more": more})
    return {"N": repr(both["held"] + both["more"])}


class _Condition:
    """A condition or key condition expression, evaluated by recursive descent."""

    def __init__(self, text: str, request: dict[str, Any]) -> None:
        self._tokens = _TOKEN.findall(text)
        self._names = request.get("ExpressionAttributeNames", {})
        self._given = unmarshal(request.get("ExpressionAttributeValues", {}))

    def equals(self, name: str) -> Item:
        """Return what the attribute must equal; as every query says of its partition key."""
        for written, operator, given in zip(
            self._tokens, self._tokens[1:], self._tokens[2:], strict=False
        ):
            if (self._names.get(written, written), operator) == (name, "="):
                return marshal({name: self._given[given]})[name]
        raise AssertionError(f"no partition is asked for: {self._tokens}")

    def of(self, item: Item) -> bool:
        self._item, self._at = item, 0
        found = self._or()
        assert self._at == len(self._tokens), f"not understood: {self._tokens[self._at :]}"
        return found

    def _next(self) -> str:
        self._at += 1
        return str(self._tokens[self._at - 1])

    def _is_next(self, token: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] == token

    def _or(self) -> bool:
        found = self._and()
        while self._is_next("OR"):
            self._next()
            found = self._and() or found
        return found

    def _and(self) -> bool:
        found = self._one()
        while self._is_next("AND"):
            self._next()
            found = self._one() and found
        return found

    def _one(self) -> bool:
        token = self._next()
        match token:
            case "(":
                found = self._or()
                self._next()
                return found
            case "attribute_exists" | "attribute_not_exists" | "begins_with":
                arguments = self._list()
                held = self._value(arguments[0])
                if token == "begins_with":
                    return bool(str(held).startswith(self._value(arguments[1])))
                return (held is not None) == (token == "attribute_exists")
        held, operator = self._value(token), self._next()
        if operator == "BETWEEN":
            low, _, high = self._value(self._next()), self._next(), self._value(self._next())
            return held is not None and bool(low <= held <= high)
        if operator == "IN":
            return held in [self._value(argument) for argument in self._list()]
        wanted = self._value(self._next())
        if held is None:
            return False
        return bool({"=": held == wanted, "<=": held <= wanted, ">=": held >= wanted}[operator])

    def _list(self) -> list[str]:
        assert self._next() == "("
        found = []
        while (token := self._next()) != ")":
            if token != ",":
                found.append(token)
        return found

    def _value(self, token: str) -> Any:
        if token.startswith(":"):
            return self._given[token]
        held = self._item.get(self._names.get(token, token))
        return unmarshal({token: held})[token] if held else None
