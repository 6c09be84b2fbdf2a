"""
Read one file strictly: what comes out is what the file says, or a ReadError says why not.

CSV cells stay text and Parquet columns keep their type; what a column means is decided over the
whole dataset (`schema.py`). The one rule applied here: the empty text, `null` and NaN are missing
and become null, so that CSV, Parquet and requests agree.
"""

import gzip
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from tidemill_jobs import csv_structure
from tidemill_jobs.errors import ReadError
from tidemill_jobs.spec import Format
from tidemill_jobs.values import BLANK, MISSING

CHUNK = 1_048_576
GZIP_RATIO = 200  # text packs 3 to 30 times; a gigabyte of zeros 1,000 times
GZIP_FREE = 64 * 1_048_576  # bytes that any small file may unpack to

_TEXTUAL = (pl.Categorical, pl.Enum)
_TIMES = (pl.Date, pl.Datetime)


@dataclass(frozen=True, slots=True)
class RawFile:
    """
    One file's rows.

    `frame` holds String columns (CSV), or integers, Float64, Boolean, String and Datetime[μs] in
    UTC (Parquet); null wherever the value is missing. `place` tells where row n (from 0) is.
    """

    frame: pl.DataFrame
    place: Callable[[int], str]
    typed: bool  # the format itself says what is text


def read(path: Path, name: str, form: Format, unread: Collection[str] = ()) -> RawFile:
    """
    Read a file.

    Args:
        path: The local file; a name that ends in .gz is unpacked beside it.
        name: The object's name, for its ending.
        form: What the spec says the files are.
        unread: Columns that may be of any type: nobody will read them.

    Raises:
        ReadError: Names the line or row, the rule it breaks, and what to do.
    """
    if name.endswith(".gz"):
        path = _unpack(path)
    return _read_csv(path) if form == "csv" else _read_parquet(path, unread)


def _unpack(path: Path) -> Path:
    target = path.with_name(f"{path.name}.unpacked")
    limit = max(GZIP_FREE, path.stat().st_size * GZIP_RATIO)
    size = 0
    try:
        with gzip.open(path, "rb") as packed, target.open("wb") as file:
            while chunk := packed.read(CHUNK):
                size += file.write(chunk)
                if size > limit:
                    raise ReadError(
                        f"the file unpacks to more than {GZIP_RATIO} times its size, which "
                        "tables do not",
                        rule="unpack_ratio",
                        next_step="upload it unpacked if it is meant to be so",
                    )
    except EOFError as exc:
        raise ReadError(
            "the gzip file ends too early", rule="corrupt_gzip", next_step="upload it again"
        ) from exc
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise ReadError(
            f"the gzip file is damaged ({exc})",
            rule="corrupt_gzip",
            next_step="pack and upload it again",
        ) from exc
    return target


def _read_csv(path: Path) -> RawFile:
    structure = csv_structure.inspect(path)
    if structure.rows == 0:
        raise ReadError(
            "the file has a header and no rows", rule="header_only", next_step="upload it with rows"
        )
    with path.open("rb") as file:
        file.seek(structure.start)
        content = file.read(structure.end - structure.start)
    try:
        frame = pl.read_csv(
            content, separator=",", quote_char='"', has_header=True, infer_schema=False
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
