"""Two samples of one feature, cut into the same few bins: what an overlay shows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.profile import Column, Kll

MOST_BINS = 36
MOST_VALUES = 10  # categories with a bar of their own
_TAIL = 0.005  # of either sample may lie beyond either end of the picture
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bins:
    """
    Shares of both samples in each bin, 0 to 1.

    Attributes:
        edges: Ascending, (n + 1,).
        was: Shares of the baseline, (n,).
        now: Shares of the traffic, (n,).
        beyond: Shares of both that lie outside the edges.
    """

    edges: Floats
    was: Floats
    now: Floats
    beyond: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One category's shares of the rows that have a value; *value* None is all others."""

    value: str | None
    was: float
    now: float


def bins_of(was: Kll, now: Kll, *, whole: bool = False) -> Bins | None:
    """
    Cut two samples of numbers into the same bins; None when neither has any.

    Args:
        was: The baseline's.
        now: The traffic's; one of both may be empty.
        whole: All are whole numbers: then a bin holds whole numbers too.
    """
    sides = [side for side in (was, now) if side.count]
    if not sides:
        return None
    ends = np.array([side.quantile((_TAIL, 1.0 - _TAIL)) for side in sides])
    edges = _edges(float(ends[:, 0].min()), float(ends[:, 1].max()), whole=whole)
    shares = [_shares(side, edges) for side in (was, now)]
    beyond = [max(0.0, 1.0 - float(part.sum())) if part.any() else 0.0 for part in shares]
    return Bins(edges, shares[0], shares[1], (beyond[0], beyond[1]))


def bars_of(was: Column, now: Column) -> list[Bar]:
    """Return the categories that either sample has most of, most frequent first, then others."""
    counts = was.categories, now.categories
    shares = [_of_present(side, part) for side, part in zip((was, now), counts, strict=True)]
    names = {*_first(shares[0]), *_first(shares[1])}
    both = [Bar(name, shares[0].get(name, 0.0), shares[1].get(name, 0.0)) for name in names]
    both.sort(key=lambda bar: (-max(bar.was, bar.now), bar.value or ""))
    shown = both[:MOST_VALUES]
    rest = [
        1.0 - sum(getattr(bar, side) for bar in shown) if column.present else 0.0
        for side, column in (("was", was), ("now", now))
    ]
    if max(rest) > 1e-9:  # noqa: PLR2004  # more than rounding
        shown.append(Bar(None, max(0.0, rest[0]), max(0.0, rest[1])))
    return shown


def _of_present(side: Column, counts: Mapping[str, int]) -> dict[str, float]:
    present = side.present
    return {name: rows / present for name, rows in counts.items()} if present else {}


def _first(shares: Mapping[str, float]) -> list[str]:
    return list(shares)[:MOST_VALUES]


def _shares(side: Kll, edges: Floats) -> Floats:
    if not side.count:
        return np.zeros(len(edges) - 1)
    first = np.nextafter(edges[:1], -math.inf)  # the first bin has its left edge too
    return np.diff(side.rank(np.concatenate((first, edges[1:]))))


def _edges(low: float, high: float, *, whole: bool) -> Floats:
    width = high - low
    if not math.isfinite(width) or width < 1e-9 * max(abs(low), abs(high), 1e-300):
        middle = low if math.isfinite(low) else 0.0
        half = 0.5 if whole else max(abs(middle) * 0.05, 1e-9)
        if middle + half > middle > middle - half:
            return np.array([middle - half, middle + half])
        return np.array([np.nextafter(middle, -math.inf), np.nextafter(middle, math.inf)])
    step = _step(width / MOST_BINS)
    if whole:
        step = max(1.0, math.ceil(step))
        first = math.floor(low / step) * step - 0.5
    else:
        first = math.floor(low / step) * step
    count = max(1, math.ceil((high - first) / step))
    edges: Floats = first + step * np.arange(count + 1, dtype=np.float64)
    return edges


def _step(least: float) -> float:
    """Return the least round number that is no less: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(one * power for one in _STEPS if one * power >= least * (1 - 1e-12))
