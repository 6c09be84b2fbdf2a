"""
The expressions of a SageMaker pipeline definition: `Get`, `Std:Join`, `Std:JsonGet`, conditions.

An expression is a JSON object with one of those three keys; everything else is a literal. Pure:
what an expression may see is handed in as a `Scope`. Comparisons follow the SageMaker SDK's own
reading of the types: `Equals` needs two values of one type, the orderings two numbers or two
strings, and a boolean is never a number.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JsonReader = Callable[[str], Any]
PropertyFileReader = Callable[[str, str], Any]

_KEYS = ("Get", "Std:Join", "Std:JsonGet")
_STEP = re.compile(r"Steps\.([A-Za-z0-9\-_]{1,64})(?:\.(.+))?", re.DOTALL)
_SEGMENT = re.compile(r"\.?([A-Za-z0-9\-_]+)|\[(\d+)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
COMPARISONS = ("Equals", *_ORDERINGS)
CONDITIONS = (*COMPARISONS, "In", "Not", "Or")


class ExpressionError(ValueError):
    """An expression is malformed, or names something that is not there."""


def _no_files(step: str, name: str) -> Any:
    raise ExpressionError(f"property file {name!r} of step {step!r} cannot be read here")


def _no_objects(uri: str) -> Any:
    raise ExpressionError(f"{uri} cannot be read here")


@dataclass(frozen=True)
class Scope:
    """What the expressions of one execution may see."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # finished ones
    property_file: PropertyFileReader = _no_files  # (step, property file) → parsed JSON
    read_json: JsonReader = _no_objects  # s3:// URI → parsed JSON

    def with_execution(self, **variables: Any) -> "Scope":
        """Return the same scope with more execution variables, such as a job's name."""
        return replace(self, execution={**self.execution, **variables})


@dataclass(frozen=True)
class Reference:
    """What one `Get` names: kind is Parameters, Execution or Steps."""

    kind: str
    name: str
    path: str = ""  # within a step; empty for the others


def parse_reference(text: Any) -> Reference:
    """
    Read the value of a `Get`.

    Raises:
        ExpressionError: It names no parameter, execution variable or step.
    """
    if isinstance(text, str):
        kind, _, rest = text.partition(".")
        if kind in {"Parameters", "Execution"} and re.fullmatch(r"[A-Za-z0-9\-_]+", rest):
            return Reference(kind, rest)
        if match := _STEP.fullmatch(text):
            return Reference("Steps", match[1], match[2] or "")
    raise ExpressionError(
        f"cannot read {text!r}: Get takes Parameters.<name>, Execution.<variable> or "
        "Steps.<step>.<property>"
    )


def is_expression(value: Any) -> bool:
    """Say whether *value* is an expression rather than a literal."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _KEYS


def references(value: Any) -> Iterator[Reference]:
    """Yield every `Get` anywhere in *value*."""
    if is_expression(value) and "Get" in value:
        yield parse_reference(value["Get"])
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def path_segments(path: str) -> list[str | int]:
    """
    Split `a.b['c'][0]` into its steps.

    Raises:
        ExpressionError: The path is empty or malformed.
    """
    segments: list[str | int] = []
    position = 0
    while position < len(path):
        match = _SEGMENT.match(path, position)
        # A dot separates names: it may not open the path, and a name needs one after another.
        dotted = path[position] == "."
        if match is None or (match[1] is not None and dotted != (position > 0)):
            raise ExpressionError(f"cannot read path {path!r} from {path[position:]!r} on")
        name, index, single, double = match.groups()
        named = (text for text in (name, single, double) if text is not None)
        segments.append(next(named) if index is None else int(index))
        position = match.end()
    if not segments:
        raise ExpressionError("a path is empty; name the value that is meant")
    return segments


def walk(document: Any, path: str) -> Any:
    """
    Return what *path* names within *document*.

    Raises:
        ExpressionError: Something on the way is missing.
    """
    value = document
    for segment in path_segments(path):
        found = (isinstance(value, Mapping) and segment in value) or (
            isinstance(value, list) and isinstance(segment, int) and segment < len(value)
        )
        if not found:
            raise ExpressionError(f"there is no {segment!r} on the way of path {path!r}")
        value = value[segment]
    return value


def evaluate(value: Any, scope: Scope) -> Any:
    """
    Return *value* with every expression in it replaced by what it stands for.

    Raises:
        ExpressionError: An expression is malformed or its value is undefined.
    """
    if isinstance(value, list):
        return [evaluate(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    if not is_expression(value):
        return {key: evaluate(item, scope) for key, item in value.items()}
    ((key, body),) = value.items()
    if key == "Get":
        return _get(parse_reference(body), scope)
    return _join(body, scope) if key == "Std:Join" else _json_get(body, scope)


def _get(reference: Reference, scope: Scope) -> Any:
    try:
        if reference.kind == "Parameters":
            return scope.parameters[reference.name]
        if reference.kind == "Execution":
            return scope.execution[reference.name]
        step = scope.steps[reference.name]
    except KeyError:
        raise ExpressionError(f"{reference.kind}.{reference.name} is undefined") from None
    try:
        return walk(step, reference.path)
    except ExpressionError as error:
        raise ExpressionError(f"Steps.{reference.name}.{reference.path}: {error}") from None


def as_text(value: Any) -> str:
    """
    Return how a value looks inside a `Std:Join`: strings bare, the rest as in JSON.

    Raises:
        ExpressionError: It is neither string, number nor boolean.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ExpressionError(f"Std:Join takes strings, numbers and booleans, not {value!r}")


