"""
Numbers in ascending order: what every statistic of them is made from, so they are sorted once.

A fresh array of a megabyte costs more in page faults than the work done on it, so values are
sorted, and worked on, in buffers that each thread keeps. An `Ascending` is therefore valid only
until its thread sorts the next column.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS: Final = 16_384  # whole numbers within so wide a range are counted, not sorted


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.kept: dict[str, NDArray[np.uint64]] = {}


_BUFFERS: Final = _Buffers()


def borrow(slot: str, size: int, dtype: Any) -> NDArray[Any]:
    """Return this thread's array of *size* values of 8 bytes; what it held is lost."""
    kept = _BUFFERS.kept.get(slot)
    if kept is None or len(kept) < size:
        kept = _BUFFERS.kept[slot] = np.empty(size, np.uint64)
    return kept[:size].view(dtype)


@dataclass(frozen=True, slots=True)
class Ascending:
    """
    Numbers in ascending order.

    Attributes:
        values: All of them; or each different one once, where `counts` tells how often.
        counts: How often each value occurs; None: once for each place in `values`.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64] | None = None

    @classmethod
    def none(cls, dtype: Any = np.float64) -> Self:
        """Return no numbers."""
        return cls(np.empty(0, dtype))

    @classmethod
    def of_wholes(cls, values: NDArray[np.int64]) -> Self:
        """Sort whole numbers."""
        if len(values) < BINS:
            return cls(_sorted(values, np.int64))
        low, high = int(values.min()), int(values.max())
        if high - low < BINS:
            places = borrow("work", len(values), np.int64)
            np.subtract(values, low, out=places)
            counts = np.bincount(places)
            found = np.flatnonzero(counts)
            return cls(found + low, counts[found])
        if high - low < 2**32 and (values[1:] < values[:-1]).any():
            short = borrow("work", len(values), np.uint32)[: len(values)]
            np.subtract(values, low, out=short, casting="unsafe")
            short.sort()  # twice as fast as 64 bits
            kept = borrow("sorted", len(values), np.int64)
            return cls(np.add(short, low, out=kept))
        return cls(_sorted(values, np.int64))

    @classmethod
    def of_floats(cls, values: NDArray[np.float64]) -> Self:
        """Sort floats; NaN come last."""
        return cls(_sorted(values, np.float64))

    @classmethod
    def of_counted(cls, values: pl.Series, counts: pl.Series) -> Self:
        """Sort values, each with how often it occurs."""
        found = values.to_numpy()
        order = np.argsort(found)
        ordered, rows = found[order], counts.to_numpy().astype(np.int64)[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        if 0 < len(starts) < len(ordered):  # 1 and 1.0 are one number
            return cls(ordered[starts], np.add.reduceat(rows, starts))
        return cls(ordered, rows)

    @property
    def rows(self) -> int:
        """How many numbers there are."""
        return len(self.values) if self.counts is None else int(self.counts.sum())

    def between(self, start: int, end: int) -> "Ascending":
        """Return those from one place to another."""
        counts = None if self.counts is None else self.counts[start:end]
        return Ascending(self.values[start:end], counts)

    def picked(self, first: int, end: int, step: int) -> NDArray[np.float64]:
        """Return every *step*-th number from the *first*-th on, before the *end*-th."""
        if self.counts is None:
            return self.values[first:end:step].astype(np.float64)
        places = np.arange(first, end, step)
        found = np.searchsorted(np.cumsum(self.counts), places, side="right")
        return self.values[found].astype(np.float64)

    def different(self) -> "Ascending":
        """Return each value once with its count."""
        if self.counts is not None or not len(self.values):
            return Ascending(
                self.values, np.ones(0, np.int64) if self.counts is None else self.counts
            )
        starts = np.concatenate(([0], np.flatnonzero(self._changes()) + 1))
        return Ascending(self.values[starts], np.diff(starts, append=len(self.values)))

    def how_many(self) -> int:
        """Return how many values differ."""
        if self.counts is not None or not len(self.values):
            return len(self.values)
        return int(np.count_nonzero(self._changes())) + 1

    def _changes(self) -> NDArray[np.bool_]:
        changes: NDArray[np.bool_] = borrow("bits", len(self.values), np.bool_)
        changes = changes[: len(self.values) - 1]
        np.not_equal(self.values[1:], self.values[:-1], out=changes)
        return changes


def _sorted(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    kept = borrow("sorted", len(values), dtype)
    np.copyto(kept, values)
    in_order = borrow("work", len(values), np.bool_)[: max(0, len(values) - 1)]
    np.less_equal(kept[:-1], kept[1:], out=in_order)
    if not in_order.all():  # NaN is never in order
        kept.sort()
    return kept
