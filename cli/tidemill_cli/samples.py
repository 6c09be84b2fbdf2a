"""What a sample is and holds: its format by its bytes, its facts from a process of the jobs."""

import contextlib
import gzip
import importlib.util
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidemill_cli.failures import MalformedError, RefusedError, UnreachableError

_HEAD_BYTES = 64 * 1024
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".jsonl": "jsonl"}
_PACKED = (".gz", ".zst")
_MALFORMED = 2  # how the jobs' programs say that they were called wrongly
#: What reads data files; `tidemill_jobs` may be there without it.
_READERS = ("tidemill_jobs", "polars")


def format_of(path: Path) -> str:
    """
    Return the format that a file's first bytes are of: csv, tsv, parquet or jsonl.

    What is packed with zstd is told by its name, since Python 3.11 to 3.13 cannot look inside.

    Raises:
        MalformedError: It is no file, cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except IsADirectoryError:
        raise MalformedError(f"{path} is a directory; name one file in it") from None
    if not head:
        raise MalformedError(f"{path} is empty (0 bytes); name a file with rows")
    if head.startswith(_ZSTD):
        return _by_name(path)
    if head.startswith(_GZIP):
        head = _unpacked(head)
    if head.startswith(_PARQUET):
        return "parquet"
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if text.startswith("{"):
        return "jsonl"
    header = text.partition("\n")[0]
    return "tsv" if header.count("\t") > header.count(",") else "csv"


def _by_name(path: Path) -> str:
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return _ENDINGS.get(Path(name).suffix, "csv")


def _unpacked(head: bytes) -> bytes:
    """Return what the beginning of a gzip file unpacks to; nothing when it is damaged."""
    with contextlib.suppress(zlib.error, gzip.BadGzipFile):
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    return b""


def facts_of(
    path: Path, form: str, *, timestamp: str | None = None, exclude: Sequence[str] = ()
) -> dict[str, Any]:
    """
    Return the facts of a local file (docs/checks.md), read by a process of its own.

    Args:
        path: The file.
        form: Its format.
        timestamp: The spec's `data.timestamp`.
        exclude: The spec's `data.exclude`.

    Raises:
        UnreachableError: What reads data files is not installed.
        MalformedError: The program refused how it was called.
        RefusedError: It failed.
    """
    arguments = [str(path), "--format", form]
    arguments += ["--timestamp", timestamp] if timestamp else []
    for column in exclude:
        arguments += ["--exclude", column]
    return asked("facts", *arguments)


def asked(command: str, *arguments: str) -> dict[str, Any]:
    """
    Start `python -m tidemill_jobs COMMAND …` and return the JSON document that it prints.

    Raises:
        UnreachableError: It is not installed.
        MalformedError: It refused how it was called.
        RefusedError: It failed.
    """
    if not all(map(_installed, _READERS)):
        raise UnreachableError(
            "what reads data files is not installed; `python -m pip install 'tidemill[jobs]'` "
            "adds it"
        )
    done = subprocess.run(
        [sys.executable, "-m", "tidemill_jobs", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode == _MALFORMED:
        raise MalformedError(last)
    raise RefusedError(
        f"`python -m tidemill_jobs {command}` failed (exit status {done.returncode}): {last}"
    )


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def require_read(facts: Mapping[str, Any], path: Path) -> None:
    """
    Go on only with a file that could be read.

    Raises:
        RefusedError: Says what is wrong with it, and what to do.
    """
    if facts["status"] != "read":
        raise RefusedError(
            f"{path} cannot be read ({facts['rule']}): {facts['reason']} {facts['next_step'] or ''}"
        )
