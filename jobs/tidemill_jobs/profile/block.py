"""
Look at the bytes of a block of CSV: is every row whole, and would parsing lose `007`?

Asked of blocks that the kernel left to polars (`tidemill_jobs.kernel.separated`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.csv_structure import NEWLINE, QUOTE
from tidemill_jobs.values import BLANK

STEP: Final = 131_072  # bytes; what is worked on stays in the processor's cache
_ZERO: Final = 48
_SPACE: Final = 32
_TAB: Final = 9
_TEN: Final = 10
_AROUND: Final = 2  # bytes that a code needs beside its first

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Found:
    """Counts of a block of whole rows, bytes inside quotes left out of the first two."""

    separators: int
    rows: int
    codes: int  # cells that begin with a zero and another digit; never too low


def _zero_follows(after: Bytes) -> bool:
    """Return whether a zero may follow a blank with which a cell begins."""
    return bool(((after == _ZERO) | (after == _SPACE) | (after == _TAB)).any())


def scan(block: bytes, separator: int) -> Found:
    """Count what tells the shape of a block."""
    data = np.frombuffer(block, np.uint8)
    work = _Work(min(STEP, len(data)) + _AROUND)
    separators = ends = codes = 0
    quotes: list[NDArray[np.int64]] = []
    for start in range(0, len(data), STEP):
        part = data[start : start + STEP + _AROUND]
        own = min(STEP, len(part))
        found = work.look(part, own, separator)
        separators += found[0]
        ends += found[1]
        codes += found[2]
        if found[3] is not None:
            quotes.append(found[3] + start)
    rows = ends + int(data[-1] != NEWLINE)
    if quotes:
        inside = _inside(data, np.concatenate(quotes))
        separators -= int(np.count_nonzero(inside == separator))
        rows -= int(np.count_nonzero(inside == NEWLINE))
    codes += _at_the_start(block)
    if work.blanks or (b"\t" in block and separator != ord("\t")):
        codes += _after_blanks(block, separator)
    return Found(separators, rows, codes)


class _Work:
    """Arrays that every step uses again: fresh ones would cost more than the work."""

    def __init__(self, size: int) -> None:
        self.blanks = False  # some cell, or a text inside quotes, begins with a blank and a zero
        self._starts = np.empty(size, np.bool_)
        self._found = np.empty(size, np.bool_)
        self._bytes = np.empty(size, np.uint8)

    def look(
        self, part: Bytes, own: int, separator: int
    ) -> tuple[int, int, int, NDArray[np.int64] | None]:
        """Count separators, line feeds and codes among the first *own* bytes; find quotes."""
        starts, found = self._starts[: len(part)], self._found[: len(part)]
        np.equal(part, separator, out=starts)
        separators = int(np.count_nonzero(starts[:own]))
        np.equal(part, NEWLINE, out=found)
        ends = int(np.count_nonzero(found[:own]))
        np.logical_or(starts, found, out=starts)
        np.equal(part, QUOTE, out=found)
        quotes = None
        if found[:own].any():
            quotes = np.flatnonzero(found[:own])
            np.logical_or(starts, found, out=starts)
        starts = starts[:-_AROUND]
        np.equal(part, _SPACE, out=found)
        after = found[1:-1]
        np.logical_and(starts, after, out=after)
        if after.any():
            self.blanks |= _zero_follows(part[_AROUND:][after])
        np.equal(part, _ZERO, out=found)
        np.logical_and(starts, after, out=starts)
        if not starts.any():
            return separators, ends, 0, quotes
        digits = self._bytes[: len(starts)]
        np.subtract(part[_AROUND:], _ZERO, out=digits)
        np.less(digits, _TEN, out=found[: len(starts)])
        np.logical_and(starts, found[: len(starts)], out=starts)
        return separators, ends, int(np.count_nonzero(starts)), quotes


def _inside(data: Bytes, quotes: NDArray[np.int64]) -> Bytes:
    """Return the bytes that stand inside quotes."""
    quotes = quotes[: len(quotes) // 2 * 2]
    opened, lengths = quotes[::2], quotes[1::2] - quotes[::2]
    total = int(lengths.sum())
    if total * 8 > len(data):
        return data[np.bitwise_xor.accumulate(data == QUOTE)]
    starts = np.cumsum(lengths) - lengths
    return data[np.repeat(opened - starts, lengths) + np.arange(total)]


def _at_the_start(block: bytes) -> int:
    head = block[:STEP].lstrip(BLANK.encode())
    return int(head[:1] == b"0" and head[1:2].isdigit())


def _after_blanks(block: bytes, separator: int) -> int:
    """Return how many cells may hold a blank and then a zero; more than are codes."""
    starts = (separator, NEWLINE, QUOTE)
    return sum(block.count(bytes([start, ord(blank)])) for start in starts for blank in BLANK)
