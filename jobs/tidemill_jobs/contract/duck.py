"""DuckDB, held tight: the only module that imports it. Nothing is guessed, fetched or installed."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import duckdb

from tidemill_jobs.contract.cells import Test
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.errors import JobError

DELIMITERS = {"csv": ",", "tsv": "\t"}
MEMORY = "1GB"
_FETCHED = 10_000  # records at a time
LINE_LIMIT = 32 * 1_048_576  # bytes
CELL = 200  # characters of it in a row that is written down again
SHOWN_COLUMNS = 60  # of a row that is written down again
RULES = {
    "MISSING COLUMNS": "ragged_row",
    "TOO MANY COLUMNS": "ragged_row",
    "INVALID ENCODING": "bad_encoding",
    "UNQUOTED VALUE": "unbalanced_quote",
    "LINE SIZE OVER MAXIMUM": "line_too_long",
}


class DisagreementError(JobError):
    """DuckDB sees another file than our reader did; then ours is right."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that DuckDB does not take; `position` is the byte where it begins, from 0."""

    position: int
    rule: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A bad cell; `row` counts data rows from 1, or lines where a line is looked at."""

    row: int
    rule: str
    column: str
    value: Any
    raw: str
    at: tuple[int, int] | None = None  # where the cell is in `raw`: first character, and after


@dataclass(slots=True)
class Found:
    """Bad cells in the order of the file: the first, how many of each, and in how many rows."""

    counts: Counter[tuple[str, str]]
    rows: int = 0
    cells: list[Cell] = field(default_factory=list)

    @classmethod
    def empty(cls, tests: Sequence[Test]) -> Self:
        """Return what is found before anything was looked at."""
        return cls(Counter({(test.rule, test.column): 0 for test in tests}))

    def add(
        self,
        row: int,
        bad: Sequence[tuple[Test, Any]],
        raw: str,
        places: Mapping[str, tuple[int, int]],
        *,
        limit: int,
    ) -> None:
        """Count a row's bad cells, and keep them while there is room."""
        self.rows += bool(bad)
        for test, value in bad:
            self.counts[test.rule, test.column] += 1
            if len(self.cells) < limit:
                at = places.get(test.column)
                self.cells.append(Cell(row, test.rule, test.column, value, raw, at))


def rejects(path: Path, form: str, width: int, work: Path) -> Iterator[Reject]:
    """
    Return the records of a text table that do not have its width or its encoding.

    Raises:
        DisagreementError: DuckDB gives up on the file.
    """
    with _connect(work) as base:
        try:
            base.execute(
                f"SELECT count(COLUMNS(*)) FROM {_read_csv(form, width)}", [str(path)]
            ).fetchall()
            base.execute(
                "SELECT line_byte_position, error_type FROM reject_errors "
                "ORDER BY line_byte_position"
            )
            while some := base.fetchmany(_FETCHED):
                for position, kind in some:
                    yield Reject(max(0, (position or 1) - 1), RULES.get(kind, "unparsable"))
        except duckdb.Error as exc:
            raise DisagreementError(_first_line(exc)) from exc


def find_cells(path: Path, facts: Facts, tests: Sequence[Test], work: Path, *, limit: int) -> Found:
    """
    Return the cells of a table that break a rule.

    Raises:
        DisagreementError: DuckDB reads other rows than our reader did, or names a cell that is
            good by our own grammar.
    """
    names = [column.name for column in facts.columns]
    wanted = list(dict.fromkeys(test.column for test in tests))
    with _connect(work) as base:
        try:
            return _find(base, path, facts, tests, names, wanted, limit)
        except (duckdb.Error, ValueError, OverflowError) as exc:  # a time beyond Python's
            raise DisagreementError(_first_line(exc)) from exc


