"""`upload`: send files to a model's prefix, as `aws s3 cp` would."""

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from tidemill_cli.failures import MalformedError
from tidemill_cli.output import is_terminal, put_json, put_live, size
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STDIN = "-"
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,512}")
#: S3's answer to either of these names the version that was made.
_WRITES = ("PutObject", "CompleteMultipartUpload")


@dataclass(frozen=True, slots=True)
class Source:
    """One file to send, and the name it gets below the model's prefix."""

    path: str
    name: str

    @property
    def size(self) -> int | None:
        """Its bytes; None when only its end will tell."""
        return None if self.path == STDIN else Path(self.path).stat().st_size


@click.command()
@click.argument("model", type=MODEL)
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--as", "name", help="The name below the model's prefix; for one FILE, or `-`.")
@shared_options
@click.pass_obj
def upload(session: Session, model: str, files: Sequence[str], name: str | None) -> None:
    """
    Send FILEs to MODEL; `-` is standard input.

    What becomes of them is decided in the stack: `tidemill why MODEL` says it.
    """
    sources = sources_of(files, name)
    stack = session.stack
    stack.stores.specs.get(model)  # an upload to no model would be ignored in silence
    sent = []
    for source in sources:
        key = f"raw/{model}/{source.name}"
        version_id, count = send(stack.clients.s3, source, stack.lake_bucket, key)
        sent.append(
            {
                "file": source.path,
                "bucket": stack.lake_bucket,
                "key": key,
                "version_id": version_id,
                "size": count,
            }
        )
        if not session.as_json:
            click.echo(f"{key}  {version_id}")
    if session.as_json:
        put_json(sent)
    hint(session, f"`tidemill why {model}` says what becomes of it")


def sources_of(files: Sequence[str], name: str | None) -> list[Source]:
    """
    Return what to send, after every file was looked at: a wrong one stops them all.

    Raises:
        MalformedError: A file is missing, is a directory, cannot be read, or shares its name.
    """
    if name is not None and len(files) > 1:
        raise MalformedError("--as names one upload; send the files one by one, or without it")
    sources = [Source(path, _checked_name(name or _own_name(path))) for path in files]
    for source in sources:
        _check_readable(source.path)
    names = [source.name for source in sources]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise MalformedError(
            f"two of the files are called {twice}, and the second would replace the first; "
            "send them one by one with --as"
        )
    return sources


def _own_name(path: str) -> str:
    if path == STDIN:
        raise MalformedError("standard input has no name; give it one with --as NAME")
    return Path(path).resolve().name if Path(path).name in ("", "..") else Path(path).name


def _checked_name(name: str) -> str:
    pieces = name.split("/")
    if not _NAME.fullmatch(name) or any(piece in ("", ".", "..") for piece in pieces):
        raise MalformedError(
            f"'{name}' is no name for an upload; write a file name such as 2026-11.csv, "
            "with folders in front if you like"
        )
    return name


def _check_readable(path: str) -> None:
    if path == STDIN:
        return
    if Path(path).is_dir():
        raise MalformedError(f"{path} is a directory; name the files in it: {path.rstrip('/')}/*")
    if not Path(path).exists():
        raise MalformedError(f"there is no file {path}; nothing was sent")
    if not os.access(path, os.R_OK):
        raise MalformedError(f"{path} may not be read; nothing was sent")


def send(client: "S3Client", source: Source, bucket: str, key: str) -> tuple[str, int]:
    """Send one file, in parts when it is large; return the version id and the bytes sent."""
    with _version_of_write(client) as answers, _Progress(source) as progress:
        if source.path == STDIN:
            client.upload_fileobj(sys.stdin.buffer, bucket, key, Callback=progress.add)
        else:
            client.upload_file(source.path, bucket, key, Callback=progress.add)
    return answers[-1], progress.sent


@contextmanager
def _version_of_write(client: "S3Client") -> Iterator[list[str]]:
    """Collect the version ids of the writes in the block, which the transfer keeps to itself."""
    answers: list[str] = []

    def note(parsed: dict[str, Any], **_: Any) -> None:
        answers.append(parsed.get("VersionId", "null"))

    events = [f"after-call.s3.{operation}" for operation in _WRITES]
    for event in events:
        client.meta.events.register(event, note)
    try:
        yield answers
    finally:
        for event in events:
            client.meta.events.unregister(event, note)


class _Progress:
    """How far a file is, on a terminal; transfers report from several threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._total = source.size
        self._live = is_terminal()
        self._lock = threading.Lock()
        self.sent = 0

    def add(self, count: int) -> None:
        """Note that *count* more bytes were sent (less than zero when a part begins again)."""
        with self._lock:
            self.sent += count
            if self._live:
                share = f"{self.sent / self._total:.0%} of " if self._total else ""
                put_live(f"{self._source.name}  {share}{size(self._total or self.sent)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            put_live()
