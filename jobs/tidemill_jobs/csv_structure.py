r"""
The shape of a CSV or TSV file, checked before a parser may be lenient about it.

polars fills a short row with nulls and says nothing, so separators, quotes and line ends are
counted here first: RFC 4180 with commas (TSV: with tabs, all else equal), double quotes, \n or
\r\n, UTF-8, one header line.
A chunk costs a few passes of numpy; memory does not grow with the file.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.errors import ReadError
from tidemill_jobs.values import NUMBER, show

CHUNK = 4 * 1_048_576  # bytes; a chunk needs about ten times its size
HEADER_LIMIT = 1_048_576  # bytes
QUOTE, NEWLINE, RETURN = 34, 10, 13
Separated = Literal["csv", "tsv"]
UTF8_BOM = b"\xef\xbb\xbf"
OTHER_FORMATS = {
    b"\xff\xfe": ("UTF-16", "wide_encoding"),
    b"\xfe\xff": ("UTF-16", "wide_encoding"),
    b"PK\x03\x04": ("a zip archive", "not_a_table"),
    b"\x1f\x8b": ("gzip without the ending .gz", "gzip_without_suffix"),
    b"\x28\xb5\x2f\xfd": ("Zstandard without the ending .zst", "zstd_without_suffix"),
    b"PAR1": ("Parquet", "format_mismatch"),
}
SEPARATOR: dict[Separated, str] = {"csv": ",", "tsv": "\t"}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]

_NOWHERE: Positions = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Structure:
    """A file whose every row has as many cells as the header."""

    form: Separated
    columns: tuple[str, ...]
    rows: int
    start: int  # byte offset of the header: 3 after a UTF-8 byte order mark
    end: int  # byte offset after the last row; line breaks at the end are left out


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The separators of one chunk, as offsets in the file; those inside quotes are left out."""

    offset: int
    end: int
    separators: Positions
    newlines: Positions
    quotes: Positions
    inside: bool  # the chunk begins inside quotes

    def opened(self, last: int) -> int:
        """Return the offset of the latest quote, *last* when the chunk has none."""
        return int(self.quotes[-1]) if len(self.quotes) else last

    @property
    def ends_inside(self) -> bool:
        return bool((len(self.quotes) + self.inside) % 2)


def inspect(path: Path, form: Separated) -> Structure:
    """
    Check the whole file and return its shape.

    Raises:
        ReadError: Names the line and the rule that it breaks.
    """
    data, start, end = _open(path, form)
    columns = _header(data[start : min(end, start + HEADER_LIMIT)].tobytes(), form)
    decoder = codecs.getincrementaldecoder("utf-8")()
    widths = _Widths(data, len(columns), start, form)
    opened, inside = start, False
    for chunk in _chunks(data, start, end, form):
        _check_text(data, chunk, decoder, final=chunk.end == end)
        _check_quotes(data, chunk, start, end, form)
        widths.check(chunk.separators, chunk.newlines)
        opened, inside = chunk.opened(opened), chunk.ends_inside
    if inside:
        line = _line(data, opened)
        raise ReadError(
            f"line {line}: a quote is opened and never closed",
            rule="unbalanced_quote",
            next_step="close it, or double a quote that belongs to the text",
            row=line,
        )
    widths.check(_NOWHERE, np.array([end]))
    return Structure(form, columns, widths.rows - 1, start, end)


def header(path: Path, form: Separated) -> tuple[tuple[str, ...], int]:
    """
    Return the columns' names and the byte offset of the line that they stand on.

    Raises:
        ReadError: The file is empty or of another format, or its first line is no header.
    """
    data, start, end = _open(path, form)
    return _header(data[start : min(end, start + HEADER_LIMIT)].tobytes(), form), start


def lines(path: Path, structure: Structure) -> Positions:
    """Return the line, counted from 1, on which each data row begins."""
    data: Bytes = np.memmap(path, np.uint8, mode="r")
    found, passed = [], 1  # lines that have begun before the chunk
    for chunk in _chunks(data, structure.start, structure.end, structure.form):
        breaks = np.flatnonzero(data[chunk.offset : chunk.end] == NEWLINE) + chunk.offset
        found.append(np.searchsorted(breaks, chunk.newlines) + passed + 1)
        passed += len(breaks)
    return np.concatenate(found)


