"""Times in the widths that machines write, read a column at a time; anything else says None."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: 2026-11-20, 2026-11-20T14:30, 2026-11-20T14:30:00, 2026-11-20T14:30:00Z
_WIDTHS: Final = (10, 16, 19, 20)
_SEPARATORS: Final = {4: b"-", 7: b"-", 10: b"T ", 13: b":", 16: b":", 19: b"Z"}
_FIRST_YEAR: Final = 1000
_LAST_YEAR: Final = 2999
_MONTHS: Final = np.arange("1000-01", "3000-02", dtype="datetime64[M]")
_DAYS: Final = _MONTHS.astype("datetime64[D]").astype(np.int64)  # since 1970, of each month's first
_LENGTHS: Final = np.diff(_DAYS)
_CLOCK: Final = (24, 60, 60)
_NINE: Final = 9


def minutes_of(texts: pl.Series) -> NDArray[np.int64] | None:
    """
    Return minutes since 1970 (UTC), seconds dropped, as `schema.minutes` does.

    None unless every text is a time and all are of the same of the four widths.
    """
    digits = _digits(texts)
    if digits is None:
        return None
    year = _pair(digits, 0).astype(np.int32) * 100 + _pair(digits, 2)
    month, day = _pair(digits, 5), _pair(digits, 8)
    clock = [_pair(digits, at) for at in (11, 14, 17) if at < len(digits)]
    at = (year - _FIRST_YEAR) * 12 + month - 1
    in_calendar = year.min() >= _FIRST_YEAR and year.max() <= _LAST_YEAR
    in_calendar &= month.min() >= 1 and month.max() <= 12  # noqa: PLR2004
    in_calendar &= all(part.max() < end for part, end in zip(clock, _CLOCK, strict=False))
    if not in_calendar or day.min() < 1 or (day > _LENGTHS[at]).any():
        return None
    minutes: NDArray[np.int64] = (_DAYS[at] + day - 1) * 1_440
    for part, unit in zip(clock, (60, 1), strict=False):
        minutes += part.astype(np.int32) * unit
    return minutes


def _digits(texts: pl.Series) -> NDArray[np.uint8] | None:
    """Return the texts' digits, a row for each place; None where other bytes are among them."""
    width = len(texts[0]) if len(texts) else 0
    if width not in _WIDTHS or texts[0][4] != "-":
        return None
    lengths = texts.str.len_bytes()
    if lengths.min() != width or lengths.max() != width:
        return None
    joined = texts.str.join("").cast(pl.Binary)[0]
    places = np.ascontiguousarray(np.frombuffer(joined, np.uint8).reshape(len(texts), width).T)
    for place, allowed in _SEPARATORS.items():
        if place < width and not _holds(places[place], allowed):
            return None
    digits = places - np.uint8(ord("0"))  # a byte below "0" wraps around
    told = [place for place in range(width) if place not in _SEPARATORS]
    return digits if all(digits[place].max() <= _NINE for place in told) else None


def _holds(place: NDArray[np.uint8], allowed: bytes) -> bool:
    found = place == allowed[0]
    for other in allowed[1:]:
        found |= place == other
    return bool(found.all())


def _pair(digits: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
    pair: NDArray[np.uint8] = digits[at] * np.uint8(10) + digits[at + 1]
    return pair
