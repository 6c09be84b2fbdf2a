"""
Stream a CSV or TSV file: blocks of whole rows, parsed once, with the types that cells allow.

Columns whose first rows are all numbers (booleans) are read as such, the others as texts. The
compiled reader takes nearly every block: it reads plain cells and refuses what it would change.
Then polars parses, which takes twice as long, and what it refuses or would change (`007`, digits
that a double does not hold) is read as text from there on.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import csv_structure
from tidemill_jobs.csv_structure import SEPARATOR, Separated
from tidemill_jobs.errors import ReadError
from tidemill_jobs.kernel.separated import BEHIND, Kind, Rows, read_rows
from tidemill_jobs.profile.block import scan
from tidemill_jobs.values import BLANK, EXACT

BLOCK: Final = 16 * 1_048_576  # bytes; memory is about five times as much
ROWS: Final = 262_144  # read at once
SAMPLE: Final = 65_536  # bytes from which types are learned
LONG_ROW: Final = 1_048_576
SPARE: Final = 1.1  # room for rows beside what is expected
FEW: Final = 64
ROW_LIMIT: Final = 64 * 1_048_576
RETRIES: Final = 4
_AT_COLUMN: Final = re.compile(r"\(column number (\d+)\)")
_CODE: Final = rf"^[{BLANK}]*0[0-9]"
#: Others are read as text.
_KINDS: Final[Mapping[type[pl.DataType], Kind]] = {
    pl.String: "text",
    pl.Int64: "whole",
    pl.Float64: "float",
    pl.Boolean: "flag",
}


def read(path: Path, form: Separated) -> Iterator[pl.DataFrame]:
    """
    Yield the rows in batches; the first has none, and tells the columns.

    Raises:
        ReadError: Names the line and the rule that it breaks.
    """
    names, start = csv_structure.header(path, form)
    yield pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    parser = _Parser(path, form, names)
    with path.open("rb") as file:
        file.seek(start)
        file.readline()
        for block in _blocks(path, file, form):
            yield from parser.parse(block)


@dataclass(slots=True)
class _Block:
    """Bytes of a file that begin with a row; `start` is where the first begins that is not read."""

    content: NDArray[np.uint8]  # and `BEHIND` bytes that are none of the file
    start: int = 0

    @property
    def end(self) -> int:
        return len(self.content) - BEHIND

    def rest(self, end: int | None = None) -> bytes:
        return self.content[self.start : self.end if end is None else end].tobytes()


class _Parser:
    def __init__(self, path: Path, form: Separated, names: tuple[str, ...]) -> None:
        self._path = path
        self._form: Separated = form
        self._types: dict[str, pl.DataType] = dict.fromkeys(names, pl.String())
        self._open = set(names)  # of these no cell has been seen
        self._separator = ord(SEPARATOR[form])
        self._row = 1.0  # bytes, about
        # A header of our own: without one, polars counts the cells of a first row wrongly when a
        # line feed stands inside its quotes.
        self._header = f"{SEPARATOR[form].join(map(str, range(len(names))))}\n".encode()

    def parse(self, block: _Block) -> Iterator[pl.DataFrame]:
        """Yield the whole rows of a block."""
        self._learn(block)
        while (read := self._plain(block)) and read.rows:
            self._row = (read.end - block.start) / read.rows
            block.start = read.end
            yield pl.Series(read.table).struct.unnest()
        if read is None:
            rest = block.rest()
            end = _last_row(rest)
            if end:
                block.start += end
                yield self._careful(self._header + rest[:end])

    def _plain(self, block: _Block) -> Rows | None:
        expected = (block.end - block.start) / self._row
        return read_rows(
            block.content,
            block.start,
            block.end,
            separator=SEPARATOR[self._form],
            columns={name: _KINDS[type(kind)] for name, kind in self._types.items()},
            room=min(ROWS, int(expected * SPARE) + FEW),
        )

    def _careful(self, block: bytes) -> pl.DataFrame:
        """Return the rows of a block, our header and then whole rows, whatever their cells are."""
        frame = self._typed(block)
        found = scan(block, self._separator)
        width = len(self._types)
        whole = found.separators == found.rows * (width - 1)
        if not whole or (width == 1 and _has_blank_line(block)):
            csv_structure.inspect(self._path, self._form)
        if found.codes and self._lost_codes(frame, block, found.codes):
            frame = self._typed(block)
        rows = found.rows - 1  # the header is none
        if whole and frame.height != rows:
            csv_structure.inspect(self._path, self._form)
            raise _unparsable(f"{frame.height:,} rows were read where {rows:,} are")
        return frame

    def _learn(self, block: _Block) -> None:
        if not self._open:
            return
        head = block.rest(min(block.end, block.start + SAMPLE + LONG_ROW))
        line = head.find(b"\n", SAMPLE) + 1
        end = (_last_row(head[:line]) if line else 0) or _last_row(head)
        if not end:
            head = block.rest()
            end = _last_row(head)
        sample = self._untyped(self._header + head[:end])
        self._row = max(self._row, end / max(1, sample.height))
        for name in list(self._open):
            column = sample[name]
            if column.null_count() < len(column):
                self._open.discard(name)
                if type(column.dtype) in _KINDS:
                    self._types[name] = column.dtype

    def _lost_codes(self, frame: pl.DataFrame, block: bytes, codes: int) -> bool:
        """Read columns as text in which `007` became 7; return whether there are some."""
        texts = [column for column in frame.get_columns() if column.dtype == pl.String]
        if sum(int(column.str.contains(_CODE).sum()) for column in texts) == codes:
            return False
        lost = [
            column.name
            for column in self._texts(block).get_columns()
            if self._types[column.name].is_numeric() and column.str.contains(_CODE).any()
        ]
        self._types.update(dict.fromkeys(lost, pl.String()))
        return bool(lost)

    def _typed(self, block: bytes) -> pl.DataFrame:
        for _ in range(RETRIES):
            try:
                frame = self._read(block, self._types)
            except pl.exceptions.ComputeError as exc:
                column = _AT_COLUMN.search(str(exc))
                name = list(self._types)[int(column[1]) - 1] if column else None
                if name is None or self._types[name] == pl.String:
                    raise self._refused(exc) from exc
                self._types[name] = pl.String()
                continue
            inexact = _inexact(frame)
            if not inexact:
                return frame
            self._types.update(dict.fromkeys(inexact, pl.String()))
        # Many columns hold something else: which ones is seen in one look.
        texts = self._texts(block)
        for name, kind in self._types.items():
            if kind != pl.String:
                lost = texts[name].cast(kind, strict=False).null_count() - texts[name].null_count()
                if lost or kind == pl.Boolean:
                    self._types[name] = pl.String()
        return texts

    def _texts(self, block: bytes) -> pl.DataFrame:
        return self._untyped(block, dict.fromkeys(self._types, pl.String()))

    def _untyped(self, block: bytes, types: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
        try:
            return self._read(block, types)
        except pl.exceptions.ComputeError as exc:
            raise self._refused(exc) from exc

    def _read(self, block: bytes, types: dict[str, pl.DataType] | None) -> pl.DataFrame:
        kinds = (types or {}).values()
        frame = pl.read_csv(
            block,
            separator=SEPARATOR[self._form],
            schema={str(number): kind for number, kind in enumerate(kinds)} if types else None,
            infer_schema_length=None,
        )
        frame.columns = list(self._types)
        return frame

    def _refused(self, exc: Exception) -> ReadError:
        csv_structure.inspect(self._path, self._form)  # says on which line
        return _unparsable(str(exc).strip().splitlines()[0])


def _blocks(path: Path, file: BufferedReader, form: Separated) -> Iterator[_Block]:
    """Yield what follows, each block with what was not read of the one before."""
    rest = b""
    while True:
        block = _Block(np.empty(len(rest) + BLOCK + BEHIND, np.uint8))
        block.content[: len(rest)] = np.frombuffer(rest, np.uint8)
        more = file.readinto(block.content[len(rest) : -BEHIND].data)
        if not more:
            break
        block.content = block.content[: len(rest) + more + BEHIND]
        yield block
        rest = block.rest()
        if len(rest) > ROW_LIMIT:
            csv_structure.inspect(path, form)
            raise ReadError(
                f"a row is longer than {ROW_LIMIT // 1_048_576} MiB",
                rule="line_too_long",
                next_step="keep large contents in files of their own",
            )
    rest = rest.rstrip(b"\r\n")
    if rest.count(b'"') % 2:
        csv_structure.inspect(path, form)
    if rest:
        yield _Block(np.frombuffer(rest + b"\n" + bytes(BEHIND), np.uint8))


def _last_row(block: bytes) -> int:
    """Return where the last whole row ends, 0 where none does."""
    total = block.count(b'"')
    end, after = len(block), 0
    while (at := block.rfind(b"\n", 0, end)) >= 0:
        after += block.count(b'"', at, end)
        if (total - after) % 2 == 0:
            return at + 1
        end = at
    return 0


def _has_blank_line(block: bytes) -> bool:
    return b"\n\n" in block or b"\n\r\n" in block or block[:1] in (b"\n", b"\r")


def _inexact(frame: pl.DataFrame) -> list[str]:
    """Return the columns of doubles that a text would have told more of: NaN, or 2^53 + 1."""
    floats = frame.select(pl.col(pl.Float64))
    if not floats.width:
        return []
    found = floats.select((pl.all().is_nan() | (pl.all().abs() >= EXACT)).any())
    return [name for name in found.columns if found[name][0]]


def _unparsable(why: str) -> ReadError:
    return ReadError(
        f"the file cannot be parsed ({why})", rule="unparsable", next_step="save it again"
    )