def _open(path: Path, form: Separated) -> tuple[Bytes, int, int]:
    """Return the file's bytes, and where its rows begin and end."""
    if path.stat().st_size == 0:
        raise ReadError("the file is empty", rule="empty", next_step="upload it again")
    data: Bytes = np.memmap(path, np.uint8, mode="r")
    start = _refuse_other_formats(data, form)
    return data, start, _end_of_rows(data, start)


def _chunks(data: Bytes, start: int, end: int, form: Separated) -> Iterator[_Chunk]:
    separator, inside = ord(SEPARATOR[form]), False
    for offset in range(start, end, CHUNK):
        part = data[offset : min(offset + CHUNK, end)]
        quotes = np.flatnonzero(part == QUOTE)
        separators = np.flatnonzero(part == separator)
        newlines = np.flatnonzero(part == NEWLINE)
        if len(quotes) or inside:  # outside means: after an even number of quotes
            separators = separators[(np.searchsorted(quotes, separators) + inside) % 2 == 0]
            newlines = newlines[(np.searchsorted(quotes, newlines) + inside) % 2 == 0]
        chunk = _Chunk(
            offset=offset,
            end=offset + len(part),
            separators=separators + offset,
            newlines=newlines + offset,
            quotes=quotes + offset,
            inside=inside,
        )
        yield chunk
        inside = chunk.ends_inside


class _Widths:
    """Counts the cells of every row, across chunks."""

    def __init__(self, data: Bytes, width: int, start: int, form: Separated) -> None:
        self.rows = 0
        self._data = data
        self._width = width
        self._start = start  # of the row that the last chunk's end cut
        self._separators = 0  # of that row, so far
        self._name = "comma" if form == "csv" else "tab"

    def check(self, separators: Positions, newlines: Positions) -> None:
        """
        Compare the rows that end in this chunk with the header.

        Raises:
            ReadError: A row is longer or shorter.
        """
        before = np.searchsorted(separators, newlines)  # of the chunk, before each row's end
        cells = np.diff(before, prepend=0) + 1
        if len(newlines):
            cells[0] += self._separators
        wrong = np.flatnonzero(cells != self._width)
        if len(wrong):
            first = int(wrong[0])
            at = int(newlines[first - 1]) + 1 if first else self._start
            if self._data[at] in (NEWLINE, RETURN):
                raise self._blank(at)
            count = "1 cell" if cells[first] == 1 else f"{cells[first]} cells"
            line = _line(self._data, at)
            raise ReadError(
                f"line {line} has {count} where the header has {self._width}",
                rule="ragged_row",
                next_step=f"correct the line: a {self._name} inside a text needs double quotes "
                "around it",
                row=line,
            )
        if len(newlines):
            self.rows += len(newlines)
            self._start = int(newlines[-1]) + 1
            self._separators = len(separators) - int(before[-1])
        else:
            self._separators += len(separators)

    def _blank(self, at: int) -> ReadError:
        line = _line(self._data, at)
        return ReadError(
            f"line {line} is blank, and rows follow it",
            rule="blank_line",
            next_step="remove the blank lines",
            row=line,
        )


def _refuse_other_formats(data: Bytes, form: Separated) -> int:
    head = data[:4].tobytes()
    for magic, (name, rule) in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise ReadError(
                f"the file is {name}, not {form.upper()} text",
                rule=rule,
                next_step=f"save it as {form.upper()} in UTF-8",
            )
    return len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0


def _end_of_rows(data: Bytes, start: int) -> int:
    end = len(data)
    while end > start and data[end - 1] in (NEWLINE, RETURN):
        end -= 1
    if end == start:
        raise ReadError(
            "the file holds blank lines only", rule="empty", next_step="upload it again"
        )
    return end


