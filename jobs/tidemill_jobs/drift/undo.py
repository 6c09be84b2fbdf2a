"""
Whether numbers drifted because something constant was done to them: a factor, an offset, a value.

If part of the rows went through x -> ax + b, the distribution now is a mixture of the old one and
of the old one moved, and one share explains it everywhere. A world that changed rarely does that;
nor does it move values to where none ever was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidemill_jobs.drift.conversions import LARGE, Evidence, Undone, known_changes
from tidemill_jobs.drift.distances import (
    NOISE,
    Cdf,
    Floats,
    numeric,
    share_below,
    share_up_to,
)

LEAST_SHARE = 0.1  # of the rows, before something was done to them
EXPLAINS, EXPLAINS_PART = 0.35, 0.2  # what may be left of the distance, if a part was moved
#: What may be left of the distance where the shape alone is the evidence: what chance does in nine
#: of ten samples, and a little. Any smooth hump looks like any other, moved and stretched, when few
#: rows are looked at generously.
STRICT, STRICT_SLACK = 1.22, 0.005
ALL = 0.95  # of the rows: as good as all
SLACK = 0.02  # beyond sampling noise: sketches, rounding
FAR = 0.5  # standard deviations that an offset must be
LARGEST = 1e12  # a factor that is worth a thought
REFINED = 3  # times that an estimated change is estimated anew
POINTS = 512  # where distributions are compared
APART, APART_SUDDEN = 0.9, 0.6  # KS distance of the moved rows from where they were
CONVERTED = 0.8  # of the rows with unseen values: known ones, once it is undone
TELLING = 10  # values that show whether a conversion leads to known ones
ROUNDED = 1e-3  # of the least gap between values: still the same value
EMPTY = 0.05  # of the baseline's rows
UNSEEN, MOST = 0.01, 0.5  # of the rows before, and now: a value that cannot be the world's
_PLACES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_LIKE = 1e-6  # of the spread: values so close are one, rounded differently


@dataclass(frozen=True, slots=True)
class Stuck:
    """One value that a share of the rows now has, beyond those that always had it."""

    value: float
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Outside:
    """Where a share of the rows now is, though hardly any row of the baseline was near."""

    low: float
    high: float
    share: float


def undo(
    baseline: Cdf, current: Cdf, *, listed: bool, sudden: bool, shape: Cdf | None = None
) -> Undone | None:
    """
    Return the constant change that best explains how *current* came about; None if none does.

    A good fit alone is no evidence: a world that warms or grows moves a smooth distribution just
    so. See `Evidence` for what is.

    Args:
        baseline: The feature before.
        current: The feature now.
        listed: *baseline* has every value that occurred, so that new values can be told.
        sudden: It was like *baseline* until just now: less evidence is needed.
        shape: A larger sample of the same distribution as *baseline*, if there is one: it tells
            more surely whether the moved rows kept their shape.
    """
    before = numeric(baseline, current).ks
    limit = min(_limit(baseline, current), EXPLAINS * before)
    least = FAR * _deviation(baseline)
    was, now = _thinned(baseline), _thinned(current)
    shapes = [was] if shape is None else [was, _thinned(shape)]
    unseen = _unseen(baseline, current) if listed else None
    best: Undone | None = None
    for one in (*known_changes(was), *_estimated(was, now)):
        found = _fitted(was, now, one)
        if not one.known:
            for _ in range(REFINED):
                again = _fitted(was, now, _refined(was, now, found))
                found = min(found, again, key=lambda one: one.left)
            if found.factor == 1.0 and abs(found.offset) < least:
                continue
        found = replace(found, evidence=_evidence(was, found, unseen, limit, sudden=sudden))
        if found.evidence == "apart" and not _keeps_shape(shapes, now, found):
            continue
        if not found.evidence or found.share < LEAST_SHARE:
            continue
        # What is known is preferred to what was fitted, unless that is clearly better.
        if best is None or found.left + (0.0 if found.known else SLACK) < best.left:
            best = found
    return best


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Values that the baseline does not have, their share of the rows, and those that it has."""

    values: Floats
    weights: Floats
    share: float
    known: Floats
    like: float  # how close two values are the same


