"""
`python -m tidemill_jobs facts FILE [--format csv|tsv|parquet|jsonl]`: print a local file's facts.

For people and for `tidemill init` and `tidemill plan`, which start it. Nothing is written.
Exit status: 0 the file can be read, 1 it cannot (the facts say why), 2 called wrongly.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.spec import Format

UNREADABLE = 1
PACKED = (".gz", ".zst")


def main(arguments: Sequence[str]) -> int:
    """Print the facts as one JSON document and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tidemill_jobs facts")
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=get_args(Format), help="default: by the name's ending")
    parser.add_argument("--timestamp", metavar="COLUMN", help="the spec's data.timestamp")
    parser.add_argument("--exclude", metavar="COLUMN", action="append", default=[])
    asked = parser.parse_args(arguments)
    if not asked.file.is_file():
        parser.error(f"{asked.file} is no file")
    form = asked.format or _format(asked.file.name)
    if form is None:
        parser.error(f"say which --format {asked.file.name} has")
    path = asked.file.resolve()
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    version = ObjectVersion(path.as_uri(), "", path.stat().st_size)
    with tempfile.TemporaryDirectory() as work:
        link = Path(work) / path.name  # what is unpacked is put beside it
        link.symlink_to(path)
        facts = facts_of(link, version, sha256, ReadAs(form, asked.timestamp, tuple(asked.exclude)))
    sys.stdout.write(facts.to_json() + "\n")
    return 0 if facts.status == "read" else UNREADABLE


def _format(name: str) -> str | None:
    for ending in PACKED:
        name = name.removesuffix(ending)
    ending = name.rpartition(".")[2].lower()
    return ending if ending in get_args(Format) else None
