"""Records in frames of bytes: RecordIO and TFRecord, as SplitType names them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_LENGTH_BITS = 29  # of RecordIO's second word; the three above say which part of a record it is
_WHOLE, _LAST = 0, 3
_CHECKSUM = 4  # bytes; of a TFRecord's length and of its data


class FrameError(Exception):
    """A file that is not of such frames; the words go to the job's data log."""


@dataclass(frozen=True)
class Frame:
    """One record, as it lies in the file and without its frame."""

    raw: bytes
    payload: bytes


def frames(source: BinaryIO, kind: str, longest: int) -> Iterator[Frame]:
    """
    Yield a file's records, in order.

    Args:
        source: The file.
        kind: RecordIO or TFRecord.
        longest: No record is longer, in bytes; 0 is no limit. One that says it is, is not read.

    Raises:
        FrameError: The file is of another kind, broken off, or has a record that is too long.
    """
    read = _recordio if kind == "RecordIO" else _tfrecord
    file = _File(source, kind, longest)
    while (frame := read(file)) is not None:
        yield frame


class _File:
    def __init__(self, source: BinaryIO, kind: str, longest: int) -> None:
        self._source = source
        self._longest = longest
        self.kind = kind
        self.place = 0

    def take(self, count: int) -> bytes:
        """Return so many bytes; none at the end of the file."""
        if self._longest and count > self._longest + _CHECKSUM:
            raise self.error(f"has a record of {count} bytes, beyond the {self._longest} allowed")
        data = self._source.read(count)
        if data and len(data) < count:
            raise self.error("ends in the middle of a record")
        self.place += len(data)
        return data

    def must(self, count: int) -> bytes:
        """Return so many bytes, which must be there."""
        data = self.take(count)
        if len(data) < count:
            raise self.error("ends in the middle of a record")
        return data

    def error(self, why: str) -> FrameError:
        return FrameError(f"the file is not whole {self.kind}: at byte {self.place} it {why}")


def _recordio(file: _File) -> Frame | None:
    raw, parts = b"", []
    while header := file.take(8):
        magic, word = struct.unpack("<II", header)
        if magic != _MAGIC:
            raise file.error("has no magic number")
        part, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
        data = file.must(length)
        raw += header + data + file.must(-length % 4)
        parts.append(data)
        if part in {_WHOLE, _LAST}:
            # A record that holds the magic number is cut there, and the number left out.
            return Frame(raw, _MAGIC_BYTES.join(parts))
    if parts:
        raise file.error("ends in the middle of a record")
    return None


def _tfrecord(file: _File) -> Frame | None:
    header = file.take(8)
    if not header:
        return None
    (length,) = struct.unpack("<Q", header)
    check = file.must(_CHECKSUM)
    data = file.must(length)
    return Frame(header + check + data + file.must(_CHECKSUM), data)