def _unseen(baseline: Cdf, current: Cdf) -> _Unseen:
    known = np.unique(baseline.values)
    like = float(np.diff(known).min(initial=np.inf)) * ROUNDED if len(known) > 1 else 0.0
    weights = current.steps / current.rows
    new = _nearest(known, current.values) > like
    return _Unseen(current.values[new], weights[new], float(weights[new].sum()), known, like)


def _nearest(known: Floats, values: Floats) -> Floats:
    """Return how far each value is from the next known one."""
    place = np.searchsorted(known, values)
    after = np.abs(known[np.minimum(place, len(known) - 1)] - values)
    return np.minimum(after, np.abs(known[np.maximum(place - 1, 0)] - values))


def _converts(one: Undone, unseen: _Unseen) -> bool:
    """
    Return whether the values that were never seen are known ones, converted.

    A change that leads from known values to known ones (whole degrees to whole degrees) cannot be
    told by its values: there, a season's new ones are known ones moved, too.
    """
    if unseen.share < LEAST_SHARE or one.round:
        return False
    known = unseen.known
    moved = known * one.factor + one.offset
    moved = moved[(moved >= known[0]) & (moved <= known[-1])]
    foreign = _nearest(known, moved) > unseen.like
    if len(moved) < TELLING or foreign.mean() < CONVERTED:
        return False
    came = _nearest(known, one.undoes(unseen.values)) <= unseen.like
    return float(unseen.weights[came].sum()) >= CONVERTED * unseen.share


def _evidence(
    baseline: Cdf, one: Undone, unseen: _Unseen | None, limit: float, *, sudden: bool
) -> Evidence:
    if unseen is not None and _converts(one, unseen):
        return "values"
    if one.left > limit or (one.share < ALL and one.left > EXPLAINS_PART / EXPLAINS * limit):
        return ""
    if one.factor < 0 or one.round:
        return "plain"
    apart = numeric(baseline, one.does(baseline)).ks
    if one.large and apart >= APART_SUDDEN:
        return "plain"
    return "apart" if apart >= (APART_SUDDEN if sudden else APART) else ""


def _keeps_shape(samples: Sequence[Cdf], current: Cdf, one: Undone) -> bool:
    """Return whether each sample, once the change was made to it, is as the current one is."""
    return all(
        _fitted(was, current, one).left <= STRICT_SLACK + STRICT * _chance(was, current)
        for was in samples
    )


def outside(baseline: Cdf, current: Cdf, extent: tuple[float, float]) -> Outside | None:
    """
    Return where many rows went though none belongs there.

    That is far beyond the baseline's range, whose ends (*extent*) a sketch does not know, or all
    together in a narrow part of it that was nearly empty.
    """
    low, high = extent
    ends = np.array([low - (high - low), high + (high - low)])
    below, above = float(share_below(current, ends)[0]), float(1 - share_up_to(current, ends)[1])
    if max(below, above) >= LEAST_SHARE and high > low:
        there = current.values < ends[0] if below > above else current.values > ends[1]
        values = current.values[there]
        return Outside(float(values[0]), float(values[-1]), max(below, above))
    (first, last), (was_first, was_last) = (
        _quantiles(side)[[0, -1]] for side in (current, baseline)
    )
    if (last - first) * LARGE > was_last - was_first:
        return None
    there = np.array([first, last])
    share = float(share_up_to(baseline, there)[1] - share_below(baseline, there)[0])
    return Outside(float(first), float(last), 0.9) if share <= EMPTY else None


def stuck(baseline: Cdf, current: Cdf) -> Stuck | None:
    """
    Return the value that rows have been stuck at.

    The other rows must be as they were, unless it is most of the rows that have a new value.
    """
    weights = current.steps
    values, places = np.unique(current.values, return_inverse=True)
    rows = np.bincount(places, weights)
    value = np.array([values[int(rows.argmax())]])
    now = float(rows.max()) / current.rows
    before = float((share_up_to(baseline, value) - share_below(baseline, value))[0])
    if now - before < LEAST_SHARE or now < 3 * before:
        return None
    found = Stuck(float(value[0]), before, now)
    if before <= UNSEEN and now >= MOST:
        return found
    was, is_now = _thinned(baseline), _thinned(current)
    share, left = _mixture(was, is_now, Cdf(value, np.array([1.0])))
    return found if share >= LEAST_SHARE and left <= _limit(baseline, current) else None


