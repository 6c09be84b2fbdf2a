"""
What the columns of a dataset mean: decided over all files, then held strictly.

Each file's cells are tallied by what they could be. A column nine tenths of which are numbers
(times, booleans) is one of numbers, and a file in which another cell is something else is left
out with the place of that cell: a late "abc" neither turns into null nor turns the column into
text. A column that is mixed beyond that is text, and every cell stays as written.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import polars as pl

from tidemill_jobs.errors import ReadError
from tidemill_jobs.meanings import EXPECTED, Meaning, decide_kind
from tidemill_jobs.reader import RawFile
from tidemill_jobs.redaction import REDACTED
from tidemill_jobs.values import (
    BLANK,
    BOOLEAN,
    CODE,
    LARGEST,
    NOT_AVAILABLE,
    TIME,
    TIME_OFFSET,
    Kind,
    show,
)

MICROSECONDS = 60_000_000  # of a minute
MINUTES_A_DAY = 1_440


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells of a column could mean what; `first` is the row of the first of each."""

    counts: Mapping[Meaning, int]
    first: Mapping[Meaning, tuple[int, str]]


def tally(raw: RawFile, names: Collection[str], timestamp: str | None) -> dict[str, Tally]:
    """Count, for each of the named columns, what its cells could mean."""
    return {name: _tally(raw, raw.frame[name], timestamp) for name in names}


def decide(tallies: Collection[Tally]) -> Kind | None:
    """Return what a column is, given its tally in every file; None when all cells are missing."""
    return decide_kind([tally.counts for tally in tallies])


def misfit(
    place: Callable[[int], str], name: str, kind: Kind, tally: Tally, *, redacted: bool = False
) -> str | None:
    """
    Return the sentence about the first cell that contradicts the column's kind, or None.

    It does not show the cell of a column that is *redacted*.
    """
    if kind == "category":
        return None
    others = [where for meaning, where in tally.first.items() if meaning != kind]
    if not others:
        return None
    row, value = min(others)
    return (
        f"{place(row)}: column '{name}' holds {REDACTED if redacted else show(value)} where "
        f"{EXPECTED[kind]} is "
        "expected; correct the cell, or list the column under data.exclude."
    )


def typed(raw: RawFile, kinds: Mapping[str, Kind]) -> pl.DataFrame:
    """
    Return the columns as what they mean.

    Numbers become Float64, booleans Boolean, times Int64 minutes since 1970 in UTC, categories
    String. Missing cells, and only they, are null.

    Raises:
        ReadError: A cell would have been lost; `misfit` finds it first.
    """
    frame = raw.frame.select(_typed(raw.frame[name], kind) for name, kind in kinds.items())
    for name, kind in kinds.items():
        lost = frame[name].null_count() - _missing(raw.frame[name], kind)
        if lost:
            raise ReadError(
                f"column '{name}': {lost} cells are not {EXPECTED[kind]}",
                rule="wrong_type",
                next_step="correct them, or list the column under data.exclude",
                column=name,
            )
    return frame


def minutes(column: pl.Series) -> pl.Series:
    """Return minutes since 1970 in UTC of ISO 8601 text or Datetime; null where it is neither."""
    if column.dtype == pl.Datetime:
        return column.cast(pl.Int64) // MICROSECONDS
    text, clock, offset = pl.col("text"), pl.col("clock"), pl.col("offset")
    # Step by step: one query of all of it would work out each part where it is named.
    frame = column.alias("text").to_frame().select(text.str.strip_chars(BLANK))
    frame = frame.select(pl.when(text.str.contains(TIME)).then(text).alias("text"))
    if frame["text"].null_count() == len(column):
        return pl.Series(column.name, [None], pl.Int64).new_from_index(0, len(column))
    frame = frame.select(
        day=text.str.slice(0, 10),
        clock=text.str.slice(11, 5),
        offset=text.str.extract(TIME, TIME_OFFSET),
    )
    days = pl.col("day").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    since = (
        pl.when(clock == "")
        .then(0)
        .otherwise(
            clock.str.slice(0, 2).cast(pl.Int64, strict=False) * 60
            + clock.str.slice(3, 2).cast(pl.Int64, strict=False)
        )
    )
    east = pl.when(offset != "Z").then(
        (offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(-2).cast(pl.Int64))
        * pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    )
    minutes_of = days * MINUTES_A_DAY + since - east.fill_null(0)
    return frame.select(minutes_of.alias(column.name)).to_series()


def quantities(column: pl.Series) -> pl.Series:
    """Return the numbers among text cells; null where there is none, or an identifying code."""
    cell, number = pl.col("cell"), pl.col("number")
    frame = column.alias("cell").to_frame().select(cell.str.strip_chars(BLANK))
    frame = frame.select(
        number=cell.cast(pl.Float64, strict=False),
        code=cell.str.contains(CODE),
    )
    wanted = pl.when(_fits(number) & ~pl.col("code")).then(number)
    return frame.select(wanted.alias(column.name)).to_series()


