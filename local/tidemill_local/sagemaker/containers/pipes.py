"""
Pipe mode: a channel's data, streamed into a FIFO for each epoch (`train_0`, `train_1`, …).

The next epoch's FIFO is there before the present one ends. A program need not read to the end:
once it closes an epoch's FIFO, the next epoch begins.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker.containers.channels import S3Object, TransferError, split_uri

if TYPE_CHECKING:  # the stubs are a development dependency
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 16
_LOOK_SECONDS = 0.02  # between two looks whether somebody reads
_JOIN_SECONDS = 10.0
_MAGIC = 0xCED7230A  # of a RecordIO record
_LONGEST_RECORD = (1 << 29) - 1  # bytes, by RecordIO's header

Source = Callable[[], Iterator[bytes]]
"""Begins to read what makes one record."""
Unit = Sequence[Source]
"""What stays together when a channel is shuffled or shared out: an object, a manifest's line."""


def object_units(s3: S3Client, objects: Sequence[S3Object], *, packed: bool) -> list[Unit]:
    """Return the units of a channel of objects; *packed* ones (Gzip) are unpacked on the way."""
    return [(partial(_read, s3, item, packed=packed),) for item in objects]


def manifest_units(s3: S3Client, uri: str, attributes: Sequence[str]) -> list[Unit]:
    """
    Return the units of an AugmentedManifestFile: of each line the attributes, in the order asked.

    What an attribute ending in `-ref` points at is sent, of others their value.

    Raises:
        TransferError: The manifest cannot be read, or a line lacks an attribute.
    """
    bucket, key = split_uri(uri)
    text = b"".join(_read(s3, S3Object(bucket, key, key), packed=False))
    units: list[Unit] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            where = f"The augmented manifest {uri}, line {number}"
            entry = _entry(line, where)
            units.append([_attribute(s3, entry, name, where) for name in attributes])
    if not units:
        raise TransferError(f"ClientError: The augmented manifest {uri} has no lines.")
    return units


class Pipe:
    """
    One host's FIFOs of one channel.

    Args:
        directory: Where they lie.
        channel: The channel's name.
        units: The channel's data, of all hosts.
        share: Picks this host's part.
        wrapped: Each record becomes one of RecordIO.
        seed: Shuffles the units anew for each epoch; None keeps their order.
    """

    def __init__(
        self,
        directory: Path,
        channel: str,
        units: Sequence[Unit],
        share: Callable[[Sequence[Unit]], Sequence[Unit]],
        *,
        wrapped: bool = False,
        seed: int | None = None,
    ) -> None:
        self._directory = directory
        self._channel = channel
        self._units = units
        self._share = share
        self._wrapped = wrapped
        self._seed = seed
        directory.mkdir(parents=True, exist_ok=True)
        for epoch in (0, 1):
            os.mkfifo(self._place(epoch))

    def feed(self, closing: threading.Event, report: Callable[[Exception], None]) -> None:
        """
        Write one epoch after the other, until *closing* is set.

        What goes wrong is reported, and the FIFO kept open: its end would look like the data's.
        """
        epoch = 0
        while (descriptor := self._open(epoch, closing)) is not None:
            try:
                for data in self._records(epoch):
                    _write_all(descriptor, data)
            except BrokenPipeError:
                pass  # it has read as much as it wanted
            except (TransferError, OSError) as error:
                report(error)
                closing.wait()
            finally:
                with suppress(OSError):  # the program may have removed everything
                    os.mkfifo(self._place(epoch + 2))
                os.close(descriptor)
            self._place(epoch).unlink(missing_ok=True)
            epoch += 1

    def _place(self, epoch: int) -> Path:
        return self._directory / f"{self._channel}_{epoch}"

    def _open(self, epoch: int, closing: threading.Event) -> int | None:
        """Wait for a reader; None if there will be none: the job ends, or removed the FIFO."""
        while not closing.is_set():
            try:
                descriptor = os.open(self._place(epoch), os.O_WRONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                closing.wait(_LOOK_SECONDS)
                continue
            os.set_blocking(descriptor, True)
            return descriptor
        return None

    def _records(self, epoch: int) -> Iterator[bytes]:
        units = list(self._units)
        if self._seed is not None:
            random.Random(f"{self._seed}/{epoch}").shuffle(units)  # noqa: S311 - an order, no secret
        for unit in self._share(units):
            for source in unit:
                if self._wrapped:
                    yield _record(b"".join(source()))
                else:
                    yield from source()


class Pipes:
    """The pipes of a job's attempt, each fed by a thread of its own."""

    def __init__(self) -> None:
        self._pipes: list[Pipe] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._error: Exception | None = None

    def add(self, pipe: Pipe) -> None:
        """Take a pipe, before the start."""
        self._pipes.append(pipe)

    def start(self) -> None:
        """Begin to feed all."""
        for pipe in self._pipes:
            thread = threading.Thread(
                target=pipe.feed, args=(self._closing, self._report), name="pipe", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def check(self) -> None:
        """
        Raise what went wrong.

        Raises:
            TransferError: S3 refuses, or an object is not what the channel says.
        """
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the threads; whoever read from them has ended."""
        self._closing.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _report(self, error: Exception) -> None:
        self._error = error


def _read(s3: S3Client, item: S3Object, *, packed: bool) -> Iterator[bytes]:
    try:
        with s3.get_object(Bucket=item.bucket, Key=item.key)["Body"] as body:
            stream: Any = gzip.GzipFile(fileobj=body) if packed else body
            while data := stream.read(_CHUNK):
                yield data
    except (ClientError, BotoCoreError) as error:
        raise TransferError(
            f"ClientError: GetObject failed for s3://{item.bucket}/{item.key}: {error}"
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TransferError(
            f"ClientError: s3://{item.bucket}/{item.key} is not gzip, as CompressionType says: "
            f"{error}"
        ) from error


def _entry(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise TransferError(f"ClientError: {where} is not JSON: {error}.") from error
    if not isinstance(entry, dict):
        raise TransferError(f"ClientError: {where} is no JSON object.")
    return entry


def _attribute(s3: S3Client, entry: dict[str, Any], name: str, where: str) -> Source:
    if name not in entry:
        raise TransferError(f"ClientError: {where} has no {name!r}, which AttributeNames asks for.")
    value = entry[name]
    if name.endswith("-ref"):
        bucket, key = split_uri(str(value))
        return partial(_read, s3, S3Object(bucket, key, key), packed=False)
    text = value if isinstance(value, str) else json.dumps(value)
    return lambda: iter([text.encode()])


def _record(data: bytes) -> bytes:
    """Wrap data as one RecordIO record: magic, length, and zeros up to a multiple of four."""
    if len(data) > _LONGEST_RECORD:
        raise TransferError(
            f"ClientError: an object of {len(data)} bytes is too long for a RecordIO record, which "
            f"holds {_LONGEST_RECORD}."
        )
    return struct.pack("<II", _MAGIC, len(data)) + data + bytes(-len(data) % 4)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
