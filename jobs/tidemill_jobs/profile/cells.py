"""
What each cell of a column is: the same value is the same, whatever the file's format.

A text is taken for what it says: `12`, `1.0`, `true`, `2026-11-20T14:30Z`, whether CSV, JSON or
Parquet holds it. Empty texts, `null` and NaN are missing (`tidemill_jobs.values`).
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import schema
from tidemill_jobs.contract.facts import SHOWN, cut
from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile.counted import MOST, Frequent
from tidemill_jobs.values import BLANK, BOOLEAN, CODE, LARGEST, MISSING, NOT_AVAILABLE

_NOT_A_NUMBER: Final = ("NaN", "nan")
_EVERY: Final = "rows"
_NO_FLOATS: Final = np.empty(0)
_NO_WHOLES: Final = np.empty(0, np.int64)
_NO_TEXTS: Final = pl.Series("text", [], pl.String)


@dataclass(frozen=True, slots=True)
class Texts:
    """Cells that are nothing but text, codes such as `007` among them; the long ones are cut."""

    frequent: Frequent = field(default_factory=Frequent)
    different: pl.Series = field(default_factory=lambda: _NO_TEXTS)  # may hold one text repeatedly
    shortest: int = 0  # characters, before any was cut
    longest: int = 0
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Cells:
    """
    The cells of a batch, sorted by what they are.

    Attributes:
        rows: All of them.
        blank: Those that are missing in any column: null, NaN, the empty text.
        nans: Those of them that say NaN. JSON has no NaN, so this depends on the format.
        not_available: Cells `NA`, `N/A`, … : missing unless the column holds text.
        codes: Texts such as `007`, which identify.
        trues: Cells that say true.
        falses: Cells that say false.
        wholes: Whole numbers of 64 bits.
        floats: Finite numbers that came as fractions, whole ones among them.
        infinities: Numbers that models cannot hold.
        minutes: Times, in minutes since 1970 (UTC).
        texts: The others, and the codes.
    """

    rows: int
    blank: int = 0
    nans: int = 0
    not_available: dict[str, int] = field(default_factory=dict)
    codes: int = 0
    trues: int = 0
    falses: int = 0
    wholes: NDArray[np.int64] = field(default_factory=lambda: _NO_WHOLES)
    floats: NDArray[np.float64] = field(default_factory=lambda: _NO_FLOATS)
    infinities: int = 0
    minutes: NDArray[np.int64] = field(default_factory=lambda: _NO_WHOLES)
    texts: Texts = field(default_factory=Texts)


def sort_cells(column: pl.Series) -> Cells:
    """
    Sort the cells of a column.

    Raises:
        ReadError: It is nested, or of a type that no column of a model has.
    """
    dtype = column.dtype
    if dtype == pl.String:
        return _of_texts(column)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return _of_texts(column.cast(pl.String))
    present = column.drop_nulls()
    rows, blank = len(column), len(column) - len(present)
    if dtype == pl.Null:
        return Cells(rows, blank)
    if dtype == pl.Boolean:
        trues = int(present.sum())
        return Cells(rows, blank, trues=trues, falses=len(present) - trues)
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return Cells(rows, blank, minutes=_minutes(present))
    if dtype.is_integer():
        return _of_integers(rows, blank, present)
    if dtype == pl.Float32:
        # By its shortest decimal, as a text file holds it: 0.1 is 0.1 and not 0.10000000149.
        return _of_floats(rows, blank, present.cast(pl.String).cast(pl.Float64).to_numpy())
    if dtype == pl.Float64 or isinstance(dtype, pl.Decimal):
        return _of_floats(rows, blank, present.cast(pl.Float64).to_numpy())
    raise ReadError(
        f"column '{column.name}' holds {dtype} values, which no model input can be",
        rule="nested_column",
        next_step="leave it out or write it as text",
        column=column.name,
    )


def _of_integers(rows: int, blank: int, values: pl.Series) -> Cells:
    wholes = values.cast(pl.Int64, strict=False)
    if not wholes.null_count():
        return Cells(rows, blank, wholes=wholes.to_numpy())
    longer = _of_floats(rows, blank, values.filter(wholes.is_null()).cast(pl.Float64).to_numpy())
    return replace(longer, wholes=wholes.drop_nulls().to_numpy())


def _of_floats(rows: int, blank: int, values: NDArray[np.float64]) -> Cells:
    nans, infinities = 0, 0
    if len(values):
        low, high = float(values.min()), float(values.max())
        if low != low:  # noqa: PLR0124  # NaN differs from itself, and is the least when there is one
            known = values[~np.isnan(values)]
            nans, values = len(values) - len(known), known
        if not (low >= -LARGEST and high <= LARGEST):
            known = values[np.abs(values) <= LARGEST]
            infinities, values = len(values) - len(known), known
    return Cells(rows, blank + nans, nans, floats=values, infinities=infinities)


def _minutes(column: pl.Series) -> NDArray[np.int64]:
    if column.dtype == pl.Datetime and getattr(column.dtype, "time_zone", None) is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return schema.minutes(column.cast(pl.Datetime("us"))).to_numpy()


def _of_texts(column: pl.Series) -> Cells:
    """Look at each different text once: `rows` says how many cells hold it."""
    text, cell, rows = pl.col("text"), pl.col("cell"), pl.col(_EVERY)
    counted = column.alias("text").value_counts(name=_EVERY)
    counted = counted.with_columns(cell=text.str.strip_chars(BLANK))
    blank = counted.filter(cell.is_null() | cell.is_in(MISSING))
    nans = blank.filter(cell.is_in(_NOT_A_NUMBER))
    unknown = counted.filter(cell.is_in(NOT_AVAILABLE))
    rest = counted.filter(cell.is_not_null() & ~cell.is_in([*MISSING, *NOT_AVAILABLE]))
    rest = rest.with_columns(
        number=cell.cast(pl.Float64, strict=False).fill_nan(None),
        whole=cell.cast(pl.Int64, strict=False),
        code=cell.str.contains(CODE),
        boolean=cell.str.contains(BOOLEAN),
    )
    number, whole = pl.col("number"), pl.col("whole")
    is_number = number.is_not_null() & ~pl.col("code")
    fits = number.abs() <= LARGEST
    wholes = rest.filter(is_number & whole.is_not_null())
    floats = rest.filter(is_number & whole.is_null() & fits)
    booleans = rest.filter("boolean").select(cell.str.to_lowercase(), _EVERY)
    others = rest.filter(~is_number & ~pl.col("boolean"))
    minutes = schema.minutes(others["cell"])
    times = others.select(rows, minutes=minutes).drop_nulls()
    texts = others.filter(minutes.is_null())
    trues = booleans.filter(cell == "true")
    return Cells(
        rows=len(column),
        blank=_rows(blank),
        nans=_rows(nans),
        not_available=_summed(unknown.select("cell", _EVERY)),
        codes=_rows(texts.filter(number.is_not_null())),
        trues=_rows(trues),
        falses=_rows(booleans) - _rows(trues),
        wholes=_repeated(wholes, "whole"),
        floats=_repeated(floats, "number"),
        infinities=_rows(rest.filter(is_number & whole.is_null() & ~fits)),
        minutes=_repeated(times, "minutes"),
        texts=_texts(texts.select("text", _EVERY)),
    )


def _rows(counted: pl.DataFrame) -> int:
    return int(counted[_EVERY].sum())


def _repeated(counted: pl.DataFrame, name: str) -> NDArray[Any]:
    return np.repeat(counted[name].to_numpy(), counted[_EVERY].to_numpy())


def _summed(counted: pl.DataFrame) -> dict[str, int]:
    """Return the rows of each word; `NA` and `NA ` are one."""
    sums = counted.group_by("cell", maintain_order=True).agg(pl.col(_EVERY).sum())
    return dict(sums.iter_rows())


def _texts(counted: pl.DataFrame) -> Texts:
    if counted.is_empty():
        return Texts()
    text, rows = pl.col("text"), pl.col(_EVERY)
    lengths = text.str.len_chars()
    shortest, longest, characters = counted.select(
        lengths.min().alias("shortest"),
        lengths.max().alias("longest"),
        (lengths.cast(pl.Int64) * rows).sum().alias("characters"),
    ).row(0)
    if longest > SHOWN:
        counted = counted.with_columns(
            pl.when(lengths > SHOWN)
            .then(text.map_elements(cut, return_dtype=pl.String))
            .otherwise(text)
        )
    return Texts(_frequent(counted), counted["text"], shortest, longest, characters)


def _frequent(counted: pl.DataFrame) -> Frequent:
    rows, total = pl.col(_EVERY), _rows(counted)
    lost = 0
    if counted.height > MOST:
        lost = int(counted[_EVERY].top_k(MOST + 1)[-1])
        counted = counted.filter(rows > lost).with_columns(rows - lost)
    kept = Frequent(total, dict(counted.iter_rows()), lost)
    return kept.merge(Frequent())  # so that long texts are few
