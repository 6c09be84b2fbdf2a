r"""
Read JSON Lines: one flat object a line, and no value that another reader would change.

A key that a line lacks is a missing cell; the columns are all keys, in the order in which they
first come. A column holds text, numbers or truth values, never two of them. Whole numbers keep
every digit (64 bits), others are the nearest double; `NaN` is missing. Blank lines are skipped.
"""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Final

import polars as pl

from tidemill_jobs.errors import ReadError
from tidemill_jobs.jsonl_columns import Column
from tidemill_jobs.values import show

CHUNK = 2 * 1_048_576  # bytes; the objects of a chunk need about twenty times its size
HEAD: Final = 65_536  # bytes in which another format shows
LINE_LIMIT: Final = 64 * 1_048_576  # bytes
WIDTH_LIMIT: Final = 2_000  # columns
SPARSE_FREE: Final = 16_000_000  # cells that any file may have
SPARSE: Final = 20  # above that, at least every 20th cell is in the file
UTF8_BOM: Final = b"\xef\xbb\xbf"
WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_BLANK: Final = " \t\r"  # JSON's own white space but the line feed
_CONSTANTS: Final = {"NaN": None, "Infinity": inf, "-Infinity": -inf}


@dataclass(slots=True)
class Lines:
    """On which line each row is; blank lines are no rows."""

    rows: int = 0
    _firsts: list[int] = field(default_factory=list)  # the first row of each chunk
    _lines: list[Sequence[int]] = field(default_factory=list)

    def add(self, lines: Sequence[int]) -> None:
        """Note the lines of a chunk's rows."""
        self._firsts.append(self.rows)
        self._lines.append(lines)
        self.rows += len(lines)

    def of(self, row: int) -> int:
        """Return the line, counted from 1, of row *row*, counted from 0."""
        chunk = bisect_right(self._firsts, row) - 1
        return self._lines[chunk][row - self._firsts[chunk]]


def read(path: Path, unread: Collection[str]) -> tuple[pl.DataFrame, Lines]:
    """
    Read the file; columns are Int64, Float64, Boolean or String, null where a value is missing.

    Args:
        path: The local file, unpacked.
        unread: Keys that are left out, whatever they hold.

    Raises:
        ReadError: Names the line, the key and the rule.
    """
    table = _Table(unread)
    for rows, numbers in objects(path):
        dense = numbers[-1] - numbers[0] + 1 == len(numbers)
        table.add(rows, range(numbers[0], numbers[-1] + 1) if dense else numbers)
    return table.frame(), table.lines


def objects(path: Path) -> Iterator[tuple[list[dict[str, Any]], list[int]]]:
    """
    Yield the objects of some lines at a time, and the lines' numbers.

    Raises:
        ReadError: Names the line and the rule.
    """
    _refuse_other_formats(path)
    for first, raw_lines in _chunks(path):
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        for number, raw in enumerate(raw_lines, first):
            row = _parse(raw, number)
            if row is not None:
                rows.append(row)
                numbers.append(number)
        if rows:
            yield rows, numbers


class _Table:
    def __init__(self, unread: Collection[str]) -> None:
        self.lines = Lines()
        self._unread = frozenset(unread)
        self._columns: dict[str, Column] = {}
        self._filled = 0

    def add(self, rows: Sequence[dict[str, Any]], lines: Sequence[int]) -> None:
        before = self.lines.rows
        self.lines.add(lines)
        for number, row in zip(lines, rows, strict=True):
            self._filled += len(row)
            if not row.keys() <= self._columns.keys():
                self._add_columns(row, number)
        for name, column in self._columns.items():
            if name not in self._unread:
                column.add([row.get(name) for row in rows], before, self.lines.of)

    def frame(self) -> pl.DataFrame:
        columns = {
            name: column.series(self.lines.rows, self.lines.of)
            for name, column in self._columns.items()
            if name not in self._unread
        }
        if self.lines.rows == 0:
            raise ReadError(
                "the file holds blank lines only", rule="empty", next_step="upload it again"
            )
        if not columns:
            raise ReadError(
                "no object has a key that is read",
                rule="header_only",
                next_step="upload it with columns",
            )
        return pl.DataFrame(columns)

    def _add_columns(self, row: dict[str, Any], line: int) -> None:
        for name in row:
            if name not in self._columns:
                check_name(name, line)
                self._columns[name] = Column(name)
        if len(self._columns) > WIDTH_LIMIT:
            raise too_many_columns(line)
        cells = self.lines.rows * len(self._columns)
        if cells > SPARSE_FREE and self._filled * SPARSE < cells:
            raise ReadError(
                f"line {line}: fewer than one in {SPARSE} cells of the {len(self._columns):,} "
                "columns so far is in the file",
                rule="sparse_columns",
                next_step="check that keys are columns' names and no values, or upload Parquet",
                row=line,
            )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return row


