"""When a label was known: ISO 8601, or seconds or milliseconds since 1970."""

import math
import re
from datetime import UTC, datetime
from typing import Final

import polars as pl

from tidemill_jobs.values import BLANK, NUMBER, TIME

#: A number from here on is milliseconds: in seconds it would be the year 5138.
MILLISECONDS_FROM: Final = 1e11
_NUMBER, _TIME = re.compile(NUMBER), re.compile(TIME)


def seconds(column: pl.Series) -> pl.Series:
    """Return seconds since 1970 (Float64), null where a cell is missing or says no time."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
    if column.dtype.is_numeric():
        return _scaled(column.cast(pl.Float64))
    if column.dtype != pl.String:
        return pl.Series([None] * len(column), dtype=pl.Float64)
    once = column.unique()
    read = pl.Series([second(text) for text in once.to_list()], dtype=pl.Float64)
    return column.replace_strict(once, read, return_dtype=pl.Float64)


def second(text: str | None) -> float | None:
    """Return the seconds since 1970 of one text, None when it is none."""
    if text is None:
        return None
    bare = text.strip(BLANK)
    if _NUMBER.fullmatch(bare):
        number = float(bare)
        if not math.isfinite(number):
            return None
        return number / 1_000 if abs(number) >= MILLISECONDS_FROM else number
    if not _TIME.fullmatch(bare):
        return None
    try:
        moment = datetime.fromisoformat(bare)
    except ValueError:  # 30 February
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _scaled(column: pl.Series) -> pl.Series:
    column = column.set(~column.is_finite(), None)
    return column.zip_with(column.abs().fill_null(0.0) < MILLISECONDS_FROM, column / 1_000)
