"""
`python -m tidemill_jobs.profile FILE --out DIR`: profile a file by hand.

Writes DIR/profile.json.gz (which the drift command compares) and prints one line a column.
Exit status: 0 done, 2 the file cannot be used; why stands on standard error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tidemill_jobs.errors import JobError
from tidemill_jobs.profile.column import Column
from tidemill_jobs.profile.files import profile_file
from tidemill_jobs.profile.profile import FILE_NAME, Profile
from tidemill_jobs.spec import Format
from tidemill_jobs.times import minutes_text

UNUSABLE = 2
_SHOWN = 24
_HEADINGS = ("column", "type", "present", "distinct", "least", "median", "greatest", "mean")


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile the file that the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tidemill_jobs.profile", description="Profile a file of rows."
    )
    parser.add_argument("file", type=Path, help="CSV, TSV, Parquet or JSON Lines; also .gz, .zst")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--format", choices=get_args(Format), help="if its name does not tell")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args(arguments)
    try:
        profile = profile_file(asked.file, form=asked.format)
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / FILE_NAME).write_bytes(profile.dumps())
    except JobError as exc:
        sys.stderr.write(f"{asked.file}: {exc}\n")
        return UNUSABLE
    except OSError as exc:
        sys.stderr.write(f"{exc.filename}: {exc.strerror}; give another path.\n")
        return UNUSABLE
    text = json.dumps(summary(profile), indent=1) if asked.json else table(profile)
    sys.stdout.write(f"{text}\n")
    return 0


def summary(profile: Profile) -> dict[str, object]:
    """Return what the table shows, as JSON."""
    return {
        "rows": profile.rows,
        "columns": {name: _facts(column) for name, column in profile.columns.items()},
    }


def table(profile: Profile) -> str:
    """Return one line a column, for people."""
    rows = [list(_HEADINGS)]
    for name, column in profile.columns.items():
        facts = _facts(column)
        share = f"{column.present / column.rows:.1%}" if column.rows else "-"
        about = "" if column.complete else "~"
        least, median, greatest = (facts[key] for key in ("least", "median", "greatest"))
        rows.append(
            [
                name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}…",
                column.inferred_type if column.kind != "time" else "Time",
                share,
                f"{about}{column.distinct:,}",
                *map(_written, (least, median, greatest, facts["mean"])),
            ]
        )
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([f"{profile.rows:,} rows, {len(profile.columns)} columns", *lines])


def _facts(column: Column) -> dict[str, object]:
    facts: dict[str, object] = {
        "type": column.inferred_type,
        "present": column.present,
        "missing": column.missing,
        "distinct": column.distinct,
        "distinct_exact": column.complete,
        "least": None,
        "median": None,
        "greatest": None,
        "mean": None,
    }
    numbers, times = column.numbers, column.times
    if column.kind == "number" and numbers and numbers.count:
        median = float(numbers.sketch.quantile(0.5))
        facts |= {"least": numbers.low, "median": median, "greatest": numbers.high}
        facts |= {"mean": numbers.mean}
    elif column.kind == "time" and times:
        middle = float(times.sketch.quantile(0.5))
        ends = (("least", times.low), ("median", middle), ("greatest", times.high))
        facts |= {name: minutes_text(at) for name, at in ends}
    return facts


def _written(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main())
