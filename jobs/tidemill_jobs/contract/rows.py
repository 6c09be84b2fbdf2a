"""
Which rows of a failing file are bad: a second look at it, with DuckDB, for its owner.

The verdict stands before this begins; nothing here changes it. DuckDB is asked because it keeps
what it rejects, but it is never trusted to parse: it accepts a quote in the middle of a cell and
NUL bytes, counts records where people count lines, and would guess delimiters and types if it
were let. So everything is fixed (delimiter, quote, header, encoding, all cells text), what it
finds is held against the facts, and each cell it names is tried again by our own grammar. Where
the two disagree, the facts' first place is what is reported.

JSON Lines need no second parser: the standard library reads a line at a time.
"""

import csv
import io
import itertools
import json
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidemill_jobs import packed
from tidemill_jobs.contract import duck
from tidemill_jobs.contract.cells import RULES, Test
from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts, cut
from tidemill_jobs.contract.findings import Finding
from tidemill_jobs.contract.judge import Judgement
from tidemill_jobs.errors import JobError

VERSION = 1
ROWS = 1_000  # reported; all are counted
RAW = 300  # characters of a row as it stands in the file
LINES = ("ragged_row", "bad_encoding")  # what DuckDB names line by line as our reader does
LINE = 65_536  # bytes of a line that are looked at


@dataclass(frozen=True, slots=True)
class BadRow:
    """One cell, or one line, that is not as it must be; `row` is in the report's unit, from 1."""

    row: int
    rule: str
    column: str | None
    value: str | None
    raw: str  # the row as it stands in the file, shortened
    at: tuple[int, int] | None = None  # where the cell is in `raw`: first character, and after


@dataclass(frozen=True, slots=True)
class RowReport:
    """
    The bad cells of a file: the first 1,000, and how many of each rule there are.

    `complete` is False where the rest of the file could not be looked at; `note` says why.
    """

    unit: str
    bad_rows: int
    rules: Mapping[str, int]
    rows: tuple[BadRow, ...]
    complete: bool
    note: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return {"version": VERSION, **asdict(self)}


def find_rows(
    path: Path, facts: Facts, judgement: Judgement, contract: Contract | None, work: Path
) -> RowReport:
    """
    Look at a file again and return its bad rows.

    Args:
        path: The object version's bytes.
        facts: What the check saw.
        judgement: What it was judged; its findings say which columns to look at.
        contract: What it was judged by; None where there was none yet.
        work: A folder for what DuckDB cannot hold in memory.
    """
    findings = [one for one in judgement.findings if one.rule in RULES and one.column]
    try:
        if facts.status != "read":
            return _unreadable(path, facts, work)
        if not findings or contract is None:
            return RowReport(facts.unit, 0, {}, (), complete=True)
        tests = [Test(one.rule, one.column or "", contract, facts) for one in findings]
        plain = packed.unpack(path, facts.name)
        if facts.read_as.format == "jsonl":
            found = _json_lines(plain, tests)
        else:
            found = duck.find_cells(plain, facts, tests, work, limit=ROWS)
        _agree(found, findings)
        return _report(plain, facts, found)
    except (JobError, OSError, ValueError, csv.Error) as exc:  # an aid must not fail for its aim
        return _first_places(facts, findings, f"{exc}")


def _agree(found: duck.Found, findings: Sequence[Finding]) -> None:
    for finding in findings:
        counted = found.counts[finding.rule, finding.column or ""]
        if not finding.least <= counted <= max(finding.most, finding.least):
            raise duck.DisagreementError(
                f"a second reader counts {counted:,} bad cells in column '{finding.column}' where "
                f"the check saw {finding.least:,} to {finding.most:,}"
            )


def _report(path: Path, facts: Facts, found: duck.Found) -> RowReport:
    lines = _lines(path, facts, [cell.row for cell in found.cells])
    rules: Counter[str] = Counter()
    for (rule, _), count in found.counts.items():
        rules[rule] += count
    rows = tuple(
        BadRow(lines(cell.row), cell.rule, cell.column, _shown(cell.value), *_around(cell))
        for cell in found.cells[:ROWS]
    )
    return RowReport(facts.unit, found.rows, dict(rules), rows, complete=True)


