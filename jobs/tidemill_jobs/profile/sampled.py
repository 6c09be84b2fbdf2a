"""
A sample of a batch for the quantile sketch: every 2^L-th number in about ascending order.

To take every w-th of n sorted numbers errs by at most w ranks, but sorting them is what a sketch
costs. Sorted in rows of B instead, each with an offset of its own, the errors of the n / B rows are
independent, and their variance is w^2 n / (6 B) on average. That is done in two stages: short rows,
which a processor sorts in its registers, of which every fourth or eighth number stays, then longer
rows of those. How short they may be follows from how many numbers the sketch knows by then: what a
stage adds to the error shall be a small part of it.

Source:
    The systematic sample of a sorted row as in Manku, Rajagopalan and Lindsay, *Random sampling
    techniques for space efficient online computation of order statistics* (SIGMOD 1999).
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.profile.batch import Batch, borrow
from tidemill_jobs.profile.distinct import mix

#: Rows of how many, of which every how manyth stays: the fastest first.
_SHORT: Final = ((64, 8), (64, 4), (512, 4))
#: The standard deviation that a stage may add, in units of 1 / k; a sketch's error is about 1.1.
_FIRST: Final = 0.3
_SECOND: Final = 0.15
_LEAST_ROW: Final = 256
_BITS: Final = 64
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)

Floats = NDArray[np.float64]


def sampled(numbers: Batch, level: int, total: int, k: int, coin: int) -> dict[int, Floats]:
    """
    Return numbers that stand for those of a batch, by level: one of level i for 2^i of them.

    Args:
        numbers: The batch.
        level: Where most of the sample shall be.
        total: How many numbers the sketch knows with these.
        k: The sketch's size.
        coin: 64 random bits.
    """
    if numbers.counts is not None:
        return _of_counted(numbers.values, numbers.counts, level, coin)
    values = borrow("sorted", len(numbers.values), np.float64)
    np.copyto(values, numbers.values)
    if level == 0:
        return {0: values.copy()}
    found: dict[int, Floats] = {}
    weight, wanted = 1, 1 << level
    for row, step in _SHORT:
        enough = total >= step**2 * k**2 / (6 * row * _FIRST**2)
        if enough and step < wanted and len(values) >= row:
            values, found[0] = _thinned(values, row, step, coin)
            weight = step
            break
    step = wanted // weight
    needed = int(wanted**2 * k**2 / (6 * weight * _SECOND**2 * total))
    row = max(_LEAST_ROW, step, 1 << needed.bit_length())
    found[level], found[weight.bit_length() - 1] = _thinned(values, row, step, coin * 3 % 2**_BITS)
    return found


def _thinned(values: Floats, row: int, step: int, coin: int) -> tuple[Floats, Floats]:
    """Sort in rows and take every *step*-th; return them, and the few that fill no step."""
    whole = len(values) // row * row
    offsets = _offsets(whole // row + 1, step, coin)
    values[:whole].reshape(-1, row).sort(axis=1)
    places = np.arange(0, whole, step).reshape(-1, row // step)
    places += offsets[:-1, None]
    last = values[whole:]
    last.sort()
    body = len(last) // step * step
    taken = (values.take(places.ravel()), last[offsets[-1] : body : step])
    # Wherever the few that are left over were taken from, each stands for itself.
    return np.concatenate(taken), last[body:].copy()


def _offsets(size: int, step: int, coin: int) -> NDArray[np.int64]:
    """Return random numbers below a power of two."""
    bits = _random_bits(1 << size.bit_length())[:size] ^ np.uint64(coin)
    return (bits >> np.uint64(_BITS + 1 - step.bit_length())).view(np.int64)


@cache
def _random_bits(size: int) -> NDArray[np.uint64]:
    return mix(np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN)


def _of_counted(
    values: NDArray[Any], counts: NDArray[np.int64], level: int, coin: int
) -> dict[int, Floats]:
    ends = np.cumsum(counts)
    rows, step = int(ends[-1]), 1 << level
    body = rows // step * step

    def at(places: NDArray[np.int64]) -> Floats:
        found: Floats = values[np.searchsorted(ends, places, side="right")].astype(np.float64)
        return found

    if level == 0:
        return {0: at(np.arange(rows))}
    return {0: at(np.arange(body, rows)), level: at(np.arange(coin % step, body, step))}
