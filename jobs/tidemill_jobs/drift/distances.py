"""
How far apart two samples of one feature are, from their sketches alone.

Numbers come as a distribution function (`Cdf`), categories as counts (`Counts`). A distance that
does not exist (no rows on a side) is NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidemill_jobs.drift.significance import homogeneity, kolmogorov_tail

Floats = npt.NDArray[np.float64]

NOISE = 1.8  # Deequ's c(alpha) for alpha = 0.003 (Knuth, TAOCP 2, 3.3.1, equation 15)
CELLS = 10  # equal shares of the baseline, over which PSI and Jensen-Shannon sum
FLOOR = 1e-4  # an empty cell's share in PSI, which has a logarithm; Evidently's value too


@dataclass(frozen=True, slots=True)
class Cdf:
    """
    A distribution function in steps, as a KLL sketch tells it.

    Attributes:
        values: Ascending, (n,), finite; one value may occur repeatedly.
        weights: Rows up to and with each value, (n,): cumulative, above 0, not descending.
    """

    values: Floats
    weights: Floats

    @property
    def rows(self) -> float:
        """How many rows it stands for."""
        return float(self.weights[-1]) if len(self.weights) else 0.0

    @property
    def steps(self) -> Floats:
        """Rows at each value, (n,)."""
        found = self.weights.copy()
        found[1:] -= self.weights[:-1]
        return found


@dataclass(frozen=True, slots=True)
class Counts:
    """
    Rows per category.

    Attributes:
        listed: The most frequent categories; a count may be too low by `error`.
        other: Rows that `listed` does not tell of; 0 when it is complete.
        error: The most rows of one category that `listed` does not tell of.
    """

    listed: Mapping[str, int] = field(default_factory=dict)
    other: int = 0
    error: int = 0

    @property
    def rows(self) -> float:
        """How many rows it stands for."""
        return float(sum(self.listed.values()) + self.other)


@dataclass(frozen=True, slots=True)
class Distances:
    """
    One feature's distances; NaN where one does not apply.

    Attributes:
        linf_simple: Numbers: the largest difference between the distribution functions.
            Categories: the largest difference between a category's shares. 0 to 1.
        linf_robust: The same less what chance explains at these numbers of rows, at least 0.
        ks: The Kolmogorov-Smirnov statistic: for numbers the same as linf_simple.
        wasserstein: The area between the distribution functions, in the feature's own unit.
        wasserstein_std: The same in standard deviations of the baseline.
        psi: Population stability index, over cells of a tenth of the baseline each, or categories.
        js: Jensen-Shannon distance (base 2) over the same cells, 0 to 1.
        chi2: Chi-squared statistic of two samples of counts (categories only).
        p_value: Of chi2, or of ks; how likely chance alone is to do as much.
    """

    linf_simple: float = math.nan
    linf_robust: float = math.nan
    ks: float = math.nan
    wasserstein: float = math.nan
    wasserstein_std: float = math.nan
    psi: float = math.nan
    js: float = math.nan
    chi2: float = math.nan
    p_value: float = math.nan

    def document(self) -> dict[str, float]:
        """Return what applies; JSON has no NaN."""
        return {name: value for name, value in asdict(self).items() if not math.isnan(value)}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` wrote."""
        return cls(**{name: float(value) for name, value in document.items()})


def numeric(baseline: Cdf, current: Cdf, deviation: float | None = None) -> Distances:
    """
    Return the distances of a feature of numbers.

    Args:
        baseline: Its distribution before.
        current: Its distribution now.
        deviation: The baseline's standard deviation, if it is known exactly: a sketch's is several
            per cent too small where a few rows lie far out.
    """
    n, m = baseline.rows, current.rows
    if not n or not m:
        return Distances()
    largest, area = _between(baseline, current)
    was, now = _cells(baseline, current)
    deviation = _deviation(baseline) and (deviation or _deviation(baseline))
    return Distances(
        linf_simple=largest,
        linf_robust=robust(largest, n, m),
        ks=largest,
        wasserstein=area,
        wasserstein_std=area / deviation if deviation else math.nan,
        psi=stability(was, now),
        js=jensen_shannon(was, now),
        p_value=kolmogorov_tail(largest, n, m),
    )


def categorical(baseline: Counts, current: Counts) -> Distances:
    """Return the distances of a feature of categories."""
    n, m = baseline.rows, current.rows
    if not n or not m:
        return Distances()
    largest = max(map(abs, share_changes(baseline, current).values()), default=0.0)
    was, now = _same_cells(baseline, current)
    chi2, p_value = homogeneity(was, now)
    return Distances(
        linf_simple=largest,
        linf_robust=robust(largest, n, m),
        psi=stability(was / n, now / m),
        js=jensen_shannon(was / n, now / m),
        chi2=chi2,
        p_value=p_value,
    )


def robust(simple: float, baseline: float, current: float) -> float:
    """
    Return what is left of an L-infinity distance after what chance explains.

    Source:
        awslabs/deequ, analyzers/Distance.scala (`linfRobust`).
    """
    noise = NOISE * math.sqrt((baseline + current) / (baseline * current))
    return max(0.0, simple - noise)