def _limit(baseline: Cdf, current: Cdf) -> float:
    return SLACK + NOISE * _chance(baseline, current)


def alike(baseline: Cdf, current: Cdf) -> bool:
    """Return whether two samples may be of one distribution, for all that can be told."""
    return numeric(baseline, current).ks <= STRICT_SLACK + STRICT * _chance(baseline, current)


def _chance(baseline: Cdf, current: Cdf) -> float:
    """Return the unit in which Kolmogorov's critical values are told."""
    n, m = baseline.rows, current.rows
    return float(np.sqrt((n + m) / (n * m)))


def _estimated(baseline: Cdf, current: Cdf) -> Iterator[Undone]:
    """Yield factors, if large, and offsets that would turn one quantile into the other's."""
    for one, other in zip(_quantiles(baseline), _quantiles(current), strict=True):
        ratio = float(other) / float(one) if one else 0.0
        if LARGE <= abs(ratio) <= LARGEST or 1 / LARGEST <= abs(ratio) <= 1 / LARGE:
            yield Undone(ratio, 0.0)
        yield Undone(1.0, float(other - one))


def _fitted(baseline: Cdf, current: Cdf, one: Undone) -> Undone:
    share, left = _mixture(baseline, current, one.does(baseline))
    return replace(one, share=share, left=left)


def _refined(baseline: Cdf, current: Cdf, one: Undone) -> Undone:
    """Estimate a change anew from the middle of the rows that it moved, now that they are known."""
    middle = float(baseline.values[np.searchsorted(baseline.weights, baseline.rows / 2)])
    upwards = one.offset > 0 or (one.factor - 1.0) * middle > 0
    place = 1.0 - one.share / 2 if upwards else one.share / 2
    found = np.searchsorted(current.weights, min(1.0, max(0.0, place)) * current.rows)
    value = float(current.values[min(int(found), len(current.values) - 1)])
    if one.factor == 1.0:
        return replace(one, offset=value - middle)
    ratio = value / middle if middle else 0.0
    return replace(one, factor=ratio) if 1 / LARGEST <= abs(ratio) <= LARGEST else one


def _mixture(baseline: Cdf, current: Cdf, moved: Cdf) -> tuple[float, float]:
    """Return which share of the rows was moved, by least squares, and the distance left."""
    points = _between(np.concatenate([baseline.values, current.values, moved.values]))
    was, now, then = (share_up_to(one, points) for one in (baseline, current, moved))
    way = then - was
    length = float(way @ way)
    share = min(1.0, max(0.0, float((now - was) @ way) / length)) if length else 0.0
    return share, float(np.abs(now - was - share * way).max(initial=0.0))


def _between(values: Floats) -> Floats:
    """Return points between values, also beyond the last ones, where no rounding matters."""
    ordered = np.unique(values)
    spread = float(ordered[-1] - ordered[0])
    apart = np.flatnonzero(np.diff(ordered) > _LIKE * spread)
    if len(apart) > POINTS:
        apart = apart[np.linspace(0, len(apart) - 1, POINTS).astype(int)]
    return (ordered[apart] + ordered[apart + 1]) / 2.0


def _thinned(cdf: Cdf) -> Cdf:
    """Return the distribution in at most about `POINTS` steps."""
    if len(cdf.values) <= POINTS:
        return cdf
    ends = np.arange(1, POINTS + 1) * (cdf.rows / POINTS)
    kept = np.unique(np.minimum(np.searchsorted(cdf.weights, ends), len(cdf.values) - 1))
    return Cdf(cdf.values[kept], cdf.weights[kept])


def _quantiles(cdf: Cdf) -> Floats:
    places = np.searchsorted(cdf.weights, np.array(_PLACES) * cdf.rows)
    return cdf.values[np.minimum(places, len(cdf.values) - 1)]


def _deviation(cdf: Cdf) -> float:
    low, high = _quantiles(cdf)[[1, 5]]
    return float(high - low) / 2.563  # between the tenths of a normal distribution
