"""What the keys of model.yaml have in common: kinds of values, and how one is refused."""

import re
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from tidemill.spec.durations import format_duration, parse_duration

NAME_LIMIT = 24  # two such names and the default stack's make 60 of SageMaker's 63 characters
COLUMN_LIMIT = 256
MINUTE, HOUR, DAY = 60, 3_600, 86_400

#: How a duration looks, for editors; `parse_duration` decides.
DURATION = r"^([0-9]+[smhd])+$"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def refusal(message: str, at: str = "") -> PydanticCustomError:
    """
    Return the error of a value that has the right type but cannot be.

    Args:
        message: What follows the key's name, such as `is 'X'; write …`.
        at: The key below the one under validation that the message is about, such as `a.b`.
    """
    return PydanticCustomError("refused", "{said}", {"said": message, "at": at})


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the one of *known* that *word* is taken for, or None when none is near."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` for the nearest of *known*, or nothing when none is near."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise refusal(
            f"is '{text}'; a name is words of a-z and 0-9 joined by single hyphens, as late-flights"
        )
    if len(text) > NAME_LIMIT:
        raise refusal(
            f"has {len(text)} characters; AWS names leave room for {NAME_LIMIT}: shorten it"
        )
    return text


def _column(text: str) -> str:
    if not text.strip():
        raise refusal("is empty; write a column's name")
    if len(text) > COLUMN_LIMIT or not text.isprintable():
        raise refusal(
            f"is no column's name: write at most {COLUMN_LIMIT} printable characters, "
            "as in the file's header"
        )
    return text


def _marker(text: str) -> str:
    if not _FILE_NAME.fullmatch(text) or not text.strip("."):
        raise refusal(
            f"is '{text}'; write a file's name without a folder, such as _SUCCESS or manifest.json"
        )
    return text


def seconds(low: int, high: int) -> BeforeValidator:
    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            raise refusal(f"is {value}, without a unit; write {value}s, {value}m or {value}h")
        seconds = parse_duration(value) if isinstance(value, str) else None
        if seconds is None:
            raise refusal("is no duration; write a number and a unit, such as 30s, 2m or 1h30m")
        if not low <= seconds <= high:
            raise refusal(
                f"is {value}; choose between {format_duration(low)} and {format_duration(high)}"
            )
        return seconds

    return BeforeValidator(parse, json_schema_input_type=Annotated[str, Field(pattern=DURATION)])


def instance_type(known: frozenset[str], work: str) -> AfterValidator:
    def check(text: str) -> str:
        if text not in known:
            near = nearest(text, tuple(sorted(known)))
            hint = f"did you mean {near}?" if near else "write one such as ml.m5.xlarge"
            raise refusal(f"is '{text}', which SageMaker does not offer for {work}; {hint}")
        return text

    return AfterValidator(check)


def _unquoted(value: Any) -> Any:
    """Read a number in quotes: a hyperparameter ends as text anyway."""
    if isinstance(value, str) and _NUMBER.fullmatch(value) and len(value) < COLUMN_LIMIT:
        return float(value)
    return value


def _whole(value: Any) -> Any:
    value = _unquoted(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _folder(text: str) -> str:
    parts = text.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or not text.isprintable():
        raise refusal(
            f"is '{text}'; write a folder below the model's prefix, such as images/ or scans/2026/"
        )
    return "/".join(parts) + "/"


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": NAME_LIMIT}),
]
Column = Annotated[str, AfterValidator(_column)]
Folder = Annotated[str, AfterValidator(_folder)]
Marker = Annotated[str, AfterValidator(_marker)]

# A key without a value leaves the hyperparameter to the trainer, as no key does.
Share = Annotated[Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(_unquoted)]
Amount = Annotated[Annotated[float, Field(ge=0, le=1e9)] | None, BeforeValidator(_unquoted)]
Whole = BeforeValidator(_whole)


class Section(BaseModel):
    """A part of model.yaml: no key but its own, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