class _DuplicateKeyError(Exception):
    pass


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_CONSTANTS.get)


def _parse(raw: bytes, line: int) -> dict[str, Any] | None:
    """Return a line's object, None of a blank line."""
    if len(raw) > LINE_LIMIT:
        raise _too_long(line)
    try:
        text = raw.decode().strip(_BLANK)
        if not text:
            return None
        value, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError as exc:
        raise ReadError(
            f"line {line}: byte 0x{raw[exc.start]:02x} is not UTF-8",
            rule="bad_encoding",
            next_step="save the file as UTF-8",
            row=line,
        ) from exc
    except _DuplicateKeyError as exc:
        name = exc.args[0]
        raise ReadError(
            f"line {line}: the key {show(name)} is there twice",
            rule="duplicate_key",
            next_step="write each key once: which of its values is meant cannot be known",
            row=line,
            column=name,
        ) from exc
    except json.JSONDecodeError as exc:
        raise _invalid(line, f"at character {exc.pos + 1} ({exc.msg})") from exc
    except RecursionError as exc:
        raise ReadError(
            f"line {line} is nested too deep to be read",
            rule="nested_column",
            next_step="write one flat object a line",
            row=line,
        ) from exc
    except ValueError as exc:  # Python reads no whole number of more than 4,300 digits
        raise ReadError(
            f"line {line} holds a number of thousands of digits",
            rule="number_not_exact",
            next_step="write it in quotes: then it keeps its digits",
            row=line,
        ) from exc
    if type(value) is not dict:
        raise _no_object(line, text)
    if end != len(text):
        raise _invalid(line, f"after the object, at character {end + 1}")
    return value


def _invalid(line: int, what: str) -> ReadError:
    return ReadError(
        f"line {line} is no JSON object {what}",
        rule="invalid_json",
        next_step="write one whole object on each line, as `jq -c .` does",
        row=line,
    )


def _no_object(line: int, text: str) -> ReadError:
    return ReadError(
        f"line {line} holds {show(text)}, not an object",
        rule="not_an_object",
        next_step='write each line as {"column": value, …}',
        row=line,
    )


def check_name(name: str, line: int) -> None:
    """
    Refuse a key that can name no column.

    Raises:
        ReadError: It is blank or unprintable.
    """
    if name.strip() and name.isprintable():
        return
    raise ReadError(
        f"line {line}: the key {show(name)} is "
        f"{'unprintable' if name.strip() else 'blank'} and can name no column",
        rule="unprintable_header" if name.strip() else "blank_header",
        next_step="give the column a readable name",
        row=line,
    )


def too_many_columns(line: int) -> ReadError:
    """Return what is said when keys seem to be values."""
    return ReadError(
        f"line {line}: the file has more than {WIDTH_LIMIT:,} different keys",
        rule="too_many_columns",
        next_step="check that keys are columns' names and no values, or upload Parquet",
        row=line,
    )


def _refuse_other_formats(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ReadError("the file is empty", rule="empty", next_step="upload it again")
    if head.startswith(WIDE):
        raise ReadError(
            "the file is UTF-16, not JSON Lines in UTF-8",
            rule="wide_encoding",
            next_step="save it in UTF-8",
        )
    if head.removeprefix(UTF8_BOM).lstrip().startswith(b"["):
        raise ReadError(
            "the file is one JSON array, not JSON Lines",
            rule="json_array",
            next_step="write one object a line, as `jq -c '.[]'` does",
        )


def _chunks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the number of a chunk's first line and its lines, without their line feeds."""
    number, rest, length = 1, [], 0
    with path.open("rb") as file:
        if file.read(len(UTF8_BOM)) != UTF8_BOM:
            file.seek(0)
        while block := file.read(CHUNK):
            head, newline, tail = block.rpartition(b"\n")
            if not newline:
                rest.append(tail)
                length += len(tail)
                if length > LINE_LIMIT:
                    raise _too_long(number)
                continue
            lines = b"".join((*rest, head)).split(b"\n")
            yield number, lines
            number += len(lines)
            rest, length = [tail], len(tail)
    yield number, [b"".join(rest)]


def _too_long(line: int) -> ReadError:
    return ReadError(
        f"line {line} is longer than {LINE_LIMIT // 1_048_576} MiB",
        rule="line_too_long",
        next_step="write one object a line, and keep large contents in files of their own",
        row=line,
    )
