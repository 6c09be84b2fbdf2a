"""What the numbers of a column are: exact counts and sums, moments that do not cancel, a sketch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np

from tidemill_jobs import kernel
from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.kll import Kll
from tidemill_jobs.values import EXACT

_LONGEST: Final = 2**63
_CANCELLED: Final = 64  # times the result: six of a double's 53 bits may be lost


@dataclass(frozen=True, slots=True)
class Numbers:
    """
    Numbers that models can hold: finite, up to 3.4e38 (a 32-bit float's largest).

    Attributes:
        count: How many.
        wholes: How many of them are whole (1.0 as well as 1) and fit 64 bits.
        whole_sum: The exact sum of those that came in parts where all were whole.
        other_sum: The sum of the others.
        mean: Their mean.
        deviations: The sum of their squared distances from the mean.
        low: The least; an `int` when it is whole.
        high: The greatest.
        infinities: Those that are not counted: infinite, or larger than models can hold.
        sketch: Their distribution.

    Source:
        Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample
        variances* (1979). A sum of squares would cancel: N(1e9, 1) would have a negative variance.
    """

    count: int = 0
    wholes: int = 0
    whole_sum: int = 0
    other_sum: float = 0.0
    mean: float = 0.0
    deviations: float = 0.0
    low: float = math.nan
    high: float = math.nan
    infinities: int = 0
    sketch: Kll = field(default_factory=Kll)

    @property
    def sum(self) -> float:
        """The sum: an exact `int` when all are whole, else a float."""
        return self.whole_sum if self.wholes == self.count else self.whole_sum + self.other_sum

    @property
    def std_dev(self) -> float:
        """The population's standard deviation."""
        return math.sqrt(self.deviations / self.count) if self.count else 0.0

    def add(self, wholes: Batch, floats: Batch, infinities: int = 0) -> "Numbers":
        """Return them with more: 64-bit integers and finite floats."""
        total = replace(self, infinities=self.infinities + infinities) if infinities else self
        if len(wholes.values):
            total = _together(total, _of_wholes(wholes), total.sketch.add(wholes))
        if len(floats.values):
            total = _together(total, _of_floats(floats), total.sketch.add(floats))
        return total

    def merge(self, other: "Numbers") -> "Numbers":
        """Return both together."""
        return _together(self, other, self.sketch.merge(other.sketch))

    def document(self) -> dict[str, Any]:
        """Return them as JSON."""
        known = {name: value for name, value in _fields(self).items() if value == value}  # noqa: PLR0124  # NaN differs from itself
        return known | {"sketch": self.sketch.document()}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        return cls(**{**document, "sketch": Kll.parse(document["sketch"])})


def _together(one: Numbers, other: Numbers, sketch: Kll) -> Numbers:
    count = one.count + other.count
    wholes, whole_sum = one.wholes + other.wholes, one.whole_sum + other.whole_sum
    mean, deviations = 0.0, 0.0
    if count:
        delta = other.mean - one.mean
        mean = one.mean + delta * (other.count / count)
        deviations = one.deviations + other.deviations
        deviations += delta**2 * one.count * (other.count / count)
    return Numbers(
        count=count,
        wholes=wholes,
        whole_sum=whole_sum,
        other_sum=one.other_sum + other.other_sum,
        mean=whole_sum / count if count and wholes == count else mean,
        deviations=deviations,
        low=_extreme(min, one.low, other.low),
        high=_extreme(max, one.high, other.high),
        infinities=one.infinities + other.infinities,
        sketch=sketch,
    )


def _of_wholes(numbers: Batch) -> Numbers:
    rows, low, high = numbers.rows, int(numbers.low), int(numbers.high)
    total = int(numbers.seen.total) if numbers.seen else _whole_sum(numbers)
    deviations = _deviations(numbers, float(total), rows)
    return Numbers(rows, rows, total, 0.0, total / rows, deviations, low, high)


def _of_floats(numbers: Batch) -> Numbers:
    values, rows = numbers.values, numbers.rows
    low, high = numbers.low, numbers.high
    wholes = numbers.seen.wholes if numbers.seen else _wholes(numbers)
    if wholes == rows:
        same = values.astype(np.int64)
        seen = kernel.look_at_wholes(same) if numbers.seen else None
        return _of_wholes(Batch(same, low, high, numbers.counts, seen))
    total = numbers.seen.total if numbers.seen else float((values * numbers.times).sum())
    deviations = _deviations(numbers, total, rows)
    return Numbers(rows, wholes, 0, total, total / rows, deviations, plain(low), plain(high))


def _deviations(numbers: Batch, total: float, rows: int) -> float:
    """Return the sum of squared distances from the mean, *total* / *rows*."""
    values, mean = numbers.values, total / rows
    if numbers.seen is None:
        away = values - mean
        return float((away * away * numbers.times).sum())
    squares = numbers.seen.squares
    deviations = squares - total * mean
    if deviations * _CANCELLED >= squares:
        return deviations
    return kernel.deviations(values.astype(np.float64, copy=False), mean)


def _wholes(numbers: Batch) -> int:
    """Return how many of counted floats are whole and fit 64 bits."""
    values = numbers.values
    whole = (np.rint(values) == values) & (np.abs(values) < _LONGEST)
    return int(numbers.times[whole].sum())


def _whole_sum(numbers: Batch) -> int:
    """Return the exact sum of counted numbers; int64 would overflow without a word."""
    if max(-int(numbers.low), int(numbers.high)) * numbers.rows < _LONGEST:
        return int(np.dot(numbers.values, numbers.times))
    each = zip(numbers.values.tolist(), numbers.times.tolist(), strict=True)
    return sum(value * rows for value, rows in each)


def plain(value: float) -> float:
    """Return a whole float as an `int`, when a double holds it exactly; else the float."""
    return int(value) if abs(value) <= EXACT and value == int(value) else value


def _extreme(choose: Any, one: float, other: float) -> float:
    known = [value for value in (one, other) if value == value]  # noqa: PLR0124  # not NaN
    chosen: float = choose(known, default=math.nan)
    return chosen


def _fields(numbers: Numbers) -> dict[str, Any]:
    return {
        name: getattr(numbers, name) for name in Numbers.__dataclass_fields__ if name != "sketch"
    }
