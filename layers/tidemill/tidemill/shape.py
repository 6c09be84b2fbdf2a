"""What every shape of `tidemill.contracts` can do: read itself from JSON, and say what is wrong."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from tidemill.errors import InvalidInputError


class Contract:
    """Base of all shapes."""

    @classmethod
    def parse(cls, document: Any) -> Self:
        """
        Read *document*.

        Raises:
            InvalidInputError: Names the shape, the field and what is wrong with it.
        """
        name = cls.__name__
        if not isinstance(document, Mapping):
            raise InvalidInputError(f"{name}: expected an object, not {type(document).__name__}")
        hints = get_type_hints(cls)
        found: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            if field.name in document:
                found[field.name] = _checked(
                    document[field.name], hints[field.name], name, field.name
                )
            elif field.default is MISSING and field.default_factory is MISSING:
                raise InvalidInputError(f"{name}: {field.name} is missing")
        return cls(**found)


def _checked(value: Any, kind: Any, shape: str, field: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Contract):
        return kind.parse(value)
    if not _fits(value, kind):
        raise InvalidInputError(f"{shape}: {field} must be {_said(kind)}, not {value!r:.80}")
    return value


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(kind))
    if origin is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return getattr(kind, "__name__", str(kind))
