"""
What a cell says: one grammar for files and for requests.

Prepare reads whole columns (`schema.py`, polars), serving reads single values (here); a property
test holds the two together. In every column the empty text, `null` and `NaN` are missing; where
numbers, times or booleans are expected, so are `NA`, `N/A` and `None`. In a text column those
three are ordinary values (NA is Namibia's code).
"""

import math
import re
from datetime import date
from typing import Any, Literal

from tidemill_jobs.errors import ValueRefusedError

Kind = Literal["number", "boolean", "time", "category"]

BLANK = " \t"  # stripped around numbers, times and booleans
MISSING = ("", "null", "NULL", "NaN", "nan")
NOT_AVAILABLE = ("NA", "N/A", "n/a", "None")

# The same text is a Python and a Rust regular expression: no look-around, no \d (it is Unicode).
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
CODE = r"^[+-]?0[0-9]"  # a leading zero: an identifying code, not a quantity
BOOLEAN = r"^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"
TIME = (
    r"^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?)?$"
)
TIME_OFFSET = 6  # the group that holds the offset from UTC
LARGEST = 3.4028234663852886e38  # of a 32-bit float
EXACT = 2**53  # a double holds every whole number up to here

_NUMBER, _BOOLEAN, _TIME = re.compile(NUMBER), re.compile(BOOLEAN), re.compile(TIME)
_EPOCH = date(1970, 1, 1).toordinal()
_MISSING = frozenset(MISSING)
_ABSENT = frozenset(MISSING + NOT_AVAILABLE)
_SHOWN = 60


def is_missing(value: Any) -> bool:
    """Return whether *value* is missing in any column: null, NaN, or the empty text."""
    if isinstance(value, str):
        return value.strip(BLANK) in _MISSING
    return value is None or value != value  # noqa: PLR0124  # NaN alone differs from itself


def read_number(value: Any) -> float:
    """
    Return a number, or NaN when it is missing.

    Raises:
        ValueRefusedError: It is no number, or beyond what a 32-bit float holds.
    """
    if isinstance(value, str):
        text = value.strip(BLANK)
        if text in _ABSENT:
            return math.nan
        number = float(text) if _NUMBER.fullmatch(text) else None
    elif value is None:
        return math.nan
    else:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        number = _float(value) if is_number else None
    if number is None:
        raise ValueRefusedError(f"is {show(value)}; send a number")
    if abs(number) > LARGEST:
        raise ValueRefusedError(
            f"is {show(value)}, beyond the 3.4e38 that a 32-bit number holds; send a smaller one"
        )
    return number


def read_boolean(value: Any) -> float:
    """
    Return 1.0 for true, 0.0 for false, NaN when it is missing.

    Raises:
        ValueRefusedError: It is neither.
    """
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip(BLANK)
        if text in _ABSENT:
            return math.nan
        if _BOOLEAN.fullmatch(text):
            return float(text.lower() == "true")
    elif is_missing(value):
        return math.nan
    raise ValueRefusedError(f"is {show(value)}; send true or false")


def read_time(value: Any) -> float:
    """
    Return minutes since 1970-01-01T00:00 UTC, or NaN when it is missing.

    Seconds are checked and dropped; a time without an offset is taken as UTC.

    Raises:
        ValueRefusedError: It is no ISO 8601 date or time of the years 1000 to 2999.
    """
    if isinstance(value, str):
        text = value.strip(BLANK)
        if text in _ABSENT:
            return math.nan
        minutes = _minutes(text)
        if minutes is not None:
            return float(minutes)
    elif is_missing(value):
        return math.nan
    raise ValueRefusedError(f"is {show(value)}; send a time such as 2026-11-20T14:30:00Z")


def read_text(value: Any) -> str:
    """
    Return a category as it is, or the empty text when it is missing.

    Raises:
        ValueRefusedError: It is a number, a truth value or a structure: 1 and 1.0 would be two.
    """
    if isinstance(value, str):
        return "" if value.strip(BLANK) in _MISSING else value
    if is_missing(value):
        return ""
    raise ValueRefusedError(f"is {show(value)}; this column holds text: put the value in quotes")


def show(value: Any) -> str:
    """Return a value as messages quote it, cut to a readable length."""
    text = f"'{value}'" if isinstance(value, str) else f"{value}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 309 digits
        return math.inf


def _minutes(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, offset = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:  # 30 February
        return None
    return days * 1_440 + int(hour or 0) * 60 + int(minute or 0) - _offset_minutes(offset)


def _offset_minutes(offset: str | None) -> int:
    if offset is None or offset == "Z":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return -minutes if offset.startswith("-") else minutes
