"""
The rules that botocore does not check: lengths, ranges, enumerations and patterns.

Messages follow the form of SageMaker's own, for example: Value 'a_b' at 'trainingJobName' failed
to satisfy constraint: Member must satisfy regular expression pattern: …
"""

import re
import unicodedata
from collections.abc import Iterator, Sized
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

_LONGEST_SHOWN = 1000  # characters of an offending value, so that a message stays readable
_SIZED: dict[str, type[Sized]] = {"string": str, "list": list, "map": dict}
_LONGEST_MATCHED = 20_000  # beyond it a pattern written without care could take for ever
_CATEGORY = re.compile(r"\\p\{(\w+)\}")
_ALNUM_CATEGORIES = {"Alnum": "A-Za-z0-9", "Alpha": "A-Za-z", "Digit": "0-9"}  # Java: ASCII only
# A surrogate pair in Java's UTF-16 is one code point to Python.
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
_ABOVE_BMP = "\U00010000-\U0010ffff"


def broken_constraints(shape: StructureShape, request: dict[str, Any]) -> list[str]:
    """
    Return a sentence for each rule of the service model that *request* breaks, in its order.

    Covered: required and unknown members, lengths, ranges, enumerations, patterns. Values of the
    wrong type are passed over: they are the type check's to report.
    """
    return list(_structure(shape, request, ""))


def _structure(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _failure(None, _join(path, name), "Member must not be null")
    for name, member in value.items():
        if name not in shape.members:
            yield (
                f"Unknown member '{name}' at '{path or 'request'}'; "
                f"known are {', '.join(shape.members)}"
            )
        elif member is not None:
            yield from _value(shape.members[name], member, _join(path, name))
    if shape.is_tagged_union and sum(member is not None for member in value.values()) != 1:
        yield f"Exactly one of {', '.join(shape.members)} must be set at '{path}'"


def _value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _own(shape, value, path)
        for index, element in enumerate(value, start=1):
            yield from _value(shape.member, element, f"{path}.{index}.member")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        yield from _map(shape, value, path)
    else:
        yield from _own(shape, value, path)


def _map(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from _own(shape, value, path)
    for key, element in value.items():
        rules = list(_rules(shape.key, key))
        if rules:
            rule = f"Map keys must satisfy constraint: [{', '.join(rules)}]"
            yield _failure(_shown(shape.key, key), path, rule)
        if isinstance(element, dict | list):
            yield from _value(shape.value, element, f"{path}.{key}.member")
            continue
        rules = list(_rules(shape.value, element))
        if rules:
            rule = f"Map value must satisfy constraint: [{', '.join(rules)}]"
            yield _failure(_shown(shape.value, element), f"{path}.{key}", rule)


def _own(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for rule in _rules(shape, value):
        yield _failure(_shown(shape, value), path, rule)


def _rules(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints of a shape that a single value breaks."""
    kind = shape.type_name
    if kind in _SIZED and isinstance(value, _SIZED[kind]):
        yield from _bounds(shape, len(value), "have length")
    elif (
        kind in {"integer", "long", "float", "double"}
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        yield from _bounds(shape, value, "have value")
    if kind != "string" or not isinstance(value, str):
        return
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not matches(pattern, value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _bounds(shape: Shape, size: float, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"Member must {what} greater than or equal to {least}"
    if most is not None and size > most:
        yield f"Member must {what} less than or equal to {most}"


def matches(pattern: str, value: str) -> bool:
    """
    Whether a value satisfies a pattern of the service model, as Java's `matches` would have it.

    Java's Unicode categories, such as letters, are spelled out for the characters in *value*.
    A pattern that cannot be carried over is taken to be satisfied; so is a value of more than
    20,000 characters, since a careless pattern could then take for ever.
    """
    if len(value) > _LONGEST_MATCHED:
        return True
    if _CATEGORY.search(pattern):
        pattern = _spell_out_categories(pattern, value)
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    pattern = pattern.replace(_SURROGATES, _ABOVE_BMP)
    pattern = re.sub(r"\$\{\d+,\d+\}", "$", pattern)  # a repeated anchor, in the model by mistake
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _spell_out_categories(pattern: str, value: str) -> str:
    present = sorted(set(value))
    # Keeps a class from becoming empty; it does not occur in the value, so it matches nothing.
    absent = next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in present)

    def characters(match: re.Match[str]) -> str:
        category = match[1]
        if category in _ALNUM_CATEGORIES:
            return _ALNUM_CATEGORIES[category]
        found = (c for c in present if unicodedata.category(c).startswith(category))
        return absent + "".join(map(re.escape, found))

    return _CATEGORY.sub(characters, pattern)


def _join(path: str, name: str) -> str:
    """SageMaker names members as its own code does: with a small first letter."""
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _shown(shape: Shape, value: Any) -> Any:
    return "***Sensitive***" if shape.metadata.get("sensitive") else value


def _failure(value: Any, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"
