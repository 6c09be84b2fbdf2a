"""What a SearchExpression means for one document: properties, operators, and how they combine."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tidemill_local.sagemaker.errors import ValidationError

_ORDERS = {
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanOrEqualTo": lambda a, b: a >= b,
    "LessThan": lambda a, b: a < b,
    "LessThanOrEqualTo": lambda a, b: a <= b,
}
_VALUELESS = frozenset({"Exists", "NotExists"})
_MOST_CONDITIONS = 20


def check(expression: dict[str, Any]) -> None:
    """
    Refuse an expression that nothing can answer.

    Raises:
        ValidationError: It is empty, too large, or a filter lacks its value.
    """
    conditions = list(_conditions(expression))
    if not conditions:
        raise ValidationError(
            "SearchExpression needs Filters, NestedFilters or SubExpressions; leave it out to "
            "find everything"
        )
    if len(conditions) > _MOST_CONDITIONS:
        raise ValidationError(
            f"SearchExpression has {len(conditions)} conditions; it can have {_MOST_CONDITIONS}"
        )
    for condition in conditions:
        needs = condition.get("Operator", "Equals") not in _VALUELESS
        if needs != ("Value" in condition):
            says = "needs" if needs else "takes no"
            raise ValidationError(
                f"The filter on {condition['Name']} with {condition.get('Operator', 'Equals')} "
                f"{says} Value"
            )


def names(expression: dict[str, Any]) -> Iterator[str]:
    """Yield the properties that an expression asks about, with the path that leads to them."""
    for condition in expression.get("Filters", []):
        yield condition["Name"]
    for nested in expression.get("NestedFilters", []):
        yield nested["NestedPropertyName"]
        for condition in nested["Filters"]:
            yield _within(nested["NestedPropertyName"], condition["Name"])
    for below in expression.get("SubExpressions", []):
        yield from names(below)


def matches(expression: dict[str, Any], document: dict[str, Any]) -> bool:
    """
    Whether a document satisfies an expression.

    Raises:
        ValidationError: A value cannot be compared with the property.
    """
    results = [_satisfied(condition, document) for condition in expression.get("Filters", [])]
    results += [_nested(nested, document) for nested in expression.get("NestedFilters", [])]
    results += [matches(below, document) for below in expression.get("SubExpressions", [])]
    return any(results) if expression.get("Operator") == "Or" else all(results)


def values(document: Any, path: str) -> list[Any]:
    """Return what a document has at a path; names with dots in them are found, too."""
    return list(_leaves(document, path.split(".")))


def sortable(value: Any) -> str:
    """Return a text that sorts as the value does: what is missing, numbers, texts."""
    if isinstance(value, int | float):
        (bits,) = struct.unpack(">Q", struct.pack(">d", float(value)))
        bits ^= (1 << 64) - 1 if bits >> 63 else 1 << 63
        return f"1{bits:016x}"
    return "0" if value is None else f"2{value}"


def _conditions(expression: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from expression.get("Filters", [])
    for nested in expression.get("NestedFilters", []):
        yield from nested["Filters"]
    for below in expression.get("SubExpressions", []):
        yield from _conditions(below)


def _nested(nested: dict[str, Any], document: dict[str, Any]) -> bool:
    """One and the same element of the list must satisfy all filters."""
    path = nested["NestedPropertyName"]
    conditions = [
        condition | {"Name": _within(path, condition["Name"])[len(path) + 1 :]}
        for condition in nested["Filters"]
    ]
    return any(
        all(_satisfied(condition, element) for condition in conditions)
        for element in values(document, path)
    )


def _within(path: str, name: str) -> str:
    """Return a nested filter's whole path; it may be given from the top or from the list on."""
    return name if name.startswith(f"{path}.") else f"{path}.{name}"


def _satisfied(condition: dict[str, Any], document: Any) -> bool:
    operator: str = condition.get("Operator", "Equals")
    name: str = condition["Name"]
    found = values(document, name)
    if operator in _VALUELESS:
        return bool(found) == (operator == "Exists")
    value = condition["Value"]
    if operator == "NotEquals":
        return not any(_equal(leaf, value, name) for leaf in found)
    if operator == "Equals":
        return any(_equal(leaf, value, name) for leaf in found)
    if operator == "In":
        wanted = [each.strip() for each in value.split(",")]
        return any(_equal(leaf, each, name) for leaf in found for each in wanted)
    if operator == "Contains":
        return any(value in str(leaf) for leaf in found)
    return any(_ordered(operator, leaf, value, name) for leaf in found)


def _equal(leaf: Any, value: str, name: str) -> bool:
    if isinstance(leaf, bool):
        return str(leaf).lower() == value.lower()
    if isinstance(leaf, int | float):
        return bool(leaf == _number(value, name))
    return str(leaf) == value


def _ordered(operator: str, leaf: Any, value: str, name: str) -> bool:
    if isinstance(leaf, str):  # a hyperparameter is a text that may read as a number
        try:
            leaf = float(leaf)
        except ValueError:
            raise ValidationError(
                f"{operator} is not supported for {name}, which is a text"
            ) from None
    return bool(_ORDERS[operator](leaf, _number(value, name)))


def _number(value: str, name: str) -> float:
    """Return a filter's value as a number; of a time, the seconds since 1970."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValidationError(
            f"{name} cannot be compared with {value!r}; give a number, or a time such as "
            "2026-11-22T10:00:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _leaves(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        for end in range(len(path), 0, -1):
            key = ".".join(path[:end])
            if key in value:
                yield from _leaves(value[key], path[end:])
                return
