"""
Stream a CSV or TSV file: blocks of whole rows, parsed once, with the types that cells allow.

Reading everything as text and looking at each cell costs three times as much as parsing numbers
at once, so columns whose first rows are all numbers (booleans) are parsed as such. That is never
a guess about the others: what the parser refuses, or would change (`007`, digits that a double
does not hold), is read again as text.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from tidemill_jobs import csv_structure
from tidemill_jobs.csv_structure import NEWLINE, QUOTE, SEPARATOR, Separated
from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile.block import how_many, may_hold_codes, scan
from tidemill_jobs.values import BLANK

BLOCK: Final = 16 * 1_048_576  # bytes; memory is about five times as much
SAMPLE: Final = 65_536  # bytes from which types are learned
ROW_LIMIT: Final = 64 * 1_048_576
EXACT: Final = 2**53  # a double holds every whole number up to here
RETRIES: Final = 4
_AT_COLUMN: Final = re.compile(r"\(column number (\d+)\)")
_CODE: Final = rf"^[{BLANK}]*0[0-9]"
_TYPES: Final = (pl.Int64, pl.Float64, pl.Boolean)  # others are read as text


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
        for block in _blocks(path, file, form, parser.header):
            yield parser.parse(block)


class _Parser:
    def __init__(self, path: Path, form: Separated, names: tuple[str, ...]) -> None:
        self._path = path
        self._form: Separated = form
        self._types: dict[str, pl.DataType] = dict.fromkeys(names, pl.String())
        self._open = set(names)  # of these no cell has been seen
        self._separator = ord(SEPARATOR[form])
        # A header of our own: without one, polars counts the cells of a first row wrongly when a
        # line feed stands inside its quotes.
        self.header = f"{SEPARATOR[form].join(map(str, range(len(names))))}\n".encode()

    def parse(self, block: bytes) -> pl.DataFrame:
        """Return the rows of a block: our header, and then whole rows."""
        self._learn(block)
        frame = self._typed(block)
        if self._is_whole(frame, block) and not may_hold_codes(block):
            return frame
        return self._inspected(frame, block)

    def _is_whole(self, frame: pl.DataFrame, block: bytes) -> bool:
        """
        Return True where every line is a row with all its cells; False tells nothing.

        A row that is too long is refused, and one that is too short lacks its last cell.
        """
        lines = how_many(block, NEWLINE) - block.endswith(b"\n")
        return frame.height == lines and not frame.to_series(-1).null_count()

    def _inspected(self, frame: pl.DataFrame, block: bytes) -> pl.DataFrame:
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

    def _learn(self, block: bytes) -> None:
        if not self._open:
            return
        end = block.find(b"\n", SAMPLE)
        head = block if end < 0 else block[: _last_row(block[: end + 1]) or len(block)]
        sample = self._untyped(head)
        for name in list(self._open):
            column = sample[name]
            if column.null_count() < len(column):
                self._open.discard(name)
                if column.dtype in _TYPES:
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


def _blocks(path: Path, file: BinaryIO, form: Separated, header: bytes) -> Iterator[bytes]:
    """Yield whole rows under a header; a line feed inside quotes ends none."""
    rest = b""
    while more := file.read(BLOCK):
        end = _last_row(more, rest.count(b'"'))
        if end:
            yield b"".join((header, rest, memoryview(more)[:end]))
            rest = more[end:]
        else:
            rest += more
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
        yield header + rest


def _last_row(block: bytes, before: int = 0) -> int:
    """Return where the last whole row ends; *before* the block are so many quotes. 0: nowhere."""
    total = before + how_many(block, QUOTE)
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
