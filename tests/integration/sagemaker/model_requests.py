"""Requests made from botocore's model of SageMaker: valid ones, and ones with one thing wrong."""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from hypothesis import strategies as st

SERVICE = botocore.session.get_session().get_service_model("sagemaker")

_FEW = 2  # elements beyond what a list or map must have
_DEEP = 3  # levels of structures below which only what is required is given
#: Java's Unicode categories, as few characters of each.
_CATEGORIES = {
    r"\p{L}": "a-zA-Z",
    r"\p{N}": "0-9",
    r"\p{Z}": " ",
    r"\p{P}": ".",
    r"\p{M}": "a",
    r"\p{S}": "+",
}
_PLAIN = st.characters(min_codepoint=33, max_codepoint=126)


def operation(name: str) -> OperationModel:
    return SERVICE.operation_model(name)


def requests(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw requests that keep every rule of the model, and mean nothing."""
    shape = operation(name).input_shape
    return st.just({}) if shape is None else _structure(shape, 0)


def least(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw requests of what is required only."""
    shape = operation(name).input_shape
    return st.just({}) if shape is None else _structure(shape, _DEEP)


def with_member(name: str, member: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw requests of what is required, and one thing more."""
    shape = operation(name).input_shape
    assert shape is not None
    more = st.fixed_dictionaries({member: _value(shape.members[member], _DEEP)})
    return st.builds(dict.__or__, least(name), more)


def spoiled(name: str, request: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what is wrong, the error's code, and the request with just that."""
    shape = operation(name).input_shape
    if shape is None:
        return
    for member in shape.required_members:
        yield f"no {member}", "ValidationException", request | {member: None}
    yield "an unknown member", "ValidationException", request | {"NoSuchMember": 1}
    for member, value in sorted(request.items()):
        kind = shape.members[member]
        yield f"the type of {member}", "SerializationException", request | {member: _other(kind)}
        most, enum = kind.metadata.get("max"), kind.metadata.get("enum")
        if kind.type_name == "string" and most and isinstance(value, str):
            long = request | {member: "a" * (most + 1)}
            yield f"the length of {member}", "ValidationException", long
        if enum:
            yield f"the value of {member}", "ValidationException", request | {member: "NoSuch"}


def misfits(shape: Shape | None, answer: Any, path: str = "") -> Iterator[str]:
    """Yield where an answer, as its JSON says it, is not of its shape."""
    if shape is None:
        if answer:
            yield f"{path} is not empty: {answer}"
    elif not isinstance(answer, _JSON[shape.type_name]):
        yield f"{path} is a {type(answer).__name__}, not a {shape.type_name}"
    elif isinstance(shape, StructureShape):
        yield from _misfits_of_members(shape, answer, path)
    elif isinstance(shape, ListShape | MapShape):
        element = shape.member if isinstance(shape, ListShape) else shape.value
        for name, value in enumerate(answer) if isinstance(answer, list) else answer.items():
            yield from misfits(element, value, f"{path}[{name}]")


def _misfits_of_members(shape: StructureShape, answer: dict[str, Any], path: str) -> Iterator[str]:
    for member in set(shape.required_members) - answer.keys():
        if f"{path}.{member}" not in _LEFT_OUT:
            yield f"{path}.{member} is required and not there"
    for member, value in answer.items():
        if member not in shape.members:
            yield f"{path}.{member} is unknown"
        else:
            yield from misfits(shape.members[member], value, f"{path}.{member}")


#: Required by the model, and left out by SageMaker too: of a job that made no model, of a version.
_LEFT_OUT = {"DescribeTrainingJob.ModelArtifacts", "DescribeModelPackage.ModelPackageName"}
_JSON: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "timestamp": (int, float),
    "blob": str,
    "structure": dict,
    "list": list,
    "map": dict,
}


def _structure(shape: StructureShape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if getattr(shape, "is_tagged_union", False):  # exactly one member, says the model
        one = [{name: _value(member, depth + 1)} for name, member in shape.members.items()]
        return st.one_of([st.fixed_dictionaries(each) for each in one])
    required = {name: _value(shape.members[name], depth + 1) for name in shape.required_members}
    if shape.is_tagged_union:
        one_of = (
            st.fixed_dictionaries({name: _value(member, depth + 1)})
            for name, member in shape.members.items()
        )
        return st.one_of(*one_of)
    if depth >= _DEEP:
        return st.fixed_dictionaries(required)
    return st.fixed_dictionaries(
        required,
        optional={
            name: _value(member, depth + 1)
            for name, member in shape.members.items()
            if name not in required
        },
    )


def _value(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    if isinstance(shape, StructureShape):
        return _structure(shape, depth)
    least_, most = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(shape, ListShape | MapShape):
        low = int(least_ or 0)
        high = min(low + _FEW, int(most) if most is not None else low + _FEW)
        if depth >= _DEEP:
            high = low
        if isinstance(shape, MapShape):
            keys, values = _value(shape.key, depth + 1), _value(shape.value, depth + 1)
            return st.dictionaries(keys, values, min_size=low, max_size=high)
        return st.lists(_value(shape.member, depth + 1), min_size=low, max_size=high)
    return _scalar(shape, least_, most)


def _scalar(shape: Shape, least_: float | None, most: float | None) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "string":
            return _text(shape, int(least_ or 0), most)
        case "integer" | "long":
            low = 0 if least_ is None else int(least_)
            return st.integers(low, low + 100 if most is None else int(most))
        case "float" | "double":
            low = 0.0 if least_ is None else float(least_)
            return st.floats(low, low + 100.0 if most is None else float(most))
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.integers(0, 2_000_000_000)
        case _:
            return st.just("aGVsbG8=")


def _text(shape: Shape, low: int, most: float | None) -> st.SearchStrategy[str]:
    enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    high = 40 if most is None else int(most)
    if enum:
        return st.sampled_from(enum)
    if pattern and (characters := re.fullmatch(r"(\[[^\]]+\])[+*]", pattern)):
        pattern = f"{characters[1]}{{{low},{max(low, min(high, 40))}}}"
    if pattern and (drawn := _of_pattern(pattern)) is not None:
        return drawn.filter(lambda text: low <= len(text) <= high)
    return st.text(_PLAIN, min_size=low, max_size=max(low, min(high, 40)))


def _of_pattern(pattern: str) -> st.SearchStrategy[str] | None:
    """Draw from a pattern of the model; None for the few that Python's `re` does not read."""
    for category, characters in _CATEGORIES.items():
        pattern = pattern.replace(category, characters)
    if pattern in {".*", "[\\s\\S]*", ""}:
        return None
    try:
        return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True, alphabet=_PLAIN)
    except (re.error, ValueError, TypeError):
        return None


def _other(shape: Shape) -> Any:
    """Return a value of another type."""
    return {"no": "such"} if not isinstance(shape, StructureShape | MapShape) else 7
