"""
What Tidemill makes of each trap: `python tests/trap_table.py` writes docs/traps.md anew.

A file goes the way of an upload: preflight sees its two ends, the strict reader all of it, and
where a trap has a good twin, the twin's contract judges it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.domain.finding import Finding
from tidemill.domain.preflight import SAMPLE_BYTES, Sample, inspect
from tidemill.spec.compiled import Data
from tidemill_jobs import reader
from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.facts import Facts, ReadAs
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.spec import Check, Spec
from traps import TRAPS, Trap

PAGE = Path(__file__).parents[1] / "docs/traps.md"
SHOWN = 220  # characters of a sentence
HEAD = """\
# Traps

Files that common readers misread, and what becomes of them here. "Common readers" are pandas 3.1,
polars 2.1, DuckDB 2.0 and pyarrow 26 with their defaults unless said otherwise (TSV, JSON Lines
and Zstandard: polars, DuckDB and Python's json). Nothing is guessed: a file is read as it is
written, or set aside under a rule's name, with the line (of Parquet: the row) and the column where
there is one.

*preflight* sees the first and last 64 KiB when a file arrives; *check* reads all of it, strictly;
*contract* holds what was read against the model's contract ([checks.md](checks.md)). Of every
accepted file below, a test compares all cells with what the file says. This page is written by
`python tests/trap_table.py`.

What holds for all formats:

* The empty text, `null` and `NaN` are missing. `NA`, `N/A` and `None` are missing in columns of
  numbers, times and booleans; in a column of text they are text (`NA` is Namibia's code).
* CSV and TSV are RFC 4180 with a comma or a tab: one header line, a cell that holds the
  separator, a quote or a line break stands in double quotes, a quote in it is doubled, and a
  quote stands nowhere else. UTF-8, lines end with `\\n` or `\\r\\n`. Every cell stays as written;
  what a column is, is decided over all files.
* JSON Lines is one flat object a line. A key that a line lacks is missing there; the columns are
  all keys. What has quotes is text and stays so, also `"1"`; a column is of one kind. Whole
  numbers of 64 bits keep every digit, others are the nearest double. Times are found in text.
  Blank lines are skipped.
* `.gz` and `.zst` are unpacked, up to 200 times a file's size (small files: to 64 MiB).
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; *rule* is empty when it was accepted."""

    stage: str
    rule: str
    sentence: str
    row: int | None
    column: str | None


def data_of(trap: Trap) -> Data:
    """Return what the spec says of a trap's file."""
    return Data(format=trap.format, target="late", id=None, timestamp=None, exclude=())


def outcome(trap: Trap, body: bytes, work: Path) -> Outcome:
    """Send a file the way of an upload."""
    key = f"raw/p/m/{trap.file}"
    sample = Sample(key, len(body), body[:SAMPLE_BYTES], body[-SAMPLE_BYTES:])
    finding = inspect(sample, data_of(trap))
    if isinstance(finding, Finding):
        return Outcome("preflight", finding.rule, finding.reason, finding.row, finding.column)
    assert finding is None, "traps have small footers"
    facts = facts_at(trap, body, work)
    if facts.status == "unreadable":
        return Outcome("check", facts.rule or "", facts.reason or "", facts.row, facts.column)
    if trap.good is not None:
        contract = infer([facts_at(trap, trap.good(), work)], _spec(trap))
        said = judge(facts, contract, Check())
        if said.verdict == "quarantine":
            return Outcome("contract", said.rule or "", said.reason, said.row, said.column)
    return Outcome("", "", "", None, None)


def facts_at(trap: Trap, body: bytes, work: Path) -> Facts:
    """Return the facts of *body* under the trap's name."""
    path = work / "object"
    path.write_bytes(body)
    version = ObjectVersion(f"s3://lake/raw/p/m/{trap.file}", "v1", len(body))
    return facts_of(path, version, "", ReadAs(trap.format, None, ()))


def cells(trap: Trap, body: bytes, work: Path) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the columns and rows that the strict reader reads."""
    path = work / "object"
    path.write_bytes(body)
    frame = reader.read(path, trap.file, trap.format).frame
    return tuple(frame.columns), frame.rows()


def page(outcomes: dict[str, Outcome]) -> str:
    """Return docs/traps.md, given the outcome of each file."""
    return "\n".join(_page(outcomes))


def _page(outcomes: dict[str, Outcome]) -> Iterator[str]:
    yield HEAD
    for title, traps in TRAPS.items():
        yield f"## {title}\n"
        yield "| trap | common readers | Tidemill | rule | what it says |"
        yield "|---|---|---|---|---|"
        for trap in traps:
            found = outcomes[trap.file]
            verdict = f"quarantine ({found.stage})" if found.rule else "accept"
            rule = f"`{found.rule}`" if found.rule else ""
            row = (trap.name, trap.common, verdict, rule, _said(found, trap))
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        yield ""


def _said(found: Outcome, trap: Trap) -> str:
    if not found.rule:
        return "every value as written"
    text = " ".join(found.sentence.split())
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return text.replace("<", "&lt;").replace("*", "\\*")


def _spec(trap: Trap) -> Spec:
    return Spec(
        format=trap.format,
        target="late",
        id=None,
        timestamp=None,
        exclude=(),
        validation=0.1,
        test=0.1,
        seed=1,
        problem="binary",
    )


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as work:
        traps = [trap for group in TRAPS.values() for trap in group]
        outcomes = {trap.file: outcome(trap, trap.body(), Path(work)) for trap in traps}
    PAGE.write_text(page(outcomes))


if __name__ == "__main__":
    main()
