"""
Unpack the beginning of a gzip file, and say what the whole would unpack to.

Source: RFC 1952 (members, the ISIZE trailer); RFC 1951's densest code packs 258 bytes into two
bits, so no deflate stream unpacks to more than 1032 times its size.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from tidemill.domain.finding import Finding, amount

MAX_RATIO: Final = 100
"""Tables pack 3 to 20 times, sparse ones 50; a bomb 1000."""
HARMLESS_BYTES: Final = 16 * 2**20
"""Whatever its ratio, a file that unpacks to this fits in any job's memory."""
MAX_UNPACKED_BYTES: Final = 64 * 2**30
"""More than the volume of a default job holds; so much data belongs into several files."""

_DENSEST = 1032
_STEP = 2**20
_TRAILER = 4
_GZIP_WINDOW = 31  # zlib's wbits for a gzip header and the largest window


@dataclass(frozen=True, slots=True)
class Content:
    """The beginning of a file, unpacked."""

    head: bytes
    whole: bool  # nothing follows


def unpack(head: bytes, tail: bytes, size: int, limit: int) -> Content | Finding:
    """
    Unpack *head*, the first bytes of a gzip file of *size* bytes that ends with *tail*.

    At most *limit* unpacked bytes are kept; the rest of *head* is unpacked only to be counted, a
    MiB at a time, which is bounded by 1032 times its length.
    """
    kept, produced = bytearray(), 0
    whole = len(head) >= size
    rest = head
    while rest:
        member = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            while not member.eof and (piece := member.decompress(rest, _STEP)):
                produced += len(piece)
                kept += piece[: limit - len(kept)]
                rest = member.unconsumed_tail
        except zlib.error as error:
            return _corrupt(f"its first bytes do not unpack ({error})")
        if whole and not member.eof:
            return _corrupt("it ends in the middle of its packed data")
        rest = member.unused_data
    return _bounded(size, produced, len(head), tail, whole=whole) or Content(
        bytes(kept), whole=whole and produced == len(kept)
    )


def _bounded(size: int, produced: int, read: int, tail: bytes, *, whole: bool) -> Finding | None:
    unpacked = produced
    if not whole:
        # Of a file that was cut short these bytes are arbitrary: what they may say is no reason.
        claimed = int.from_bytes(tail[-_TRAILER:], "little")  # the last member's, modulo 2**32
        if claimed > _DENSEST * size:
            return _corrupt(
                f"its last bytes say that {amount(size)} unpack to {amount(claimed)}, "
                "more than gzip can pack"
            )
        unpacked = size * produced // read
    if unpacked > max(MAX_RATIO * size, HARMLESS_BYTES):
        return Finding(
            "unpack_ratio",
            f"The file is {amount(size)} packed and about {amount(unpacked)} unpacked, "
            f"{unpacked // size} times as much; tables pack at most {MAX_RATIO} times.",
            "Look whether the file holds what you mean; if it does, upload it without gzip, "
            "or as Parquet.",
        )
    if unpacked > MAX_UNPACKED_BYTES:
        return Finding(
            "unpacked_too_large",
            f"The file is {amount(size)} packed and about {amount(unpacked)} unpacked; "
            f"at most {amount(MAX_UNPACKED_BYTES)} are read from one file.",
            "Split it into several files of the same delivery, or upload Parquet.",
        )
    return None


def _corrupt(found: str) -> Finding:
    return Finding(
        "corrupt_gzip",
        f"The file is gzip, but {found}: it was cut short or damaged.",
        "Test the file with `gzip -t`, pack it again if that fails, and upload it once more.",
    )