def _header(head: bytes, form: Separated) -> tuple[str, ...]:
    text = io.StringIO(head.decode(errors="replace"), newline="")
    try:
        columns = tuple(next(csv.reader(text, delimiter=SEPARATOR[form], strict=True)))
    except csv.Error as exc:
        raise ReadError(
            f"line 1 is no header ({exc})",
            rule="unbalanced_quote",
            next_step="write the columns' names there",
            row=1,
        ) from exc
    if len(columns) <= 1:
        for separator, name in SEPARATORS.items():
            if separator != SEPARATOR[form] and separator in "".join(columns):
                raise ReadError(
                    f"the columns are separated by {name}",
                    rule="wrong_delimiter",
                    next_step=f"separate them by {SEPARATORS[SEPARATOR[form]]}",
                    row=1,
                )
    seen: set[str] = set()
    for number, column in enumerate(columns, start=1):
        _check_name(column, number)
        if column in seen:
            raise ReadError(
                f"line 1: two columns are called {show(column)}",
                rule="duplicate_header",
                next_step="rename one",
                row=1,
                column=column,
            )
        seen.add(column)
    return columns


def _check_name(column: str, number: int) -> None:
    if not column.strip():
        raise ReadError(
            f"line 1: column {number} has no name",
            rule="blank_header",
            next_step="name every column",
            row=1,
        )
    if not column.isprintable():
        raise ReadError(
            f"line 1: the name of column {number} has a line break or an unprintable character",
            rule="unprintable_header",
            next_step="remove it",
            row=1,
        )
    if re.fullmatch(NUMBER, column.strip()):
        raise ReadError(
            f"line 1: column {number} is called '{column}', so the header seems to be missing",
            rule="header_missing",
            next_step="write the columns' names on the first line",
            row=1,
        )


def _check_text(
    data: Bytes, chunk: _Chunk, decoder: codecs.IncrementalDecoder, *, final: bool
) -> None:
    part = data[chunk.offset : chunk.end]
    raw = part.tobytes()
    try:
        decoder.decode(raw, final=final)
    except UnicodeDecodeError as exc:
        at = chunk.end - len(exc.object) + exc.start  # the decoder may hold bytes of the last chunk
        line = _line(data, at)
        raise ReadError(
            f"line {line}: byte 0x{data[at]:02x} is not UTF-8",
            rule="bad_encoding",
            next_step="save the file as UTF-8",
            row=line,
        ) from exc
    at = raw.find(b"\x00")
    if at >= 0:
        line = _line(data, chunk.offset + at)
        raise ReadError(
            f"line {line}: a NUL byte, so the file is damaged or no text",
            rule="nul_bytes",
            next_step="write and upload it again",
            row=line,
        )
    if b"\r" in raw:
        returns = np.flatnonzero(part == RETURN) + chunk.offset
        after = data[np.minimum(returns + 1, len(data) - 1)]
        lone = returns[(after != NEWLINE) & (returns + 1 < len(data))]
        if len(lone):
            line = _line(data, int(lone[0]))
            raise ReadError(
                f"line {line}: a carriage return without a line feed",
                rule="line_endings",
                next_step="save the file with the line ends of Unix or Windows",
                row=line,
            )


def _check_quotes(data: Bytes, chunk: _Chunk, start: int, end: int, form: Separated) -> None:
    """An opening quote follows a separator, a closing one precedes it; a doubled one is text."""
    separator = ord(SEPARATOR[form])
    opening = chunk.quotes[int(chunk.inside) :: 2]
    closing = chunk.quotes[1 - int(chunk.inside) :: 2]
    before = data[np.maximum(opening - 1, 0)]
    stray = ~np.isin(before, (separator, NEWLINE, QUOTE)) & (opening != start)
    after = data[np.minimum(closing + 1, len(data) - 1)]
    unfinished = ~np.isin(after, (separator, NEWLINE, RETURN, QUOTE)) & (closing + 1 < end)
    wrong = np.concatenate((opening[stray], closing[unfinished]))
    if len(wrong):
        line = _line(data, int(wrong.min()))
        raise ReadError(
            f"line {line}: a quote in the middle of a cell",
            rule="unbalanced_quote",
            next_step="put quotes around the whole cell and double those inside",
            row=line,
        )


def _line(data: Bytes, at: int) -> int:
    """Return the line, counted from 1, of a byte offset."""
    return 1 + sum(
        int(np.count_nonzero(data[offset : min(offset + CHUNK, at)] == NEWLINE))
        for offset in range(0, at, CHUNK)
    )
