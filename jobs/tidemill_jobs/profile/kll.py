"""
A quantile sketch: what is the share of numbers up to x, from a bounded number of them.

Source:
    Karnin, Lang and Liberty, *Optimal quantile approximation in streams* (FOCS 2016), with the
    decay c = 0.64 that Deequ uses. Level i holds numbers that stand for 2^i each. What is ours: the
    numbers of a batch go straight to the level L where they are about k. For that they are not
    sorted as a whole: rows of a few are, which a processor does in its registers, every fourth
    stays, and the fewer ones that are left are sorted in longer rows (`sampled.py`).

Values are finite 64-bit floats. Everything is deterministic: the coins come from a counter.
"""

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.sampled import sampled

K: Final = 2048
DECAY: Final = 0.64
LEAST: Final = 2  # numbers that any level may hold
BELOW: Final = 6  # levels from the highest to the one where batches enter
_LITTLE: Final = np.dtype("<f8")
_MASK: Final = 2**64 - 1

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
    """

    k: int = K
    count: int = 0
    low: float = math.nan
    high: float = math.nan
    levels: tuple[Floats, ...] = ()
    coins: int = 0  # tossed so far

    @classmethod
    def of(cls, values: Floats, k: int = K) -> Self:
        """Return the sketch of some numbers, in any order."""
        return cls(k=k).add(Batch.of_floats(values))

    def add(self, numbers: Batch) -> Self:
        """Return the sketch with more numbers."""
        count = numbers.rows
        if count == 0:
            return self
        level = ((count - 1) // (2 * self.k)).bit_length()  # k to 2 k numbers are kept
        level = max(level, len(self.levels) - BELOW)  # fewer, once many are known
        coins = self.coins + 1
        grown = sampled(numbers, level, self.count + count, self.k, _random(coins))
        return self._with(grown, count, float(numbers.low), float(numbers.high), coins)

    def merge(self, other: "Kll") -> Self:
        """
        Return the sketch of both parts together.

        Raises:
            ValueError: The other keeps another number of values.
        """
        if other.k != self.k:
            raise ValueError(f"a sketch of k = {self.k} cannot merge with one of k = {other.k}")
        if other.count == 0 or self.count == 0:
            return self if other.count == 0 else self._copy(other)
        coins = self.coins + other.coins
        return self._with(dict(enumerate(other.levels)), other.count, other.low, other.high, coins)

    def cdf(self) -> tuple[Floats, Floats]:
        """Return the kept numbers in ascending order, and how many are up to each: (m,), (m,)."""
        if not self.count:
            return _NONE, _NONE
        values = np.concatenate(self.levels)
        weights = np.concatenate(
            [np.full(len(kept), float(1 << level)) for level, kept in enumerate(self.levels)]
        )
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
        )

    def _with(
        self, grown: Mapping[int, Floats], count: int, low: float, high: float, coins: int
    ) -> Self:
        levels = list(self.levels)
        levels += [_NONE] * (max(grown) + 1 - len(levels))
        for level, more in grown.items():
            if len(more):
                levels[level] = np.concatenate((levels[level], more))
        coins = _compact(levels, self.k, coins)
        return type(self)(
            k=self.k,
            count=self.count + count,
            low=float(np.fmin(self.low, low)),
            high=float(np.fmax(self.high, high)),
            levels=tuple(levels),
            coins=coins,
        )

    def _copy(self, other: "Kll") -> Self:
        return type(self)(
            other.k, other.count, other.low, other.high, other.levels, self.coins + other.coins
        )


def _compact(levels: list[Floats], k: int, coins: int) -> int:
    """Halve levels, the lowest first, until the whole is small enough; return the coins tossed."""
    held = sum(map(len, levels))
    while held > sum(capacities := _capacities(len(levels), k)):
        level = next(at for at, kept in enumerate(levels) if len(kept) > capacities[at])
        coins += 2
        held -= _halve(levels, level, coins)
    return coins


def _halve(levels: list[Floats], level: int, coins: int) -> int:
    """Move half of a level's numbers up; return how many fewer there are."""
    kept = np.sort(levels[level])
    # An odd one stays where it is: at either end, so that no side is favoured.
    odd = len(kept) % 2
    first = odd and _random(coins) % 2
    left = kept[:1] if first else kept[len(kept) - odd :]
    halved = kept[first : len(kept) - odd + first][_random(coins + 1) % 2 :: 2]
    levels[level] = left.copy()
    if level + 1 == len(levels):
        levels.append(_NONE)
    levels[level + 1] = np.concatenate((levels[level + 1], halved))
    return len(kept) - odd - len(halved)


@cache
def _capacities(height: int, k: int) -> tuple[int, ...]:
    """Return how many numbers each level may hold, the lowest first."""
    return tuple(max(LEAST, math.ceil(k * DECAY**depth)) for depth in reversed(range(height)))


def _random(number: int) -> int:
    """
    Return 64 bits that look random.

    Source:
        SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*
        (OOPSLA 2014).
    """
    mixed = (number * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)
