"""From a file's rows to its facts: one look at every column, nothing that grows with the rows."""

from collections.abc import Callable
from typing import Any

import polars as pl

from tidemill_jobs import schema
from tidemill_jobs.contract.facts import (
    VALUES,
    VALUES_IN_ALL,
    ColumnFacts,
    Counted,
    Range,
    Spot,
    cut,
    quantile_places,
)
from tidemill_jobs.meanings import Meaning
from tidemill_jobs.reader import RawFile
from tidemill_jobs.schema import Tally
from tidemill_jobs.values import BLANK, LARGEST, NOT_AVAILABLE

FEW = 16  # values told of a column that has more than may be listed
COUNTED = 65_536  # different values up to which the most frequent are looked for
_VALUE, _ROW = "\x1fvalue", "\x1frow"

Place = Callable[[int], int]


def describe(raw: RawFile, timestamp: str | None, place: Place) -> tuple[ColumnFacts, ...]:
    """
    Return the facts of every column.

    Args:
        raw: The file's rows.
        timestamp: The column that is read as times even where the format says text.
        place: Tells which line or row a data row (from 0) is.
    """
    limit = max(FEW, min(VALUES, VALUES_IN_ALL // max(1, raw.frame.width)))
    facts = []
    for name in raw.frame.columns:
        tally = schema.tally(raw, [name], timestamp)[name]
        # Where nothing else than text is expected, NA is a text like any other.
        infer = not raw.typed or raw.times_as_text or name == timestamp
        facts.append(_column(raw.frame[name], tally, place, limit, infer=infer))
    return tuple(facts)


def _column(
    column: pl.Series, tally: Tally, place: Place, limit: int, *, infer: bool
) -> ColumnFacts:
    missing = column.null_count()
    listed, distinct = _values(column, place, limit)
    repeats = len(column) - missing - distinct
    unknown = _not_available(column, infer=infer)
    return ColumnFacts(
        name=column.name,
        stored=_stored(column.dtype),
        missing=missing,
        missing_row=place(_first(column.is_null())) if missing else None,
        not_available=int(unknown.sum()),
        not_available_row=place(_first(unknown)) if unknown.any() else None,
        meanings=_meanings(tally, place),
        numbers=_range(_numbers(column), place) if "number" in tally.counts else None,
        times=_range(schema.minutes(column), place) if "time" in tally.counts else None,
        distinct=distinct,
        repeats=repeats,
        repeat=_repeat(column, place) if repeats else None,
        values=listed,
        complete=len(listed) == distinct,
    )


def _stored(dtype: pl.DataType) -> str:
    if dtype == pl.String:
        return "text"
    if dtype == pl.Boolean:
        return "boolean"
    return "time" if dtype == pl.Datetime else "number"


def _not_available(column: pl.Series, *, infer: bool) -> pl.Series:
    """Return which cells are missing where no text is expected."""
    if not infer or column.dtype != pl.String:
        return pl.Series([], dtype=pl.Boolean)
    found = pl.col("cell").str.strip_chars(BLANK).is_in(NOT_AVAILABLE).fill_null(value=False)
    return column.alias("cell").to_frame().select(found).to_series()


def _meanings(tally: Tally, place: Place) -> dict[Meaning, Counted]:
    return {
        meaning: Counted(count, place(tally.first[meaning][0]), cut(tally.first[meaning][1]))
        for meaning, count in tally.counts.items()
    }


def _numbers(column: pl.Series) -> pl.Series:
    """Return the cells that count as numbers; codes, and what is too large, are null."""
    if column.dtype == pl.String:
        return schema.quantities(column)
    numbers = column.cast(pl.Float64)
    return pl.select(pl.when(numbers.abs() <= LARGEST).then(numbers)).to_series()


def _range(cells: pl.Series, place: Place) -> Range | None:
    low, high = cells.arg_min(), cells.arg_max()
    if low is None or high is None:
        return None
    ordered = cells.drop_nulls().sort().to_numpy()
    return Range(
        low=float(cells[low]),
        low_row=place(low),
        high=float(cells[high]),
        high_row=place(high),
        quantiles=tuple(map(float, ordered[quantile_places(len(ordered))])),
    )


def _values(column: pl.Series, place: Place, limit: int) -> tuple[tuple[Counted, ...], int]:
    distinct = column.n_unique() - bool(column.null_count())
    if distinct > COUNTED:
        return (), distinct
    counted = (
        column.alias(_VALUE)
        .to_frame()
        .lazy()
        .with_row_index(_ROW)
        .drop_nulls(_VALUE)
        .group_by(_VALUE)
        .agg(pl.len(), pl.col(_ROW).min())
        .sort(["len", _VALUE], descending=[True, False])
        .head(limit if distinct <= limit else FEW)
        .collect()
    )
    rows = counted.select(_VALUE, "len", _ROW).iter_rows()
    return (
        tuple(Counted(count, place(row), cut(_written(value))) for value, count, row in rows),
        distinct,
    )


def _repeat(column: pl.Series, place: Place) -> Spot:
    row = _first(column.is_not_null() & ~column.is_first_distinct())
    return Spot(place(row), cut(_written(column[row])))


def _first(found: pl.Series) -> int:
    row = found.arg_max()
    assert row is not None  # noqa: S101  # the callers have counted
    return row


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
