"""
What a column holds: exact statistics that merge, so that files can be read one at a time.

`merge` gives for two parts what one pass over both would give. The words are Model Monitor's
(`num_present`, `std_dev`, `inferred_type`, …), as in statistics.json.

This is the short list of summary.json, of all rows as they were typed for training. The engine
beside it (`profiler.py`) makes the baseline, of the training rows only and as redacted: neither can
be had from the other, and sketching all rows for ten numbers a column would cost as much again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import polars as pl

from tidemill_jobs.values import Kind

DISTINCT = 10_000  # values counted one by one; beyond, only the most frequent are known
TOP = 10  # categories that the summary shows


@dataclass(frozen=True, slots=True)
class Moments:
    """
    Count, mean and squared deviations of numbers.

    Source:
        Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample
        variances* (1979). A sum of squares would cancel: N(1e9, 1) would have a negative variance.
    """

    count: int = 0
    mean: float = 0.0
    deviations: float = 0.0  # sum of (x - mean) squared

    def merge(self, other: Self) -> "Moments":
        """Return the moments of both parts together."""
        count = self.count + other.count
        if count == 0:
            return Moments()
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * other.count / count,
            self.deviations + other.deviations + delta**2 * self.count * other.count / count,
        )

    @property
    def std_dev(self) -> float:
        """The population's standard deviation, in the column's unit."""
        return math.sqrt(self.deviations / self.count) if self.count else 0.0


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column's statistics; booleans count as 0 and 1, times as minutes since 1970."""

    kind: Kind
    present: int
    missing: int
    integral: bool = True  # every number is whole
    low: float | None = None
    high: float | None = None
    moments: Moments = Moments()
    counts: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True  # `counts` holds every value that occurs

    @classmethod
    def of(cls, column: pl.Series, kind: Kind) -> Self:
        """Profile a column typed by `schema.typed`."""
        values = column.drop_nulls()
        present, missing = len(values), column.null_count()
        if kind == "category":
            counts, complete = _counts(values)
            return cls(kind, present, missing, counts=counts, complete=complete)
        numbers = values.cast(pl.Float64)
        counts, complete = _counts(values.cast(pl.String)) if kind == "boolean" else ({}, False)
        if present == 0:
            return cls(kind, 0, missing, counts=counts, complete=complete)
        mean = _number(numbers.mean())
        return cls(
            kind,
            present,
            missing,
            integral=bool((numbers % 1 == 0).all()),
            low=_number(numbers.min()),
            high=_number(numbers.max()),
            moments=Moments(present, mean, _number(((numbers - mean) ** 2).sum())),
            counts=counts,
            complete=complete,
        )

    def merge(self, other: Self) -> "ColumnProfile":
        """Return the profile of both parts together."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        counts = dict(self.counts)
        for value, rows in other.counts.items():
            counts[value] = counts.get(value, 0) + rows
        kept = _most_frequent(counts)
        return ColumnProfile(
            self.kind,
            self.present + other.present,
            self.missing + other.missing,
            integral=self.integral and other.integral,
            low=min(lows, default=None),
            high=max(highs, default=None),
            moments=self.moments.merge(other.moments),
            counts=kept,
            complete=self.complete and other.complete and len(kept) == len(counts),
        )

    def document(self, *, redacted: bool = False) -> dict[str, Any]:
        """Return the profile as it stands in summary.json; of a redacted column without values."""
        common: dict[str, Any] = {
            "kind": self.kind,
            "inferred_type": self._inferred_type(),
            "num_present": self.present,
            "num_missing": self.missing,
        }
        if redacted:
            return common
        if self.kind in ("number", "time") and self.present:
            common |= {
                "mean": self.moments.mean,
                "sum": self.moments.mean * self.present,
                "std_dev": self.moments.std_dev,
                "min": self.low,
                "max": self.high,
            }
        if self.kind in ("category", "boolean"):
            common |= {
                "distinct_count": len(self.counts) if self.complete else None,
                "top": [
                    {"value": value, "count": rows}
                    for value, rows in list(_ordered(self.counts).items())[:TOP]
                ],
            }
        return common

    def _inferred_type(self) -> str:
        if self.present == 0:
            return "Unknown"
        if self.kind == "number":
            return "Integral" if self.integral else "Fractional"
        return "String"


def _counts(values: pl.Series) -> tuple[dict[str, int], bool]:
    counted = values.alias("value").value_counts(name="rows")
    top = counted.sort(["rows", "value"], descending=[True, False]).head(DISTINCT)
    return dict(top.iter_rows()), len(top) == len(counted)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _most_frequent(counts: dict[str, int]) -> dict[str, int]:
    if len(counts) <= DISTINCT:
        return counts
    return dict(list(_ordered(counts).items())[:DISTINCT])


def _number(value: Any) -> float:
    return float(value)
