"""
A sample of a batch for the quantile sketch: every 2^L-th number in about ascending order.

To take every w-th of n sorted numbers errs by at most w ranks, but sorting them is what a sketch
costs. So there are two stages: short rows, which a processor sorts in its registers, of which every
fourth or eighth stays; then longer rows of those, of which every so manyth stays that L is reached.

Of rows of B, each number of which stands for v of the n, every s-th stays; where in a row the first
one is taken goes evenly through all places, from row to row and from batch to batch. Then the
errors of the rows are independent and centred, and their variance is v s^2 n / (12 B). How coarse
the stages may be follows from how many numbers the sketch knows by then: what they add to the error
shall be a part of it only.

Source:
    The systematic sample of a sorted row as in Manku, Rajagopalan and Lindsay, *Random sampling
    techniques for space efficient online computation of order statistics* (SIGMOD 1999). The even
    places: Weyl, *Über die Gleichverteilung von Zahlen mod. Eins* (1916).
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs import kernel
from tidemill_jobs.kernel import SIDE
from tidemill_jobs.profile.batch import Batch, borrow

#: The standard deviation that a stage may add, in units of 1 / k; a sketch's error is about 1.1.
_SHORT: Final = 0.3
_LONG: Final = 0.15
_LEAST_ROW: Final = 256
_BITS: Final = 64
_ALL: Final = 2**_BITS
_GOLDEN: Final = 0x9E3779B97F4A7C15
#: Of 2^64, the two numbers whose multiples fill a square most evenly: 1 / p and 1 / p^2, where
#: p^3 = p + 1 (Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018).
_PER_ROW: Final = 0xC13FA9A902A6328F
_PER_BATCH: Final = 0x91E10DA5C79E7B1D

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


#: Short rows and the step in each, the fastest first.
_PLANS: Final = ((64, 8), (64, 4), (256, 4), (512, 4))


def sampled(numbers: Batch, level: int, total: int, k: int, turn: int) -> dict[int, Floats]:
    """
    Return numbers that stand for those of a batch, by level: one of level i for 2^i of them.

    Args:
        numbers: The batch.
        level: Where most of the sample shall be.
        total: How many numbers the sketch knows with these.
        k: The sketch's size.
        turn: Which batch of the sketch it is, from 0.
    """
    if numbers.counts is not None:
        return _of_counted(numbers.values, numbers.counts, level, turn)
    values = borrow("sorted", len(numbers.values), np.float64)
    np.copyto(values, numbers.values)
    if level == 0:
        return {0: values.copy()}
    found: dict[int, Floats] = {}
    weight, wanted = 1, 1 << level
    plan = _plan(len(values), wanted, total, k)
    if plan is not None:
        (row, weight), start = plan, turn * _PER_BATCH
        whole = len(values) // (SIDE * row) * SIDE * row
        out = borrow("bits", whole // weight, np.float64)
        kept = kernel.thin(
            values[:whole], row, weight, start=_ALL // 2 + start, per_row=_PER_ROW, out=out
        )
        rest, found[0] = _thinned(values[whole:], row, weight, start)
        values = np.concatenate((kept, rest))
    needed = int(wanted**2 * k**2 / (12 * weight * _LONG**2 * total))
    step = wanted // weight
    row = max(_LEAST_ROW, step, 1 << needed.bit_length())
    found[level], found[weight.bit_length() - 1] = _thinned(values, row, step, turn * _GOLDEN)
    return found


def _plan(size: int, wanted: int, total: int, k: int) -> tuple[int, int] | None:
    """Return the fastest short rows that add no more to the error than they may."""
    allowed = _SHORT**2 * total / k**2
    for row, step in _PLANS:
        if step**2 / (12 * row) <= allowed and step < wanted and size >= SIDE * row:
            return row, step
    return None


def _thinned(values: Floats, row: int, step: int, start: int) -> tuple[Floats, Floats]:
    """Sort in rows and take every *step*-th; return them, and the few that fill no step."""
    whole = len(values) // row * row
    firsts = _firsts(whole // row + 1, step, start)
    values[:whole].reshape(-1, row).sort(axis=1)
    places = np.arange(0, whole, step).reshape(-1, row // step)
    places += firsts[:-1, None]
    last = values[whole:]
    last.sort()
    body = len(last) // step * step
    taken = (values.take(places.ravel()), last[firsts[-1] : body : step])
    # Wherever the few that are left over were taken from, each stands for itself.
    return np.concatenate(taken), last[body:].copy()


def _firsts(rows: int, step: int, start: int) -> Places:
    """Return which of the first *step* (a power of two) numbers of each row is taken."""
    centred = np.uint64((_ALL // 2 + start) % _ALL)
    shares = _shares(1 << rows.bit_length())[:rows] + centred
    return (shares >> np.uint64(_BITS + 1 - step.bit_length())).view(np.int64)


@cache
def _shares(size: int) -> NDArray[np.uint64]:
    """Return shares of 2^64 that fill it evenly, however many of them are used."""
    return np.arange(size, dtype=np.uint64) * np.uint64(_PER_ROW)


def _of_counted(
    values: NDArray[Any], counts: NDArray[np.int64], level: int, turn: int
) -> dict[int, Floats]:
    ends = np.cumsum(counts)
    rows, step = int(ends[-1]), 1 << level
    body = rows // step * step

    def at(places: Places) -> Floats:
        found: Floats = values[np.searchsorted(ends, places, side="right")].astype(np.float64)
        return found

    if level == 0:
        return {0: at(np.arange(rows))}
    first = int(_firsts(1, step, turn * _PER_BATCH)[0])
    return {0: at(np.arange(body, rows)), level: at(np.arange(first, body, step))}
