"""The oracles' definitions, taken of our profiles: their cells, their norms, their logarithms."""

import math

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.drift.compare import cdf_of, counts_of
from tidemill_jobs.drift.distances import Cdf, share_below, share_up_to
from tidemill_jobs.drift.significance import chi_squared_tail
from tidemill_jobs.profile import Column

Floats = NDArray[np.float64]
NATS = math.sqrt(math.log(2))  # Evidently's Jensen-Shannon distance has the natural logarithm


def histogram(cdf: Cdf, edges: Floats) -> Floats:
    """Return the shares of numpy's cells: each without its upper edge, the last one with it."""
    ends = np.append(share_below(cdf, edges[:-1]), share_up_to(cdf, edges[-1:]))
    return np.diff(ends)


def cells(was: Column, now: Column, edges: Floats | None) -> tuple[Floats, Floats]:
    """Return both sides' shares of Evidently's cells: between edges, or a value each."""
    if was.numbers is None:
        return tuple(side / side.sum() for side in counts(was, now))
    before, after = cdf_of(was), cdf_of(now)
    if edges is not None:
        return histogram(before, edges), histogram(after, edges)
    values = np.union1d(before.values, after.values)
    return tuple(share_up_to(s, values) - share_below(s, values) for s in (before, after))


def with_rest(was: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Return cells with one more, for what lies outside of NannyML's, if anything does."""
    rest = 1.0 - now.sum()
    return (np.append(was, 0.0), np.append(now, rest)) if rest > 1e-12 else (was, now)


def stability(was: Floats, now: Floats) -> float:
    """Return Evidently's PSI: an empty cell has 0.0001, or less where another has less."""
    was, now = (np.where(side > 1e-15, side, _floor(side)) for side in (was, now))
    return float(((was - now) * np.log(was / now)).sum())


def _floor(side: Floats) -> float:
    least = side[side > 1e-15].min()
    return least / 1e6 if least <= 1e-4 else 1e-4


def counts(was: Column, now: Column) -> tuple[Floats, Floats]:
    """Return rows by category."""
    before, after = counts_of(was), counts_of(now)
    names = sorted(before.listed.keys() | after.listed.keys())
    return tuple(np.array([s.listed.get(name, 0.0) for name in names]) for s in (before, after))


def contingency(was: Column, now: Column) -> tuple[float, float]:
    """Return NannyML's chi-squared of two samples and its p-value: no category is merged."""
    table = np.array(counts(was, now), float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    gaps = np.abs(table - expected)
    freedom = table.shape[1] - 1
    if freedom == 1:  # Yates' correction
        gaps -= np.minimum(0.5, gaps)
    statistic = float((gaps**2 / expected).sum())
    return statistic, chi_squared_tail(statistic, freedom)


def goodness(was: Column, now: Column) -> float:
    """Return Evidently's p-value: the baseline is taken for the truth."""
    before, after = counts(was, now)
    expected = before / before.sum() * after.sum()
    with np.errstate(divide="ignore"):
        statistic = float(((after - expected) ** 2 / expected).sum())
    return chi_squared_tail(statistic, len(before) - 1)
