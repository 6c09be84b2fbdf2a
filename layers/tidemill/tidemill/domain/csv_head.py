"""
Judge the beginning of a CSV or TSV file: quotes, delimiter, header, equal rows.

The dialect is RFC 4180's with a comma, or with a tab and all else equal, read as strictly as the
jobs' reader (polars) needs it: a row with an odd number of quotes throws that reader out of step,
though Python's would accept it.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill.domain import column_names
from tidemill.domain.finding import Finding, amount, shown
from tidemill.spec.compiled import Data

_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_OWN: Final = {"csv": ",", "tsv": "\t"}
_ONE: Final = {",": "a comma", "\t": "a tab"}
_RUNAWAY_LINES = 20
_LONE_RETURN = re.compile(r"\r(?!\n)")
_QUOTED = re.compile(r'"[^"]*"')
_VALUE = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{4}-\d\d-\d\d.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Row:
    number: int  # the header is row 1, as in a spreadsheet
    line: int  # the first of the file's lines that it takes up, from 1
    raw: str  # as in the file, with its line end
    cells: list[str]

    @property
    def place(self) -> str:
        return f"Row {self.number}" + (f" (line {self.line})" if self.line != self.number else "")


@dataclass(frozen=True, slots=True)
class _Table:
    rows: list[_Row]  # whole rows only, without blank ones
    broken: _Row | None  # the row whose quotes do not add up; nothing after it was read


def judge(text: str, data: Data, *, whole: bool) -> Finding | None:
    """
    Judge *text*, the first characters of a CSV or TSV file without a byte order mark.

    Args:
        text: Decoded; may stop anywhere, even within a quoted cell.
        data: What the spec says of the file's format and columns.
        whole: Nothing follows *text*. Otherwise its last row is not judged.

    Returns:
        The first thing wrong in the order in which an owner would mend it, or None.
    """
    if not text.strip():
        return _without_header(text, whole=whole)
    own = _OWN[data.format]
    table = _read(text, whole=whole, delimiter=own)
    if not table.rows:
        return _quotes(table) or _without_header(text, whole=whole)
    header, *body = table.rows
    return (
        _delimiter(text, header.cells, data, whole=whole)
        or _line_ends(header, "The header row")
        or _columns(header.cells, data)
        or _ragged(header, body, own)
        or _quotes(table)
        or _rows(body, whole=whole)
    )


def _read(text: str, *, whole: bool, delimiter: str) -> _Table:
    lines = io.StringIO(text, newline="\n").readlines()
    # A lone carriage return ends no line for the jobs' reader; Python's would call it an error.
    tame = (_LONE_RETURN.sub(" ", line) for line in lines)
    reader = csv.reader(tame, delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    number = start = 0
    try:
        for number, cells in enumerate(reader, 1):
            row = _Row(number, start + 1, "".join(lines[start : reader.line_num]), cells)
            if row.raw.count('"') % 2:
                return _Table(rows, row)
            start = reader.line_num
            if cells:
                rows.append(row)
    except csv.Error:
        cut = not whole and reader.line_num == len(lines)
        if cut and not _runaway(lines[start + 1 : -1], rows, delimiter):
            return _Table(rows, None)
        return _Table(rows, _Row(number + 1, start + 1, "", []))
    if rows and not whole and not rows[-1].raw.endswith("\n"):
        rows.pop()
    return _Table(rows, None)


def _runaway(lines: list[str], rows: list[_Row], delimiter: str) -> bool:
    """Whether an open quote swallowed what look like rows, rather than opened a long cell."""
    count = len(rows[0].cells) - 1 if rows else 0
    return (
        count > 0
        and len(lines) >= _RUNAWAY_LINES
        and all(line.count(delimiter) == count for line in lines)
    )


def _without_header(text: str, *, whole: bool) -> Finding:
    if whole:
        return Finding(
            "empty",
            "The file holds only blank lines.",
            "Export the table again and upload a file with a header row and rows of data.",
        )
    return Finding(
        "header_too_long",
        f"The first {amount(len(text.encode()))} hold no whole header row.",
        "Check that the file is a table whose first row names its columns; "
        "a table with so many columns is better uploaded as Parquet.",
    )


def _delimiter(text: str, header: list[str], data: Data, *, whole: bool) -> Finding | None:
    target, own = data.target, _OWN[data.format]
    if target in header:
        return None
    for delimiter, name in _DELIMITERS.items():
        if delimiter == own:
            continue
        table = _read(text, whole=whole, delimiter=delimiter)
        widths = {len(row.cells) for row in table.rows}
        if any(target in row.cells for row in table.rows[:1]) or (
            len(header) == 1 and len(widths) == 1 and widths != {1} and table.broken is None
        ):
            return Finding(
                "wrong_delimiter",
                f"The columns are separated by {name}, not by {_DELIMITERS[own]}.",
                f"Export the table with {_DELIMITERS[own]} between the columns "
                "(and a point in decimal numbers), and upload again.",
            )
    return None


def _line_ends(row: _Row, place: str) -> Finding | None:
    if not _LONE_RETURN.search(_QUOTED.sub("", row.raw)):
        return None
    return Finding(
        "line_endings",
        f"{place} holds a carriage return without a line feed after it, "
        "so lines end neither as on Linux nor as on Windows.",
        "Save the file with LF or CRLF line ends, and upload again.",
        row=row.line,
    )


def _columns(header: list[str], data: Data) -> Finding | None:
    finding = column_names.judge(header, data)
    if finding is None or finding.rule != "target_missing":
        return finding
    if not any(_VALUE.fullmatch(cell.strip()) for cell in header):
        return finding
    return Finding(
        finding.rule,
        f"{finding.reason} The first row looks like data, so the header row may be missing.",
        finding.next_step,
        column=finding.column,
    )


def _ragged(header: _Row, body: Sequence[_Row], delimiter: str) -> Finding | None:
    width = len(header.cells)
    row = next((row for row in body if len(row.cells) != width), None)
    if row is None:
        return None
    broken = _line_ends(row, row.place)
    if broken is not None:
        return broken
    cells = "1 cell" if len(row.cells) == 1 else f"{len(row.cells)} cells"
    return Finding(
        "ragged_row",
        f"{row.place} has {cells}, the header has {width}; "
        f"the row begins with {shown(row.cells[0])}.",
        "Give every row as many cells as the header, and put quotes around a cell that holds "
        f"{_ONE[delimiter]}.",
        row=row.line,
    )


def _quotes(table: _Table) -> Finding | None:
    if table.broken is None:
        return None
    return Finding(
        "unbalanced_quote",
        f"{table.broken.place} has a quote that is not closed, or stands within a cell.",
        'Put quotes around the whole cell and double those within it ("5"" pipe"), '
        "and upload again.",
        row=table.broken.line,
    )


def _rows(body: Sequence[_Row], *, whole: bool) -> Finding | None:
    if body or not whole:
        return None
    return Finding(
        "header_only",
        "The file has a header row and no row of data.",
        "Export the table again, and upload it when it has rows.",
    )
