"""
Read one file strictly: what comes out is what the file says, or a ReadError says why not.

CSV and TSV cells stay text, Parquet and JSON Lines keep their types; what a column means is decided
over the whole dataset (`schema.py`). The one rule applied here: the empty text, `null` and NaN are
missing and become null, so that all formats and requests agree.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl

from tidemill_jobs import csv_structure, jsonl, packed
from tidemill_jobs.errors import ReadError
from tidemill_jobs.spec import Format
from tidemill_jobs.values import BLANK, MISSING

_TEXTUAL = (pl.Categorical, pl.Enum)
_TIMES = (pl.Date, pl.Datetime)


@dataclass(frozen=True, slots=True)
class RawFile:
    """
    One file's rows.

    `frame` holds String columns (CSV, TSV), or integers, Float64, Boolean, String and (Parquet
    only) Datetime[μs] in UTC; null wherever the value is missing. `place` tells where row n (from
    0) is.
    """

    frame: pl.DataFrame
    place: Callable[[int], str]
    typed: bool  # the format itself says what is text
    times_as_text: bool = False  # but it has no type for times


def read(path: Path, name: str, form: Format, unread: Collection[str] = ()) -> RawFile:
    """
    Read a file.

    Args:
        path: The local file; one whose name ends in .gz or .zst is unpacked beside it.
        name: The object's name, for its ending.
        form: What the spec says the files are.
        unread: Columns that may be of any type: nobody will read them.

    Raises:
        ReadError: Names the line or row, the rule it breaks, and what to do.
    """
    path = packed.unpack(path, name)
    if form == "parquet":
        return _read_parquet(path, unread)
    if form == "jsonl":
        return _read_jsonl(path, unread)
    return _read_separated(path, form)


def _read_separated(path: Path, form: Literal["csv", "tsv"]) -> RawFile:
    structure = csv_structure.inspect(path, form)
    if structure.rows == 0:
        raise ReadError(
            "the file has a header and no rows", rule="header_only", next_step="upload it with rows"
        )
    with path.open("rb") as file:
        file.seek(structure.start)
        content = file.read(structure.end - structure.start)
    try:
        frame = pl.read_csv(
            content,
            separator=csv_structure.SEPARATOR[form],
            quote_char='"',
            has_header=True,
            infer_schema=False,
        )
    except pl.exceptions.PolarsError as exc:
        raise ReadError(
            f"the file cannot be parsed ({_first_line(exc)})",
            rule="unparsable",
            next_step="save it again",
        ) from exc
    if frame.height != structure.rows or tuple(frame.columns) != structure.columns:
        raise ReadError(
            f"two readers disagree on the file ({frame.height:,} and {structure.rows:,} rows)",
            rule="readers_disagree",
            next_step="save it again with a spreadsheet or database tool",
        )

    lines = cache(lambda: csv_structure.lines(path, structure))  # few files are asked

    def place(row: int) -> str:
        return f"line {lines()[row]}"

    return RawFile(frame.with_columns(_without_missing_text(pl.all())), place, typed=False)


def _read_jsonl(path: Path, unread: Collection[str]) -> RawFile:
    frame, lines = jsonl.read(path, unread)
    return RawFile(frame, lambda row: f"line {lines.of(row)}", typed=True, times_as_text=True)


def _read_parquet(path: Path, unread: Collection[str]) -> RawFile:
    try:
        frame = pl.read_parquet(path, use_statistics=False, hive_partitioning=False, glob=False)
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise ReadError(
            f"the file is no readable Parquet ({_first_line(exc)})",
            rule="damaged_parquet",
            next_step="write and upload it again",
        ) from exc
    except BaseException as exc:
        # A damaged file can make polars panic, and its PanicException is no Exception.
        if type(exc).__name__ != "PanicException":
            raise
        raise ReadError(
            "the Parquet file is damaged",
            rule="damaged_parquet",
            next_step="write and upload it again",
        ) from exc
    frame = frame.drop([name for name in unread if name in frame.columns])
    if frame.height == 0:
        raise ReadError("the file has no rows", rule="header_only", next_step="upload it with rows")
    columns = [_plain_column(name, dtype) for name, dtype in frame.schema.items()]
    return RawFile(frame.select(columns), lambda row: f"row {row + 1}", typed=True)


def _plain_column(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String or isinstance(dtype, _TEXTUAL):
        return _without_missing_text(column.cast(pl.String))
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, _TIMES):
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.cast(pl.Datetime("us"))
    if dtype.is_integer() or dtype == pl.Boolean:
        return column
    if dtype == pl.Null:
        return column.cast(pl.String)
    raise ReadError(
        f"column '{name}' holds {dtype} values, which no model input can be",
        rule="nested_column",
        next_step="list it under data.exclude or write it as text",
        column=name,
    )


def _without_missing_text(column: pl.Expr) -> pl.Expr:
    return pl.when(~column.str.strip_chars(BLANK).is_in(MISSING)).then(column)


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