def _find(  # noqa: PLR0917  # one query's parts
    base: duckdb.DuckDBPyConnection,
    path: Path,
    facts: Facts,
    tests: Sequence[Test],
    names: list[str],
    wanted: list[str],
    limit: int,
) -> Found:
    source, cell = _source(base, path, facts)
    parameters: list[Any] = []
    asked = [test.sql(cell[test.column], parameters) for test in tests]
    marks = ", ".join(f"{sql} AS bad{n}" for n, sql in enumerate(asked))
    anywhere = " OR ".join(f"bad{n}" for n in range(len(asked)))
    base.execute(
        "CREATE TEMP TABLE bad AS SELECT * FROM (SELECT *, "
        f"{marks} FROM (SELECT row_number() OVER () AS number, * FROM {source})) "
        f"WHERE {anywhere} OR number = ?",
        [*parameters, str(path), facts.rows],
    )
    last, total = base.execute(
        f"SELECT max(number), count(*) FILTER ({anywhere}) FROM bad"
    ).fetchall()[0]
    if (last or 0) != facts.rows:
        raise DisagreementError(f"a second reader does not find {facts.rows:,} rows in the file")
    counts = ", ".join(f"count(*) FILTER (bad{n})" for n in range(len(asked)))
    counted = base.execute(f"SELECT {counts} FROM bad").fetchall()[0]
    shown = [name for name in names if name in cell][:SHOWN_COLUMNS]
    columns = ", ".join(f"CAST({cell[name]} AS VARCHAR)" for name in shown)
    looked = ", ".join(cell[name] for name in wanted)
    flags = ", ".join(f"bad{n}" for n in range(len(asked)))
    rows = base.execute(
        f"SELECT number, {flags}, {looked}, {columns} FROM bad WHERE {anywhere} "
        f"ORDER BY number LIMIT {limit}"
    ).fetchall()
    found = Found.empty(tests)
    for number, *rest in rows:
        marked, values = rest[: len(tests)], dict(zip(wanted, rest[len(tests) :], strict=False))
        whole = dict(zip(shown, rest[len(tests) + len(wanted) :], strict=True))
        raw, places = _raw(whole, facts.read_as.format)
        bad = [
            (test, values[test.column])
            for test, is_bad in zip(tests, marked, strict=True)
            if is_bad
        ]
        for test, value in bad:
            if test.rule != "repeated_key" and not test.is_broken(value, set()):
                raise DisagreementError(
                    f"a second reader takes {value!r:.60} of column '{test.column}' otherwise"
                )
        found.add(number, bad, raw, places, limit=limit)
    found.counts.update(
        {
            (test.rule, test.column): count - found.counts[test.rule, test.column]
            for test, count in zip(tests, counted, strict=True)
        }
    )
    found.rows = total
    return found


def _source(
    base: duckdb.DuckDBPyConnection, path: Path, facts: Facts
) -> tuple[str, dict[str, str]]:
    """Return the file as SQL reads it, and how it calls each column: c0, c1, …."""
    form = facts.read_as.format
    if form == "parquet":
        asked = base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
        names = [row[0] for row in asked.fetchall()]
        calls = [f"c{at}" for at in range(len(names))]
        stored = {column.name: column.stored for column in facts.columns}
        # Times with a zone would come out in this machine's.
        read = ", ".join(
            f"make_timestamp(epoch_us({call})) AS {call}" if stored.get(name) == "time" else call
            for name, call in zip(names, calls, strict=True)
        )
        source = f"(SELECT {read} FROM read_parquet(?) AS file({', '.join(calls)}))"
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file, delimiter=DELIMITERS[form], strict=True))
        source = _read_csv(form, len(names))
    known = {name: f"c{at}" for at, name in enumerate(names)}
    if not {column.name for column in facts.columns} <= known.keys():  # it takes a and A for one
        raise DisagreementError("a second reader calls the columns otherwise")
    return source, known


def _read_csv(form: str, width: int) -> str:
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(width))
    delimiter = "\\t" if form == "tsv" else ","
    return (
        f"read_csv(?, auto_detect=false, columns={{{columns}}}, delim='{delimiter}', quote='\"', "
        "escape='\"', header=true, encoding='utf-8', null_padding=false, strict_mode=true, "
        f"store_rejects=true, rejects_limit=0, max_line_size={LINE_LIMIT})"
    )


def _raw(cells: Mapping[str, str | None], form: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """Return the row as its file writes it, and where in it each cell is."""
    delimiter = DELIMITERS.get(form, ",")
    raw, places = "", dict[str, tuple[int, int]]()
    for name, cell in cells.items():
        written = io.StringIO()
        writer = csv.writer(written, delimiter=delimiter, lineterminator="")
        writer.writerow(["" if cell is None else cell[:CELL], ""])  # alone, "" would be quoted
        raw += delimiter if places else ""
        text = written.getvalue().removesuffix(delimiter)
        places[name] = (len(raw), len(raw) + len(text))
        raw += text
    return raw, places


def _connect(work: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "temp_directory": str(work / "duckdb"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "true",
        }
    )


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