def share_changes(baseline: Counts, current: Counts) -> dict[str, float]:
    """
    Return by how much each category's share grew, -1 to 1.

    Where a list is not complete, the change is what is certain, whatever the list leaves out.
    """
    n, m = baseline.rows, current.rows
    changes = {}
    for category in baseline.listed.keys() | current.listed.keys():
        was, now = baseline.listed.get(category, 0), current.listed.get(category, 0)
        grew = now / m - (was + baseline.error) / n
        shrank = was / n - (now + current.error) / m
        changes[category] = grew if grew > 0 else -max(shrank, 0.0)
    return changes


def stability(was: Floats, now: Floats) -> float:
    """Return the population stability index of shares; an empty cell counts as `FLOOR`."""
    was, now = np.maximum(was, FLOOR), np.maximum(now, FLOOR)
    return float(((now - was) * np.log(now / was)).sum())


def jensen_shannon(was: Floats, now: Floats) -> float:
    """
    Return the Jensen-Shannon distance of shares: the root of the divergence in bits, 0 to 1.

    Source:
        Lin, *Divergence measures based on the Shannon entropy*, 1991; the root is a metric
        (Endres and Schindelin, 2003).
    """
    middle = (was + now) / 2.0
    divergence = sum(
        float((side[some] * np.log2(side[some] / middle[some])).sum()) / 2.0
        for side, some in ((was, was > 0), (now, now > 0))
    )
    return math.sqrt(min(1.0, max(0.0, divergence)))


def _between(baseline: Cdf, current: Cdf) -> tuple[float, float]:
    """Return the largest difference between two distribution functions, and the area."""
    n, m = baseline.rows, current.rows
    values = np.concatenate([baseline.values, current.values])
    steps = np.concatenate(  # times n and m: whole numbers, so that what is equal differs by zero
        [baseline.steps * -m, current.steps * n]
    )
    order = np.argsort(values, kind="stable")  # two ascending runs: one merge
    gaps = np.abs(np.cumsum(steps[order]))[:-1] / (n * m)
    ordered = values[order]
    widths = ordered[1:] - ordered[:-1]
    steps_end = widths > 0  # between equal values the functions have no value yet
    largest = float(gaps[steps_end].max()) if steps_end.any() else 0.0
    return min(1.0, largest), _inner(gaps, widths)


def _cells(baseline: Cdf, current: Cdf) -> tuple[Floats, Floats]:
    """
    Return both samples' shares of cells that hold a tenth of the baseline each.

    A value with more rows than a cell (a constant, a flag, a code) is a cell of its own.
    """
    cells = min(CELLS, int(baseline.rows))
    targets = baseline.rows * np.arange(1, cells) / cells
    ends = baseline.values[np.searchsorted(baseline.weights, targets, side="left")]
    again = ends[1:] == ends[:-1]
    edges = ends[np.append(True, ~again)[: len(ends)]]
    heavy = edges[np.isin(edges, ends[1:][again])] if again.any() else ends[:0]
    return _shares(baseline, edges, heavy), _shares(current, edges, heavy)


def _shares(side: Cdf, edges: Floats, heavy: Floats) -> Floats:
    """Return the shares between *edges*, those of the *heavy* ones apart; both ascend."""
    inner = (share_up_to(side, edges), share_below(side, heavy))
    ends: Floats = np.sort(np.concatenate([np.array([0.0, 1.0]), *inner]))
    found: Floats = ends[1:] - ends[:-1]
    return found


def share_up_to(cdf: Cdf, values: Floats) -> Floats:
    """Return the share of rows at or below each value."""
    return _share(cdf, np.searchsorted(cdf.values, values, side="right"))


def share_below(cdf: Cdf, values: Floats) -> Floats:
    """Return the share of rows below each value."""
    return _share(cdf, np.searchsorted(cdf.values, values, side="left"))


def _share(cdf: Cdf, places: npt.NDArray[np.intp]) -> Floats:
    found: Floats = np.where(places > 0, cdf.weights[places - 1], 0.0) / cdf.rows
    return found


def _deviation(cdf: Cdf) -> float:
    weights = cdf.steps / cdf.rows
    centre = _inner(weights, cdf.values)
    return math.sqrt(_inner(weights, (cdf.values - centre) ** 2))


def _inner(one: Floats, other: Floats) -> float:
    # Not `@`: for some 10,000 numbers it wakes threads, which costs more than the work.
    return float(np.einsum("i,i->", one, other))


def _same_cells(baseline: Counts, current: Counts) -> tuple[Floats, Floats]:
    """Return rows per category in one order; what a list cannot tell apart is one cell, last."""
    told = [
        category
        for category in sorted(baseline.listed.keys() | current.listed.keys())
        if (category in baseline.listed or not baseline.other)
        and (category in current.listed or not current.other)
    ]
    return _rows(baseline, told), _rows(current, told)


def _rows(side: Counts, told: Sequence[str]) -> Floats:
    known = np.array([side.listed.get(category, 0) for category in told], float)
    return np.append(known, side.rows - known.sum())