def contradicting(raw: RawFile, name: str, kind: Kind | None, timestamp: str | None) -> pl.Series:
    """Return which cells are not missing and not what their column is."""
    column = raw.frame[name]
    wrong = _nothing(column)
    if kind is None or kind == "category":
        return wrong
    for meaning, found in _sorted_cells(raw, column, timestamp):
        if meaning != kind:
            wrong |= found
    return wrong


def _sorted_cells(
    raw: RawFile, column: pl.Series, timestamp: str | None
) -> list[tuple[Meaning, pl.Series]]:
    """Return, for each meaning, which cells have it."""
    if column.dtype == pl.String:
        if not raw.typed or column.name == timestamp:
            return _meanings(column)
        return _times(column) if raw.times_as_text else [("text", column.is_not_null())]
    if column.dtype == pl.Boolean:
        return [("boolean", column.is_not_null())]
    if column.dtype == pl.Datetime:
        return [("time", column.is_not_null())]
    fits = (column.cast(pl.Float64).abs() <= LARGEST).fill_null(value=False)
    return [("number", fits), ("text", column.is_not_null() & ~fits)]


def _tally(raw: RawFile, column: pl.Series, timestamp: str | None) -> Tally:
    counts: dict[Meaning, int] = {}
    first: dict[Meaning, tuple[int, str]] = {}
    for meaning, found in _sorted_cells(raw, column, timestamp):
        row = found.arg_max()  # the first True
        if row is not None and found[row]:
            counts[meaning] = int(found.sum())
            first[meaning] = (row, str(column[row]))
    return Tally(counts, first)


def _meanings(column: pl.Series) -> list[tuple[Meaning, pl.Series]]:
    # Three queries, whose number is what a narrow column costs; in one, each part would be worked
    # out wherever it is named, which is what a long column costs.
    cell, there, fits, code = (pl.col(name) for name in ("cell", "there", "fits", "code"))
    cells = column.alias("cell").to_frame().select(cell.str.strip_chars(BLANK))
    cells = cells.select(
        there=cell.is_not_null() & ~cell.is_in(NOT_AVAILABLE),
        fits=cell.cast(pl.Float64, strict=False),
        code=cell.str.contains(CODE),
    ).select(there, _fits(fits), code)
    # Missing cells are null throughout; fill_null turns "unknown" into "no".
    cells = cells.select(pl.all().fill_null(value=False)).select(
        number=there & fits & ~code, code=there & fits & code, rest=there & ~fits
    )
    found: list[tuple[Meaning, pl.Series]] = [("number", cells["number"]), ("code", cells["code"])]
    rest = cells["rest"]
    if rest.any():
        booleans = rest & column.str.strip_chars(BLANK).str.contains(BOOLEAN)
        booleans = booleans.fill_null(value=False)
        found.append(("boolean", booleans))
        rest &= ~booleans
    if rest.any():
        times = rest & minutes(column).is_not_null()
        found.append(("time", times))
        rest &= ~times
    return [*found, ("text", rest)]


def _times(column: pl.Series) -> list[tuple[Meaning, pl.Series]]:
    text = column.str.strip_chars(BLANK)
    rest = (text.is_not_null() & ~text.is_in(NOT_AVAILABLE)).fill_null(value=False)
    times = rest & minutes(text).is_not_null()
    return [("time", times), ("text", rest & ~times)]


def _nothing(column: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(column), dtype=pl.Boolean, eager=True)


def _fits(number: pl.Expr) -> pl.Expr:
    """Return where a number is one that models take: neither infinite nor too large."""
    return number.is_finite() & (number.abs() <= LARGEST)


def _numbers(text: pl.Series) -> pl.Series:
    # polars reads what NUMBER describes, and inf and nan besides; those become no number.
    numbers = text.cast(pl.Float64, strict=False)
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()


def _typed(column: pl.Series, kind: Kind) -> pl.Series:
    if kind == "time":
        converted = minutes(column)
    elif kind == "category":
        converted = column.cast(pl.String)
    elif column.dtype != pl.String:
        converted = column.cast(pl.Float64 if kind == "number" else pl.Boolean)
    elif kind == "number":
        converted = _numbers(column.str.strip_chars(BLANK))
    else:
        text = column.str.strip_chars(BLANK)
        converted = pl.select(
            pl.when(text.str.contains(BOOLEAN)).then(text.str.to_lowercase() == "true")
        ).to_series()
    return converted.alias(column.name)


def _missing(column: pl.Series, kind: Kind) -> int:
    missing = column.null_count()
    if kind != "category" and column.dtype == pl.String:
        missing += int(column.str.strip_chars(BLANK).is_in(NOT_AVAILABLE).sum())
    return missing
