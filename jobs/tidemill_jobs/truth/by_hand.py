"""
`python -m tidemill_jobs truth FILE [--target NAME] [--predictions PART…]`: look at a truth file.

Prints what `record_truth` would make of it, and, with parts of predictions that the watch kept, how
many of its labels name one of them. For people and for `tidemill truth`, which starts it.
Exit status: 0 the file can be used, 1 it cannot (the verdict says why), 2 called wrongly.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tidemill_jobs.truth.columns import PREDICTIONS, as_predictions, empty
from tidemill_jobs.truth.joining import join
from tidemill_jobs.truth.recording import record

REFUSED = 1
MOST_BYTES = 1 << 31  # the stack says how many it takes; here it is the person's own machine


def main(arguments: Sequence[str]) -> int:
    """Print one JSON document and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tidemill_jobs truth")
    parser.add_argument("file", type=Path)
    parser.add_argument("--target", default="label", help="the model's target: a label too")
    parser.add_argument("--predictions", metavar="PART", type=Path, nargs="*", default=[])
    asked = parser.parse_args(arguments)
    if not asked.file.is_file():
        parser.error(f"{asked.file} is no file")
    with tempfile.TemporaryDirectory() as work:
        link = Path(work) / asked.file.name  # what is unpacked is put beside it
        link.symlink_to(asked.file.resolve())
        part = Path(work) / "labels.parquet"
        found = record(
            link,
            asked.file.name,
            part,
            upload="",
            uploaded=asked.file.stat().st_mtime,
            target=asked.target,
            most=MOST_BYTES,
        )
        found["joins"] = _joins(part, asked.predictions) if part.exists() else None
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    return 0 if found["verdict"]["name"] == "accept" else REFUSED


def _joins(part: Path, predictions: Sequence[Path]) -> dict[str, Any]:
    """Return how many labels name one of these predictions."""
    made = [as_predictions(pl.read_parquet(path)).select(*PREDICTIONS) for path in predictions]
    joined = join(pl.concat([empty(PREDICTIONS), *made]), pl.read_parquet(part))
    names = ("predictions", "joined", "unknown", "no_row", "replaced", "corrected")
    return {name: getattr(joined, name) for name in names}
