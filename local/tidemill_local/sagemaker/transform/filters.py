"""
The JSONPath that DataProcessing allows: what of a record goes in, and what of it comes out.

The developer guide ("Associate Prediction Results with Input Records") names the operators: `$`,
`.name`, `*`, `['a','b']`, `[1,3]`, `[2:5]`. A slice ends *with* the element it names: by the guide
`[1:4]` is the second through fifth column. A row of CSV is a list of its fields.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WHOLE = "$"
_STEP = re.compile(
    r"\.?\[(?P<brackets>(?:'[^']*'|\"[^\"]*\"|[^\]])*)\]|\.(?P<name>\*|[^.\[\]\s*]+)"
)
_QUOTED = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\")\s*")

_Place = int | tuple[int | None, int | None]


class FilterError(Exception):
    """The expression is none that SageMaker has, or does not fit a record."""


@dataclass(frozen=True)
class _Names:
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Places:
    places: tuple[_Place, ...]

    @property
    def single(self) -> bool:
        return len(self.places) == 1 and isinstance(self.places[0], int)


class _Every:
    """The wildcard."""


class Filter:
    """
    One InputFilter or OutputFilter.

    Args:
        expression: Such as `$[1:]`, `$.features` or `$['id','SageMakerOutput']`.

    Raises:
        FilterError: It is no expression of SageMaker's subset.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._steps = _parsed(expression)

    @property
    def whole(self) -> bool:
        """Whether it leaves everything as it is."""
        return not self._steps

    def select(self, record: Any) -> Any:
        """
        Return what of a record the expression names.

        Several names give an object of these; a wildcard, a slice or several places give a list.

        Raises:
            FilterError: The record has no such element.
        """
        found, single = [record], True
        for step in self._steps:
            if isinstance(step, _Names):
                found = [self._named(value, step.names) for value in found]
                continue
            if isinstance(step, _Places) and step.single:
                found = [self._placed(value, step.places)[0] for value in found]
                continue
            single = False
            found = [element for value in found for element in self._several(value, step)]
        return found[0] if single else found

    def _named(self, value: Any, names: Sequence[str]) -> Any:
        if not isinstance(value, dict):
            raise self._misfit(f"a {_kind(value)} has no {names[0]!r}")
        for name in names:
            if name not in value:
                raise self._misfit(f"there is no {name!r}")
        return value[names[0]] if len(names) == 1 else {name: value[name] for name in names}

    def _several(self, value: Any, step: _Every | _Places) -> list[Any]:
        if isinstance(step, _Places):
            return self._placed(value, step.places)
        if isinstance(value, dict):
            return list(value.values())
        if isinstance(value, list):
            return value
        raise self._misfit(f"a {_kind(value)} has no elements")

    def _placed(self, value: Any, places: Sequence[_Place]) -> list[Any]:
        if not isinstance(value, list):
            raise self._misfit(f"a {_kind(value)} has no element {places[0]}")
        found = []
        for place in places:
            if isinstance(place, tuple):
                found += value[_slice(place, len(value))]
            elif -len(value) <= place < len(value):
                found.append(value[place])
            else:
                raise self._misfit(f"there is no element {place} among {len(value)}")
        return found

    def _misfit(self, why: str) -> FilterError:
        return FilterError(f"{self.expression} does not fit the record: {why}")


def _slice(place: tuple[int | None, int | None], size: int) -> slice:
    """Return Python's slice, which ends before its end."""
    start, end = place
    if end is not None:
        end = end + 1 if end >= 0 else size + end + 1
    if start is not None and start < 0:
        start = max(0, size + start)
    return slice(start, None if end is None else max(0, end))


def _parsed(expression: str) -> list[_Names | _Places | _Every]:
    if not expression.startswith(_WHOLE):
        raise FilterError(f"{expression!r} is no JSONPath: it must begin with $")
    steps: list[_Names | _Places | _Every] = []
    at = 1
    while at < len(expression):
        match = _STEP.match(expression, at)
        if match is None:
            raise FilterError(
                f"{expression!r} is no JSONPath of SageMaker's subset: not understood from "
                f"{expression[at:]!r}"
            )
        name, inside = match["name"], match["brackets"]
        steps.append(_inside(expression, inside) if name is None else _child(name))
        at = match.end()
    for step in steps[:-1]:
        if isinstance(step, _Names) and len(step.names) > 1:
            raise FilterError(f"{expression!r}: several names may only come last")
    return steps


def _child(name: str) -> _Names | _Every:
    return _Every() if name == "*" else _Names((name,))


def _inside(expression: str, text: str) -> _Names | _Places | _Every:
    if text.strip() == "*":
        return _Every()
    if text.lstrip()[:1] in {"'", '"'}:
        return _Names(_names(expression, text))
    try:
        return _Places(tuple(_place(part) for part in text.split(",")))
    except ValueError:
        raise _unknown(expression, text) from None


def _place(text: str) -> _Place:
    start, colon, end = text.partition(":")
    if not colon:
        return int(text)
    return (int(start) if start.strip() else None, int(end) if end.strip() else None)


def _names(expression: str, text: str) -> tuple[str, ...]:
    names, at = [], 0
    while True:
        match = _QUOTED.match(text, at)
        if match is None:
            raise _unknown(expression, text)
        names.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if at == len(text):
            return tuple(names)
        if text[at] != ",":
            raise _unknown(expression, text)
        at += 1


def _unknown(expression: str, text: str) -> FilterError:
    return FilterError(f"{expression!r} is no JSONPath of SageMaker's subset: [{text}]")


def _kind(value: Any) -> str:
    return {dict: "object", list: "list", str: "string", type(None): "null"}.get(
        type(value), type(value).__name__
    )