def _around(cell: duck.Cell) -> tuple[str, tuple[int, int] | None]:
    """Return the row, cut to what is around the cell."""
    if cell.at is None or len(cell.raw) <= RAW:
        return cell.raw[:RAW], cell.at
    start = max(0, min(cell.at[0] - RAW // 3, len(cell.raw) - RAW))
    lead = "…" if start else ""
    shift = len(lead) - start
    raw = lead + cell.raw[start : start + RAW]
    return raw, (cell.at[0] + shift, min(cell.at[1] + shift, len(raw)))


def _shown(value: Any) -> str | None:
    return None if value is None else cut(str(value))


def _lines(path: Path, facts: Facts, rows: Sequence[int]) -> Any:
    """Return a function from data rows (from 1) to what the facts count; most are a line each."""
    form = facts.read_as.format
    if form in ("jsonl", "parquet"):  # the line was counted, and a row is a row
        return lambda row: row
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data)
        while end and data[end - 1] in b"\r\n":
            end -= 1
        breaks = _breaks(data, 0, end)
    if breaks == facts.rows:
        return lambda row: row + 1
    last, known = max(rows, default=0), {}
    with path.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=duck.DELIMITERS[form], strict=True)
        wanted, before = set(rows), 1
        for row, _ in enumerate(itertools.islice(reader, last + 1)):
            if row in wanted:
                known[row] = before
            before = reader.line_num + 1
    return known.__getitem__


def _breaks(data: mmap.mmap, start: int, end: int) -> int:
    chunk = 16 * 1_048_576
    return sum(data[at : min(at + chunk, end)].count(b"\n") for at in range(start, end, chunk))


def _json_lines(path: Path, tests: Sequence[Test]) -> duck.Found:
    """Go through the lines; `row` is the line itself here."""
    found = duck.Found.empty(tests)
    seen: dict[str, set[Any]] = {test.column: set() for test in tests}
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            record = json.loads(text)
            bad = [
                (test, record.get(test.column))
                for test in tests
                if test.is_broken(record.get(test.column), seen[test.column])
            ]
            found.add(line, bad, text.rstrip("\n"), {}, limit=ROWS)
    return found


def _unreadable(path: Path, facts: Facts, work: Path) -> RowReport:
    """List the lines that are wrong where DuckDB sees the same as our reader, else the first."""
    rule = facts.rule or "unreadable"
    if facts.row is None:
        return RowReport(facts.unit, 0, {}, (), complete=False, note="It is the file as a whole.")
    if facts.unit == "row":
        first = BadRow(facts.row, rule, facts.column, None, "")
        return RowReport(facts.unit, 1, {rule: 1}, (first,), complete=False)
    plain = packed.unpack(path, facts.name)
    first = BadRow(facts.row, rule, facts.column, None, _line(plain, facts.row))
    note = f"The reader stops at the first {rule}; lines after it may be wrong too."
    if rule in LINES and facts.read_as.format in duck.DELIMITERS:
        rows, rules, lines, last, same = list[BadRow](), Counter[str](), 0, 0, False
        for one in _rejected(plain, facts, work):  # there may be millions
            same = same or (one.row == facts.row and one.rule == rule)
            rules[one.rule] += 1
            lines, last = lines + (one.row != last), one.row
            if len(rows) < ROWS:
                rows.append(one)
        if same:
            return RowReport(facts.unit, lines, dict(rules), tuple(rows), complete=True)
        note = f"A second reader does not see this {rule}; look at the first place."
    return RowReport(facts.unit, 1, {rule: 1}, (first,), complete=False, note=note)


def _rejected(path: Path, facts: Facts, work: Path) -> Iterator[BadRow]:
    """
    Return the lines that DuckDB rejects.

    It counts records, and says the same of a row as often as cells are missing; so lines are
    counted here, from the bytes where it says that the record begins.
    """
    form = facts.read_as.format
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.find(b"\n")
        head = data[: end if end >= 0 else len(data)].decode("utf-8-sig", errors="replace")
        names = next(csv.reader(io.StringIO(head), delimiter=duck.DELIMITERS[form]))
        line, last = 1, 0
        for reject in duck.rejects(path, form, len(names), work):
            at = reject.position
            while at < len(data) and data[at : at + 1] in (b"\n", b"\r"):
                at += 1
            if at <= last:
                continue
            line += _breaks(data, last, at)
            last = at
            raw = data[at : at + LINE].split(b"\n", 1)[0].decode(errors="replace")
            yield BadRow(line, reject.rule, None, None, raw.rstrip("\r")[:RAW])


def _line(path: Path, number: int) -> str:
    """Return a line as it stands in the file, shortened."""
    with path.open("rb") as file:
        for _ in range(number - 1):
            while (part := file.readline(LINE)) and not part.endswith(b"\n"):
                pass
        return file.readline(LINE).decode(errors="replace").rstrip("\r\n")[:RAW]


def _first_places(facts: Facts, findings: Sequence[Finding], said: str) -> RowReport:
    """Report what the check itself saw first in each column."""
    rows = tuple(
        BadRow(one.row, one.rule, one.column, one.value, "") for one in findings if one.row
    )
    rules: Counter[str] = Counter()
    for one in findings:
        rules[one.rule] += one.least
    note = f"Only the first place of each finding is known: {said}."
    bad = max((one.least for one in findings), default=0)
    return RowReport(facts.unit, bad, dict(rules), rows, complete=False, note=note)
