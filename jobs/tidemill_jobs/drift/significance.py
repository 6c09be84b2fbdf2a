"""
How likely chance alone makes a distance as large: p-values, without scipy (78 MB) at run time.

They say whether a difference is real, not whether it matters: with a million rows every
difference is real. So distances decide, and p-values where few rows or a person ask for them.
"""

import heapq
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_EPSILON = 1e-15  # relative; a term below it changes nothing
_TINY = 1e-300  # stands for zero in a continued fraction's denominator
_TERMS = 100_000
#: Of Deequ's Distance: no more than a fifth of the expected counts below 5 (Yates, Moore and
#: McCabe, *The Practice of Statistics*, 1999, p. 734), and none below 10 when only two categories
#: are left (Cochran, *The chi-square test of goodness of fit*, 1952).
_YATES, _YATES_SHARE, _COCHRAN, _FEWEST = 5.0, 0.2, 10.0, 2


def chi_squared_tail(statistic: float, freedom: float) -> float:
    """
    Return the share of a chi-squared distribution above *statistic*.

    Args:
        statistic: The test's, 0 or more.
        freedom: Degrees of freedom, above 0.
    """
    return upper_gamma(freedom / 2.0, statistic / 2.0)


def upper_gamma(a: float, x: float) -> float:
    """
    Return the regularised upper incomplete gamma function Q(a, x), for a > 0 and x >= 0.

    Left of a + 1 the series for P = 1 - Q converges fast, right of it the continued fraction.

    Source:
        NIST Digital Library of Mathematical Functions, 8.11.4 (series) and 8.9.2 (fraction), the
        latter by Lentz's method as Thompson and Barnett gave it (*Coulomb and Bessel functions of
        complex arguments and order*, 1986).
    """
    if x <= 0.0:
        return 1.0
    if math.isinf(x):
        return 0.0
    log_scale = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1.0:
        return max(0.0, 1.0 - _lower_series(a, x) * math.exp(log_scale))
    return min(1.0, _upper_fraction(a, x) * math.exp(log_scale))


def _lower_series(a: float, x: float) -> float:
    term = total = 1.0 / a
    for step in range(1, _TERMS):
        term *= x / (a + step)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _upper_fraction(a: float, x: float) -> float:
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    fraction = d
    for step in range(1, _TERMS):
        numerator = -step * (step - a)
        b += 2.0
        d = 1.0 / _nonzero(numerator * d + b)
        c = _nonzero(b + numerator / c)
        fraction *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            break
    return fraction


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def kolmogorov_tail(distance: float, baseline: float, current: float) -> float:
    """
    Return how likely two samples of one distribution are a KS *distance* or more apart.

    Asymptotic, with Stephens' correction for few rows; with ties (whole numbers, say) it is too
    large rather than too small.

    Source:
        Stephens, *Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics without
        extensive tables*, 1970; the series is Kolmogorov's (DLMF 20.2 relates it to theta).

    Args:
        distance: The largest difference between the two distribution functions.
        baseline: Rows of one sample, above 0.
        current: Rows of the other.
    """
    root = math.sqrt(baseline * current / (baseline + current))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # noqa: PLR2004  # 1 - 1e-12; the alternating series converges slowly here
        return 1.0
    total, sign = 0.0, 1.0
    for j in range(1, 101):
        term = math.exp(-2.0 * (j * scaled) ** 2)
        total += sign * term
        if term < _EPSILON:
            break
        sign = -sign
    return min(1.0, max(0.0, 2.0 * total))


def homogeneity(baseline: Floats, current: Floats) -> tuple[float, float]:
    """
    Test whether two samples of counts come from the same categories in the same shares.

    The baseline is a sample too: holding the current counts against it as if it were the truth
    (as a test of fit does) finds drift too often when the baseline is not much larger.

    Args:
        baseline: Rows per category, (k,).
        current: Rows of the same categories, (k,).

    Returns:
        The chi-squared statistic and its p-value; (nan, nan) where, after small categories are
        merged as Deequ merges them, fewer than two are left.
    """
    table = _merged(baseline, current)
    if table.shape[1] < _FEWEST or not table.sum(axis=1).all():
        return math.nan, math.nan
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, chi_squared_tail(statistic, table.shape[1] - 1)


def _merged(baseline: Floats, current: Floats) -> Floats:
    """
    Merge the two smallest categories until the expected counts are large enough for the test.

    Which are small is told by the larger sample, and by their place where it sees no difference:
    merging by the counts that are tested would put like with like, and find drift in noise.
    """
    table = np.stack([baseline, current])
    n, m = table.sum(axis=1)
    both = table.sum(axis=0)
    sizes = both if n == m else table[int(m > n)]
    scale = min(n, m) / max(sizes.sum(), 1.0)
    heap = [
        (float(sizes[place] * scale), place, float(baseline[place]), float(current[place]))
        for place in np.flatnonzero(both).tolist()
    ]
    heapq.heapify(heap)
    few = sum(expected < _YATES for expected, *_ in heap)
    while len(heap) > _FEWEST and few > int(_YATES_SHARE * len(heap)):
        few -= _merge_two(heap)
    if len(heap) == _FEWEST and heap[0][0] < _COCHRAN:
        _merge_two(heap)
    return np.array([[was, now] for *_, was, now in heap]).reshape(-1, 2).T


def _merge_two(heap: list[tuple[float, int, float, float]]) -> int:
    """Make one category of the two smallest; return how many fewer are now too small."""
    first, second = heapq.heappop(heap), heapq.heappop(heap)
    expected = first[0] + second[0]
    heapq.heappush(heap, (expected, first[1], first[2] + second[2], first[3] + second[3]))
    return (first[0] < _YATES) + (second[0] < _YATES) - (expected < _YATES)


def adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    """
    Return p-values adjusted for testing many features: those up to q hold q false ones at most.

    Of a thousand tests of nothing, ten have p <= 0.01. Among the features whose adjusted value is
    at most 0.01, on average no more than a hundredth are chance. NaN (no test) stays NaN.

    Source:
        Benjamini and Hochberg, *Controlling the false discovery rate*, 1995.
    """
    tested = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    found = dict.fromkeys(p_values, math.nan)
    least = 1.0
    for rank in range(len(tested), 0, -1):
        p, name = tested[rank - 1]
        least = min(least, p * len(tested) / rank)
        found[name] = least
    return found