def _join(body: Any, scope: Scope) -> str:
    match body:
        case {"On": str() as separator, "Values": list() as values}:
            return separator.join(as_text(evaluate(item, scope)) for item in values)
        case {"Values": list() as values} if "On" not in body:
            return "".join(as_text(evaluate(item, scope)) for item in values)
    raise ExpressionError('Std:Join needs {"On": separator, "Values": [...]}')


def _json_get(body: Any, scope: Scope) -> Any:
    match body:
        case {"PropertyFile": {"Get": reference}, "Path": str() as path}:
            step, name = property_file_of(reference)
            document = scope.property_file(step, name)
            source = f"property file {name!r} of step {step!r}"
        case {"S3Uri": uri, "Path": str() as path}:
            source = as_text(evaluate(uri, scope))
            document = scope.read_json(source)
        case _:
            raise ExpressionError(
                'Std:JsonGet needs "Path" and either "PropertyFile" {"Get": '
                '"Steps.<step>.PropertyFiles.<name>"} or "S3Uri"'
            )
    try:
        return walk(document, path.removeprefix("$."))
    except ExpressionError as error:
        raise ExpressionError(f"{source}: {error}") from None


def property_file_of(reference: Any) -> tuple[str, str]:
    """
    Split `Steps.<step>.PropertyFiles.<name>`.

    Raises:
        ExpressionError: The reference names something else.
    """
    parsed = parse_reference(reference)
    prefix, _, name = parsed.path.partition(".")
    if parsed.kind != "Steps" or prefix != "PropertyFiles" or not name:
        raise ExpressionError(f"{reference!r} does not name a property file")
    return parsed.name, name


def holds(conditions: list[Any], scope: Scope) -> bool:
    """
    Say whether all *conditions* hold; the first that does not ends the look.

    Raises:
        ExpressionError: A condition is malformed, undefined, or compares unlike types.
    """
    return all(_holds(condition, scope) for condition in conditions)


def _holds(condition: Any, scope: Scope) -> bool:
    match condition:
        case {"Type": str() as kind, "LeftValue": left, "RightValue": right} if kind in COMPARISONS:
            return _compare(kind, evaluate(left, scope), evaluate(right, scope))
        case {"Type": "In", "QueryValue": query, "Values": list() as values}:
            sought = evaluate(query, scope)
            return any(_same(sought, evaluate(value, scope)) for value in values)
        # The SDK writes Expression; definitions written by hand have been seen with Condition.
        case {"Type": "Not", "Expression": inner} | {"Type": "Not", "Condition": inner}:
            return not _holds(inner, scope)
        case {"Type": "Or", "Conditions": list() as alternatives}:
            return any(_holds(alternative, scope) for alternative in alternatives)
    raise ExpressionError(f"cannot read condition {json.dumps(condition, default=str)}")


def check_condition(condition: Any) -> None:
    """
    Check the shape of a condition without evaluating it.

    Raises:
        ExpressionError: The type is unknown, or a part is missing.
    """
    match condition:
        case {"Type": "Not", "Expression": inner} | {"Type": "Not", "Condition": inner}:
            check_condition(inner)
        case {"Type": "Or", "Conditions": list() as alternatives} if alternatives:
            for alternative in alternatives:
                check_condition(alternative)
        case {"Type": "In", "QueryValue": _, "Values": list() as values} if values:
            return
        case {"Type": str() as kind, "LeftValue": _, "RightValue": _} if kind in COMPARISONS:
            return
        case {"Type": kind} if kind not in CONDITIONS:
            raise ExpressionError(f"condition type {kind!r} is not one of {', '.join(CONDITIONS)}")
        case _:
            raise ExpressionError(f"condition {json.dumps(condition)} lacks a part")


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if kind == "Equals":
        if type(left) is not type(right):
            raise ExpressionError(
                f"Equals needs two values of one type, not {left!r} ({_kind(left)}) "
                f"and {right!r} ({_kind(right)})"
            )
        return bool(left == right)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (left, right))
    if not numbers and not all(isinstance(value, str) for value in (left, right)):
        raise ExpressionError(
            f"{kind} needs two numbers or two strings, not {left!r} ({_kind(left)}) "
            f"and {right!r} ({_kind(right)})"
        )
    return _ORDERINGS[kind](left, right)


def _kind(value: Any) -> str:
    names = {str: "String", bool: "Boolean", int: "Integer", float: "Float"}
    return names.get(type(value), type(value).__name__)
