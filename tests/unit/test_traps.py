"""Every trap file gets the right named verdict, and what is accepted keeps every value."""

import csv
import gzip
import io
import json
import re

import pytest

from tidemill_jobs.packed import zstd
from tidemill_jobs.values import is_missing
from trap_table import PAGE, cells, outcome, page
from traps import TRAPS

ALL = [trap for group in TRAPS.values() for trap in group]
ACCEPTED = [trap for trap in ALL if not trap.rule]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    work = tmp_path_factory.mktemp("traps")
    return {trap.file: outcome(trap, trap.body(), work) for trap in ALL}


@pytest.mark.parametrize("trap", ALL, ids=lambda trap: trap.file)
def test_a_trap_gets_its_named_verdict(outcomes, trap):
    found = outcomes[trap.file]

    assert found.rule == trap.rule
    assert re.fullmatch("[a-z_]*", found.rule)
    assert trap.row in (None, found.row)
    assert trap.column in (None, found.column)
    assert bool(found.sentence) == bool(trap.rule)


@pytest.mark.parametrize("trap", ACCEPTED, ids=lambda trap: trap.file)
def test_what_is_accepted_keeps_every_value(trap, tmp_path):
    body = trap.body()
    columns, rows = cells(trap, body, tmp_path)

    if trap.cells is not None:
        assert rows == list(trap.cells)
        return
    names, written = witness(trap, unpacked(trap.file, body))
    assert columns == names
    assert len(rows) == len(written)
    for read_row, row in zip(rows, written, strict=True):
        expected = tuple(None if is_missing(value) else value for value in row)
        assert read_row == expected
        assert [isinstance(v, bool) for v in read_row] == [isinstance(v, bool) for v in expected]


def test_the_page_says_what_becomes_of_them(outcomes):
    """After a change: `python tests/trap_table.py`."""
    assert PAGE.read_text() == page(outcomes)


def test_all_traps_of_the_comparison_are_there():
    """33 files: those of the table, a byte order mark, a lone header, a NUL byte."""
    compared = [*TRAPS["CSV"], *TRAPS["Packed files"][:4]]
    assert len(compared) >= 33
    assert len({trap.file for trap in ALL}) == len(ALL)


def unpacked(name, body):
    if name.endswith(".gz"):
        return gzip.decompress(body)
    return zstd.decompress(body) if name.endswith(".zst") else body


def witness(trap, body):
    """Return columns and rows as the standard library reads them; every other reader guesses."""
    text = body.decode("utf-8-sig")
    if trap.format == "jsonl":
        objects = [json.loads(line) for line in text.split("\n") if line.strip()]
        names = tuple(dict.fromkeys(name for row in objects for name in row))
        return names, [tuple(row.get(name) for name in names) for row in objects]
    csv.field_size_limit(2**26)
    delimiter = "," if trap.format == "csv" else "\t"
    names, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return tuple(names), [tuple(row) for row in rows]
