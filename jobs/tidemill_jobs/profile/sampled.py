"""
A sample of a batch for the quantile sketch: every 2^L-th number in about ascending order.

To take every w-th of n sorted numbers errs by at most w ranks, but sorting them is what a sketch
costs. So there are stages, each of which leaves fewer numbers to the next: of short rows, which a
processor sorts in its registers, every second or fourth stays; only what is left by those is sorted
as a whole, and of that every so manyth stays that L is reached.

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

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs import kernel
from tidemill_jobs.kernel import ROW, SIDE
from tidemill_jobs.profile.batch import Batch, borrow

#: The standard deviation that short rows may add, in units of 1 / k; a sketch's error is about 1.1.
_ADDED: Final = 0.4
#: Every so manyth number that stays, stage by stage; the fastest first.
_PLANS: Final = ((4, 4), (4, 2), (4,), (2, 2), (2,))
_TOGETHER: Final = SIDE * ROW
_ALL: Final = 2**64
_GOLDEN: Final = 0x9E3779B97F4A7C15
#: Of 2^64, the two numbers whose multiples fill a square most evenly: 1 / p and 1 / p^2, where
#: p^3 = p + 1 (Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018).
_PER_ROW: Final = 0xC13FA9A902A6328F
_PER_BATCH: Final = 0x91E10DA5C79E7B1D

Floats = NDArray[np.float64]
Plan = tuple[int, ...]


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
    if level == 0:
        return {0: numbers.values.astype(np.float64)}
    values = numbers.values.astype(np.float64, copy=False)
    kept = borrow("sorted", len(values), np.float64)
    found: dict[int, Floats] = {}
    weight, wanted = 1, 1 << level
    for step in _plan(len(values), wanted, total, k):
        whole = len(values) // _TOGETHER * _TOGETHER
        found[weight.bit_length() - 1] = values[whole:].copy()
        start = _place(turn * weight * _PER_BATCH)
        values = kernel.thin(values[:whole], step, start=start, per_row=_PER_ROW, out=kept)
        weight *= step
    if weight == 1:
        np.copyto(kept, values)
        values = kept
    values.sort()
    step = wanted // weight
    body = len(values) // step * step
    # Wherever the few that are left over were taken from, each stands for itself.
    found[weight.bit_length() - 1] = values[body:].copy()
    found[level] = values[_first(step, turn) : body : step].copy()
    return found


def _plan(size: int, wanted: int, total: int, k: int) -> Plan:
    """Return the fastest stages that add no more to the error than they may."""
    if size < _TOGETHER * _PLANS[0][0]:
        return ()
    allowed = _ADDED**2 * total / k**2
    return next((plan for plan in _PLANS if _added(plan, wanted) <= allowed), ())


def _added(plan: Plan, wanted: int) -> float:
    """Return what stages add to the variance of a rank, for each number."""
    weight, variance = 1, 0.0
    for step in plan:
        variance += weight * step**2 / (12 * ROW)
        weight *= step
    return variance if weight < wanted else math.inf


def _place(turns: int) -> int:
    """Return the share of 2^64 from which a batch's rows start: the first in the middle."""
    return (_ALL // 2 + turns) % _ALL


def _first(step: int, turn: int) -> int:
    """Return which of the first *step* numbers of a batch is taken."""
    return _place(turn * _GOLDEN) * step // _ALL


def _of_counted(
    values: NDArray[Any], counts: NDArray[np.int64], level: int, turn: int
) -> dict[int, Floats]:
    ends = np.cumsum(counts)
    rows, step = int(ends[-1]), 1 << level
    body = rows // step * step

    def at(places: NDArray[np.int64]) -> Floats:
        found: Floats = values[np.searchsorted(ends, places, side="right")].astype(np.float64)
        return found

    if level == 0:
        return {0: at(np.arange(rows))}
    first = _first(step, turn)
    return {0: at(np.arange(body, rows)), level: at(np.arange(first, body, step))}
