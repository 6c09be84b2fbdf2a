"""
`python -m tidemill_jobs.drift BASELINE_DIR FILE --out DIR`: compare a file with a baseline by hand.

BASELINE_DIR holds the profile.json.gz that `python -m tidemill_jobs.profile` wrote; FILE is a file
of rows, or such a profile. Writes DIR/comparison.json, DIR/triage.json and DIR/profile.json.gz, and
prints what was found. Exit status: 0 no violation, 1 violations, 2 the input cannot be used; why
stands on standard error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from tidemill_jobs.drift.compare import compare
from tidemill_jobs.drift.findings import FILE_NAME, Comparison, DriftSettings
from tidemill_jobs.drift.signs import TRIAGE_FILE_NAME, Triage
from tidemill_jobs.drift.triage import triage
from tidemill_jobs.errors import JobError
from tidemill_jobs.profile import FILE_NAME as PROFILE
from tidemill_jobs.profile import Profile
from tidemill_jobs.profile.files import profile_file
from tidemill_jobs.spec import Format
from tidemill_jobs.values import Kind

VIOLATIONS, UNUSABLE = 1, 2
_SHOWN = 24
_HEADINGS = ("feature", "verdict", "distance", "KS", "PSI", "JS", "p", "missing before", "now")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what the arguments name; return the exit status."""
    asked = _parser().parse_args(arguments)
    settings = replace(
        DriftSettings(),
        threshold=asked.threshold,
        distance=asked.distance,
        minimum_rows=asked.minimum_rows,
        ignore=tuple(asked.ignore),
    )
    try:
        baseline = Profile.loads((asked.baseline / PROFILE).read_bytes())
        current = _profile(asked.file, asked.format, baseline)
        recent = Profile.loads((asked.recent / PROFILE).read_bytes()) if asked.recent else None
        comparison = compare(baseline, current, settings)
        meaning = triage(comparison, baseline, current, recent)
        asked.out.mkdir(parents=True, exist_ok=True)
        _write(asked.out / FILE_NAME, comparison.document())
        _write(asked.out / TRIAGE_FILE_NAME, meaning.document())
        (asked.out / PROFILE).write_bytes(current.dumps())
    except JobError as exc:
        sys.stderr.write(f"{exc}\n")
        return UNUSABLE
    except OSError as exc:
        sys.stderr.write(f"{exc.filename}: {exc.strerror}; give another path.\n")
        return UNUSABLE
    if asked.json:
        document = {"comparison": comparison.document(), "triage": meaning.document()}
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(f"{table(comparison, meaning)}\n")
    return VIOLATIONS if comparison.findings else 0


def table(comparison: Comparison, meaning: Triage) -> str:
    """Return what was found, for people: a line a feature, then a sentence a finding."""
    rows = [list(_HEADINGS)]
    for one in comparison.worst:
        distances = one.distances.document()
        rows.append(
            [
                one.feature if len(one.feature) <= _SHOWN else f"{one.feature[: _SHOWN - 1]}…",
                one.verdict,
                _written(one.distance),
                *(_written(distances.get(name)) for name in ("ks", "psi", "js", "p_value")),
                *(f"{1 - share:.1%}" for share in one.completeness),
            ]
        )
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(
        [
            f"{comparison.rows:,} rows against {comparison.baseline_rows:,}: {comparison.verdict}",
            *lines,
            *(f"- {found.sentence} ({found.check})" for found in comparison.findings),
            f"Triage: {meaning.kind}. {meaning.reason}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    usual = DriftSettings()
    parser = argparse.ArgumentParser(
        prog="python -m tidemill_jobs.drift", description="Compare a file of rows with a baseline."
    )
    parser.add_argument("baseline", type=Path, help=f"the folder that holds its {PROFILE}")
    parser.add_argument("file", type=Path, help=f"CSV, TSV, Parquet, JSON Lines; or a {PROFILE}")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--recent", type=Path, help="the folder of a later profile, known as good")
    parser.add_argument("--format", choices=get_args(Format), help="if the name does not tell")
    parser.add_argument("--threshold", type=float, default=usual.threshold)
    parser.add_argument("--distance", choices=("robust", "simple"), default=usual.distance)
    parser.add_argument("--minimum-rows", type=int, default=usual.minimum_rows)
    parser.add_argument("--ignore", action="append", default=[], metavar="FEATURE")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _profile(path: Path, form: Format | None, baseline: Profile) -> Profile:
    """Profile a file, or read its profile; what the baseline declares of a column holds here."""
    if path.name == PROFILE:
        return Profile.loads(path.read_bytes())
    profile = profile_file(path, form=form)
    declared: dict[str, Kind | None] = {
        name: baseline.column(name).declared for name in profile.columns
    }
    return profile_file(path, form=form, columns=declared) if any(declared.values()) else profile


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
