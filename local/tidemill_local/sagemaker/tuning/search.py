"""Which hyperparameters to try next: ranges with their scales, Random and Grid search."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_DRAWS = 50  # of Random, to find values that were not tried yet
_WIDE = 100.0  # a positive range that spans this factor is searched on a logarithmic scale by Auto

Values = dict[str, str]


class RangeError(Exception):
    """A range that cannot be searched; the sentence is fit for a caller."""


@dataclass(frozen=True)
class Parameter:
    """
    One tunable hyperparameter.

    Attributes:
        name: Its name.
        kind: What its values are.
        low: The least value of a number.
        high: The greatest value, included.
        scale: Linear, Logarithmic or ReverseLogarithmic.
        values: Those of a categorical one.
    """

    name: str
    kind: Literal["integer", "continuous", "categorical"]
    low: float = 0.0
    high: float = 0.0
    scale: str = "Linear"
    values: tuple[str, ...] = ()

    @property
    def count(self) -> float:
        """How many values there are; infinitely many in a continuous range."""
        if self.kind == "categorical":
            return len(self.values)
        if self.kind == "integer":
            return self.high - self.low + 1
        return 1 if self.low == self.high else math.inf

    def at(self, share: float) -> str:
        """Return the value at a place of the scale, between 0 and 1 (excluded)."""
        if self.kind == "categorical":
            return self.values[int(share * len(self.values))]
        if self.kind == "integer":
            found = math.floor(self._along(share, self.low, self.high + 1))
            return str(int(min(max(found, self.low), self.high)))
        return repr(min(max(self._along(share, self.low, self.high), self.low), self.high))

    def fits(self, text: str) -> bool:
        """Whether a value, as training jobs are told it, lies in the range."""
        if self.kind == "categorical":
            return text in self.values
        try:
            number = float(text)
        except ValueError:
            return False
        whole = self.kind == "continuous" or number.is_integer()
        return whole and self.low <= number <= self.high

    def _along(self, share: float, low: float, high: float) -> float:
        if self.scale == "Logarithmic":
            return math.exp(_between(share, math.log(low), math.log(high)))
        if self.scale == "ReverseLogarithmic":
            return 1 - math.exp(_between(share, math.log(1 - low), math.log(1 - high)))
        return _between(share, low, high)


def parameters(ranges: dict[str, Any]) -> list[Parameter]:
    """
    Read ParameterRanges.

    Raises:
        RangeError: A range is empty, is no range of numbers, or does not go with its scale.
    """
    found = [
        *(_numbers(item, "integer") for item in ranges.get("IntegerParameterRanges", [])),
        *(_numbers(item, "continuous") for item in ranges.get("ContinuousParameterRanges", [])),
        *(
            Parameter(item["Name"], "categorical", values=tuple(dict.fromkeys(item["Values"])))
            for item in ranges.get("CategoricalParameterRanges", [])
        ),
    ]
    names = [parameter.name for parameter in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RangeError(f"a hyperparameter has one range only; repeated: {', '.join(repeated)}")
    if not found:
        raise RangeError("a tuning job needs at least one range of hyperparameters")
    return found


def combinations(ranges: Sequence[Parameter]) -> float:
    """Return how many different sets of values there are."""
    return math.prod(parameter.count for parameter in ranges)


def from_grid(ranges: Sequence[Parameter], number: int) -> Values:
    """Return the set of values with this number, from 0, in the order of the grid."""
    chosen = next(itertools.islice(itertools.product(*(p.values for p in ranges)), number, None))
    return {parameter.name: value for parameter, value in zip(ranges, chosen, strict=True)}


def at_random(ranges: Sequence[Parameter], tried: Sequence[Values], seed: str) -> Values:
    """
    Draw a set of values, one that was not tried if a few draws find any.

    Args:
        ranges: What to draw from.
        tried: The sets so far.
        seed: The same seed, and the same *tried*, draw the same values.
    """
    numbers = random.Random(seed)  # noqa: S311 - a search, no secret
    for _ in range(_DRAWS):
        drawn = {parameter.name: parameter.at(numbers.random()) for parameter in ranges}
        if drawn not in tried:
            break
    return drawn


def _numbers(item: dict[str, Any], kind: Literal["integer", "continuous"]) -> Parameter:
    name = item["Name"]
    read = int if kind == "integer" else float
    try:
        low, high = (float(read(item[end])) for end in ("MinValue", "MaxValue"))
    except (ValueError, OverflowError) as error:
        raise RangeError(f"the range of {name} is not of {kind} numbers: {error}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise RangeError(
            f"the range of {name} is empty: MinValue {item['MinValue']}, MaxValue "
            f"{item['MaxValue']}"
        )
    scale = item.get("ScalingType", "Auto")
    if scale == "Auto":
        scale = "Logarithmic" if low > 0 and high / low >= _WIDE else "Linear"
    if scale == "Logarithmic" and low <= 0:
        raise RangeError(
            f"Logarithmic scaling works only for ranges that have only values greater than 0; the "
            f"range of {name} begins at {item['MinValue']}"
        )
    if scale == "ReverseLogarithmic" and (kind == "integer" or low < 0 or high >= 1):
        raise RangeError(
            "ReverseLogarithmic scaling works only for continuous ranges that are entirely within "
            f"0 <= x < 1.0, which the range of {name} is not"
        )
    return Parameter(name, kind, low, high, scale)


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)
