"""
A quantile sketch: what is the share of numbers up to x, from a bounded number of them.

Source:
    Karnin, Lang and Liberty, *Optimal quantile approximation in streams* (FOCS 2016), with the
    decay c = 0.64 that Deequ uses. Level i holds numbers that stand for 2^i each. Of two halvings
    of a level that follow each other, one keeps the even places and the other the odd ones: their
    errors are of opposite sign (Ivkin et al., *Streaming quantiles algorithms with small space and
    update time*, 2019). What is ours: the numbers of a batch go straight to the level L where they
    are about k or fewer, and not all of them are sorted for that (`sampled.py`).

Values are finite 64-bit floats. Everything is deterministic: the coins come from counters.
"""

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.distinct import mixed
from tidemill_jobs.profile.sampled import sampled

K: Final = 2048
DECAY: Final = 0.64
LEAST: Final = 2  # numbers that any level may hold
#: Levels from the highest to the one where batches enter, at most and (of large ones) at least.
BELOW: Final = (6, 4)
_LITTLE: Final = np.dtype("<f8")

Floats = NDArray[np.float64]
_NONE: Final[Floats] = np.empty(0)


@dataclass(frozen=True, slots=True)
class Kll:
    """
    A sketch of `count` numbers.

    Attributes:
        k: How much is kept: about 2.8 k numbers, 45 KB. The rank error is about 1.1 / k.
        count: Numbers seen.
        low: The least of them, exactly; NaN when there is none.
        high: The greatest.
        levels: Numbers of weight 2^i at place i, in no order.
        coins: Batches added so far.
        halvings: How often the level at place i was halved; those beyond never were.
    """

    k: int = K
    count: int = 0
    low: float = math.nan
    high: float = math.nan
    levels: tuple[Floats, ...] = ()
    coins: int = 0
    halvings: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Floats, k: int = K) -> Self:
        """Return the sketch of some numbers, in any order."""
        return cls(k=k).add(Batch.of_floats(values))

    def add(self, numbers: Batch) -> Self:
        """Return the sketch with more numbers."""
        count = numbers.rows
        if count == 0:
            return self
        level = self._entry(count)
        grown = sampled(numbers, level, self.count + count, self.k, self.coins)
        more = Kll(self.k, count, float(numbers.low), float(numbers.high), coins=1)
        return self._with(grown, more)

    def _entry(self, count: int) -> int:
        """Return the level where a batch enters: k to 2 k are kept, fewer once many are known."""
        most, least = ((count - 1) // kept for kept in (2 * self.k, self.k))
        furthest, nearest = (len(self.levels) - below for below in BELOW)
        return max(most.bit_length(), furthest, min(least.bit_length(), nearest))

    def merge(self, other: Self) -> Self:
        """
        Return the sketch of both parts together.

        Raises:
            ValueError: The other keeps another number of values.
        """
        if other.k != self.k:
            raise ValueError(f"a sketch of k = {self.k} cannot merge with one of k = {other.k}")
        if other.count == 0 or self.count == 0:
            return self if other.count == 0 else other
        return self._with(dict(enumerate(other.levels)), other)

    def cdf(self) -> tuple[Floats, Floats]:
        """Return the kept numbers in ascending order, and how many are up to each: (m,), (m,)."""
        if not self.count:
            return _NONE, _NONE
        values = np.concatenate(self.levels)
        weights = np.repeat(2.0 ** np.arange(len(self.levels)), list(map(len, self.levels)))
        order = np.argsort(values, kind="stable")
        return values[order], np.cumsum(weights[order])

    def rank(self, x: Any) -> Any:
        """Return the share of numbers up to *x*, a number or an array; NaN when there is none."""
        values, weights = self.cdf()
        if not self.count:
            return np.full(np.shape(x), math.nan)[()]
        below = np.searchsorted(values, x, side="right")
        share = np.concatenate(([0.0], weights))[below] / self.count
        # The ends are known exactly, whatever was kept.
        return np.where(np.less(x, self.low), 0.0, np.where(np.less(x, self.high), share, 1.0))[()]

    def quantile(self, q: Any) -> Any:
        """Return the least kept number that a share *q* of all does not exceed; NaN for none."""
        values, weights = self.cdf()
        if not self.count:
            return np.full(np.shape(q), math.nan)[()]
        place = np.searchsorted(weights, np.asarray(q) * self.count, side="left")
        found = values[np.minimum(place, len(values) - 1)]
        return np.where(np.less_equal(q, 0), self.low, np.where(np.less(q, 1), found, self.high))[
            ()
        ]

    @property
    def ordered_levels(self) -> list[Floats]:
        """The levels in ascending order, for files: minus zero is zero, so that they are equal."""
        return [np.sort(kept) + 0.0 for kept in self.levels]

    def document(self) -> dict[str, Any]:
        """Return the sketch as JSON."""
        levels = [
            b64encode(kept.astype(_LITTLE).tobytes()).decode() for kept in self.ordered_levels
        ]
        return {
            "k": self.k,
            "count": self.count,
            "low": self.low if self.count else None,
            "high": self.high if self.count else None,
            "levels": levels,
            "coins": self.coins,
            "halvings": self.halvings,
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        if not document["count"]:
            return cls(k=document["k"])
        levels = [np.frombuffer(b64decode(kept), _LITTLE) for kept in document["levels"]]
        return cls(
            k=document["k"],
            count=document["count"],
            low=document["low"],
            high=document["high"],
            levels=tuple(kept.astype(np.float64) for kept in levels),
            coins=document["coins"],
            halvings=tuple(document.get("halvings", ())),  # older profiles have none
        )

    def _with(self, grown: Mapping[int, Floats], other: "Kll") -> Self:
        """Return both together, where *grown* has the other's levels."""
        levels = list(self.levels)
        levels += [_NONE] * (max(grown) + 1 - len(levels))
        for level, more in grown.items():
            if len(more):
                levels[level] = np.concatenate((levels[level], more))
        halvings = list(map(sum, zip_longest(self.halvings, other.halvings, fillvalue=0)))
        _compact(levels, self.k, halvings)
        return type(self)(
            k=self.k,
            count=self.count + other.count,
            low=float(np.fmin(self.low, other.low)),
            high=float(np.fmax(self.high, other.high)),
            levels=tuple(levels),
            coins=self.coins + other.coins,
            halvings=tuple(halvings),
        )


def _compact(levels: list[Floats], k: int, halvings: list[int]) -> None:
    """Halve levels, the lowest first, until the whole is small enough."""
    held = sum(map(len, levels))
    while held > sum(capacities := _capacities(len(levels), k)):
        level = next(at for at, kept in enumerate(levels) if len(kept) > capacities[at])
        halvings += [0] * (level + 1 - len(halvings))
        held -= _halve(levels, level, halvings[level])
        halvings[level] += 1


def _halve(levels: list[Floats], level: int, before: int) -> int:
    """Move half of a level's numbers up, the *before*-th time; return how many fewer there are."""
    kept = np.sort(levels[level])
    coins = mixed((level << 32) + before // 2)  # the same for two halvings
    # An odd one stays where it is: at either end, so that no side is favoured.
    odd = len(kept) % 2
    first = odd and (coins >> 1) % 2
    left = kept[:1] if first else kept[len(kept) - odd :]
    halved = kept[first : len(kept) - odd + first][(coins + before) % 2 :: 2]
    levels[level] = left.copy()
    if level + 1 == len(levels):
        levels.append(_NONE)
    levels[level + 1] = np.concatenate((levels[level + 1], halved))
    return len(kept) - odd - len(halved)


@cache
def _capacities(height: int, k: int) -> tuple[int, ...]:
    """Return how many numbers each level may hold, the lowest first."""
    return tuple(max(LEAST, math.ceil(k * DECAY**depth)) for depth in reversed(range(height)))
