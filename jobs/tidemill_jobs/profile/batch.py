"""
Numbers of a batch, in any order: what their statistics are made from.

Nothing here sorts all of them unless it must: sorting is most of a profile's cost. A fresh array of
a megabyte costs more in page faults than the work done on it, so there are buffers that each thread
keeps. A `Batch` is therefore valid only until its thread begins with the next column.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import kernel
from tidemill_jobs.kernel import Look
from tidemill_jobs.values import LARGEST

BINS: Final = 16_384  # whole numbers within so wide a range are counted, not sorted
BUCKETS: Final = 65_536
_BUCKET: Final = np.uint64(BUCKETS - 1)
_RARELY: Final = 8
_SPARSE: Final = 4  # bins for each number, at most

Keys = NDArray[np.uint64]


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
class Batch:
    """
    Finite numbers.

    Attributes:
        values: All of them, in any order; or each different one once and ascending, where `counts`
            tells how often.
        low: The least; without a meaning where there is none.
        high: The greatest.
        counts: How often each value occurs; None: once for each place in `values`.
        seen: What a look at all of them has found; None where they are counted.
    """

    values: NDArray[Any]
    low: float = 0
    high: float = 0
    counts: NDArray[np.int64] | None = None
    seen: Look | None = None

    @classmethod
    def none(cls, dtype: Any = np.float64) -> Self:
        """Return no numbers."""
        return cls(np.empty(0, dtype))

    @classmethod
    def of_wholes(cls, values: NDArray[np.int64]) -> Self:
        """Return whole numbers; those within a narrow range are counted."""
        if not len(values):
            return cls(values)
        values = np.ascontiguousarray(values, np.int64)
        seen = kernel.look_at_wholes(values)
        low, high = int(seen.low), int(seen.high)
        if high - low >= min(BINS, _SPARSE * len(values)):
            return cls(values, low, high, seen=seen)
        places = borrow("work", len(values), np.int64)
        np.subtract(values, low, out=places)
        counts = np.bincount(places)
        found = np.flatnonzero(counts)
        return cls(found + low, low, high, counts[found])

    @classmethod
    def of_floats(cls, values: NDArray[np.float64]) -> Self:
        """Return floats; `seen` tells of NaN, and of those that models cannot hold."""
        if not len(values):
            return cls(values)
        values = np.ascontiguousarray(values, np.float64)
        seen = kernel.look(values, LARGEST)
        return cls(values, seen.low, seen.high, seen=seen)

    @classmethod
    def of_counted(cls, values: pl.Series, counts: pl.Series) -> Self:
        """Return values, each with how often it occurs."""
        found = values.to_numpy()
        if not len(found):
            return cls(found)
        order = np.argsort(found)
        ordered, rows = found[order], counts.to_numpy().astype(np.int64)[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        if len(starts) < len(ordered):  # 1 and 1.0 are one number
            ordered, rows = ordered[starts], np.add.reduceat(rows, starts)
        return cls(ordered, ordered[0].item(), ordered[-1].item(), rows)

    @property
    def rows(self) -> int:
        """How many numbers there are."""
        return len(self.values) if self.counts is None else int(self.counts.sum())

    @property
    def times(self) -> NDArray[np.int64]:
        """How often each value occurs."""
        return np.ones(len(self.values), np.int64) if self.counts is None else self.counts

    def counted(self) -> "Batch":
        """Return the different values, ascending, with their counts."""
        if self.counts is not None or not len(self.values):
            return self
        ascending = borrow("sorted", len(self.values), self.values.dtype)
        np.copyto(ascending, self.values)
        ascending.sort()
        values, counts = runs(ascending)
        return Batch(values, self.low, self.high, counts)

    def counted_if(self, most: int) -> "Batch":
        """Return the different values with their counts, if they are at most so many; else self."""
        if self.counts is not None or len(self.values) <= most:
            return self.counted()
        head = np.sort(self.values[: 2 * most])
        if np.count_nonzero(head[1:] != head[:-1]) >= most:
            return self  # as nearly all columns of fractions tell at once
        counted = self.counted()
        return counted if len(counted.values) <= most else self


def runs(ascending: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return each value of an ascending array once, and how often it occurs."""
    changes = borrow("bits", len(ascending), np.bool_)[: max(0, len(ascending) - 1)]
    np.not_equal(ascending[1:], ascending[:-1], out=changes)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    return ascending[starts], np.diff(starts, append=len(ascending))


def tallied(keys: Keys, known: Keys) -> tuple[Keys, NDArray[np.int64]] | None:
    """
    Return each different key once, in no order, and how often it occurs; None where it is slow.

    Each known key has a bucket, so that most keys need no sorting.
    """
    table = borrow("table", BUCKETS, np.uint64)
    table.fill(0)
    table[(known & _BUCKET).view(np.int64)] = known
    places = borrow("work", len(keys), np.uint64)
    places = np.bitwise_and(keys, _BUCKET, out=places).view(np.int64)
    hit = table.take(places) == keys
    missed = keys[:0]
    if not hit.all():
        missed = keys[~hit]
        if len(missed) * _RARELY > len(keys):
            return None
        places = places[hit]
    counts = np.bincount(places, minlength=BUCKETS)
    found = np.flatnonzero(counts)
    missed = np.sort(missed)
    more, rows = runs(missed) if len(missed) else (missed, counts[:0])
    return np.concatenate((table[found], more)), np.concatenate((counts[found], rows))


def unknown(keys: Keys, known: Keys) -> Keys:
    """Return the keys without nearly all of those that are known, of which each has a bucket."""
    table = borrow("table", BUCKETS, np.uint64)
    table.fill(1)
    table[1] = 0  # so that no empty bucket holds a key of its own
    table[(known & _BUCKET).view(np.int64)] = known
    places = borrow("work", len(keys), np.uint64)
    places = np.bitwise_and(keys, _BUCKET, out=places).view(np.int64)
    return keys.take(np.flatnonzero(table.take(places) != keys))
