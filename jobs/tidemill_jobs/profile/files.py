"""
Profile a file: batch after batch, in memory that does not grow with it.

While the columns of a batch are looked at, each by one thread, another thread decodes the next
batch, and no more than that one. So the profile does not depend on how many threads there are.
"""

import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, get_args

import polars as pl

from tidemill_jobs import packed
from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile import json_lines, row_groups, separated
from tidemill_jobs.profile.profile import Profile
from tidemill_jobs.profile.profiler import Profiler
from tidemill_jobs.spec import Format
from tidemill_jobs.values import Kind

ROWS: Final = 262_144  # read together, as polars writes row groups; a greater group is read whole
THREADS: Final = min(4, os.cpu_count() or 1)  # that look at columns; each keeps 10 MB
_ENDINGS: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def profile_file(
    path: Path, *, form: Format | None = None, columns: Mapping[str, Kind | None] | None = None
) -> Profile:
    """
    Return the profile of a local file.

    Args:
        path: The file; a name that ends in .gz or .zst is unpacked into a temporary folder.
        form: Its format; without it, what its name ends in.
        columns: As in `Profiler`.

    Raises:
        ReadError: It cannot be read without changing what it says.
    """
    with ThreadPoolExecutor(THREADS) as pool, closing(ahead(batches(path, form))) as frames:
        profiler = Profiler(columns, pool=pool)
        for frame in frames:
            profiler.add(frame)
    return profiler.profile()


def ahead(frames: Generator[pl.DataFrame]) -> Generator[pl.DataFrame]:
    """Yield the frames; while one is used, the next one is made by a thread."""
    with closing(frames), ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, frames, None)
        while (frame := coming.result()) is not None:
            coming = reader.submit(next, frames, None)
            yield frame


def batches(path: Path, form: Format | None = None) -> Generator[pl.DataFrame]:
    """
    Yield a file's rows; a file without rows yields one frame that tells its columns.

    Raises:
        ReadError: It cannot be read without changing what it says.
    """
    name = path.name.lower()
    if not name.endswith(packed.ENDINGS):
        yield from _unpacked(path, form or format_of(name))
        return
    with tempfile.TemporaryDirectory(prefix="tidemill-profile-") as folder:
        beside = Path(folder) / path.name
        beside.symlink_to(path.absolute())
        inner = name.removesuffix(".gz").removesuffix(".zst")
        yield from _unpacked(packed.unpack(beside, name), form or format_of(inner))


def format_of(name: str) -> Format:
    """
    Return the format that a file's name ends in.

    Raises:
        ReadError: It ends in none.
    """
    for ending, form in _ENDINGS.items():
        if name.endswith(ending):
            return form
    raise ReadError(
        f"the name '{name}' does not tell the format",
        rule="unknown_format",
        next_step=f"say which with --format: {', '.join(get_args(Format))}",
    )


def _unpacked(path: Path, form: Format) -> Iterator[pl.DataFrame]:
    if form == "parquet":
        return _parquet(path)
    if form == "jsonl":
        return json_lines.read(path)
    return separated.read(path, form)


def _parquet(path: Path) -> Iterator[pl.DataFrame]:
    try:
        rows = pl.scan_parquet(
            path, glob=False, hive_partitioning=False, low_memory=True, cache=False
        )
        yield pl.DataFrame(schema=rows.collect_schema())
        for start, length in _portions(path):
            # Portion by portion: `collect_batches` decodes ahead for as long as it is let.
            yield rows.slice(start, length).collect()
    except (pl.exceptions.PolarsError, OSError) as exc:
        why = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise _damaged(f"is no readable Parquet ({why})") from exc
    except BaseException as exc:
        # A damaged file can make polars panic, and its PanicException is no Exception.
        if type(exc).__name__ != "PanicException":
            raise
        raise _damaged("is damaged Parquet") from exc


def _portions(path: Path) -> Iterator[tuple[int, int | None]]:
    """Yield first row and number of rows of what is read together: whole row groups."""
    groups = row_groups.rows_of_groups(path)
    if groups is None:
        yield 0, None
        return
    start, length = 0, 0
    for rows in groups:
        if length and length + rows > ROWS:
            yield start, length
            start, length = start + length, 0
        length += rows
    if length:
        yield start, length


def _damaged(what: str) -> ReadError:
    return ReadError(
        f"the file {what}", rule="damaged_parquet", next_step="write and upload it again"
    )
