"""
Judge a Zstandard file by its first frame's header; nothing is unpacked here.

Source: RFC 8878, section 3.1.1 (frames). Python reads Zstandard from 3.14 on, and Lambda runs
3.13; what the file holds is therefore read at check, which has a library for it.
"""

from dataclasses import dataclass
from typing import Final

from tidemill.domain.finding import Finding, amount
from tidemill.domain.gzip_head import HARMLESS_BYTES, MAX_RATIO, MAX_UNPACKED_BYTES

MAGIC: Final = b"\x28\xb5\x2f\xfd"
MAX_WINDOW_BYTES: Final = 128 * 2**20
"""What a reader must hold in memory: the format's tools refuse more without being asked to."""

_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one of the bytes
_SKIPPABLE_BEGINS: Final = range(0x50, 0x60)
_SKIPPABLE_HEADER = 8
_LEAST_WINDOW = 10  # its size's logarithm
_ID_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a header says; None where it does not."""

    window: int | None  # bytes
    content: int | None  # bytes, unpacked
    dictionary: bool


def is_zstd(head: bytes) -> bool:
    """Return whether *head* begins a Zstandard file."""
    return head.startswith(MAGIC) or _skippable(head)


def judge(head: bytes, size: int) -> Finding | None:
    """
    Judge *head*, the first bytes of a Zstandard file of *size* bytes.

    Returns:
        The rule that the header breaks, or None: then only unpacking can tell more.
    """
    start = 0
    while _skippable(head[start : start + _SKIPPABLE_HEADER]):  # packers' comments and indexes
        length = int.from_bytes(head[start + 4 : start + _SKIPPABLE_HEADER], "little")
        start += _SKIPPABLE_HEADER + length
    if start >= size:
        return _corrupt("it holds no frame with content")
    if start >= len(head):
        return None
    if not head.startswith(MAGIC, start):
        return _corrupt("no frame follows its first one")
    frame = _read(head[start + len(MAGIC) :])
    if frame is None:
        return _corrupt("its header is cut short or of no known kind")
    return _bounded(frame, size)


def _read(header: bytes) -> _Frame | None:
    if not header or header[0] & 0b1000:  # a reserved bit
        return None
    flags, single = header[0], bool(header[0] & 0b10_0000)
    at = 1
    window = None
    if not single:
        if len(header) <= at:
            return None
        base = 1 << (_LEAST_WINDOW + (header[at] >> 3))
        window = base + base // 8 * (header[at] & 0b111)
        at += 1
    ids = _ID_BYTES[flags & 0b11]
    dictionary = any(header[at : at + ids])
    at += ids
    wide = _SIZE_BYTES[flags >> 6] or int(single)
    if len(header) < at + wide:
        return None
    content = int.from_bytes(header[at : at + wide], "little") if wide else None
    if content is not None and wide == _SIZE_BYTES[1]:
        content += 256  # a width of two begins where one ends
    return _Frame(window or content, content, dictionary)


def _bounded(frame: _Frame, size: int) -> Finding | None:
    if frame.dictionary:
        return Finding(
            "zstd_dictionary",
            "The file is packed with a Zstandard dictionary, which is not in the file.",
            "Pack it without a dictionary, and upload it again.",
        )
    content = frame.content or 0
    if content > max(MAX_RATIO * size, HARMLESS_BYTES):
        return Finding(
            "unpack_ratio",
            f"The file is {amount(size)} packed and says that it is {amount(content)} unpacked, "
            f"{content // size} times as much; tables pack at most {MAX_RATIO} times.",
            "Look whether the file holds what you mean; if it does, upload it unpacked, "
            "or as Parquet.",
        )
    if content > MAX_UNPACKED_BYTES:
        return Finding(
            "unpacked_too_large",
            f"The file is {amount(size)} packed and says that it is {amount(content)} unpacked; "
            f"at most {amount(MAX_UNPACKED_BYTES)} are read from one file.",
            "Split it into several files of the same delivery, or upload Parquet.",
        )
    if (frame.window or 0) > MAX_WINDOW_BYTES:
        return Finding(
            "zstd_window_too_large",
            f"Unpacking the file takes a window of {amount(frame.window or 0)}; "
            f"at most {amount(MAX_WINDOW_BYTES)} are given.",
            "Pack it with a smaller window (`zstd --long=27` is the largest), and upload it again.",
        )
    return None


def _skippable(head: bytes) -> bool:
    return head[1:4] == _SKIPPABLE and head[0] in _SKIPPABLE_BEGINS


def _corrupt(found: str) -> Finding:
    return Finding(
        "corrupt_zstd",
        f"The file is Zstandard, but {found}: it was cut short or damaged.",
        "Test the file with `zstd -t`, pack it again if that fails, and upload it once more.",
    )
