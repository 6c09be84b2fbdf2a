"""How long a column's texts are, and from when to when its times."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.kll import Kll


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of a column's texts, in characters; numbers, times and booleans have none."""

    count: int = 0
    low: int = 0
    high: int = 0
    total: int = 0

    @property
    def mean(self) -> float:
        """The mean length; NaN when there is no text."""
        return self.total / self.count if self.count else math.nan

    def merge(self, other: "Lengths") -> "Lengths":
        """Return both together."""
        if not (self.count and other.count):
            return self if self.count else other
        return Lengths(
            self.count + other.count,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
        )


@dataclass(frozen=True, slots=True)
class Times:
    """Points in time, in minutes since 1970 (UTC)."""

    count: int = 0
    low: int = 0
    high: int = 0
    sketch: Kll = field(default_factory=Kll)

    def add(self, minutes: Batch) -> "Times":
        """Return them with more."""
        low, high = int(minutes.low), int(minutes.high)
        return Times(
            self.count + minutes.rows,
            min(self.low, low) if self.count else low,
            max(self.high, high) if self.count else high,
            self.sketch.add(minutes),
        )

    def document(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "count": self.count,
            "low": self.low,
            "high": self.high,
            "sketch": self.sketch.document(),
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        return cls(**{**document, "sketch": Kll.parse(document["sketch"])})

    def merge(self, other: "Times") -> "Times":
        """Return both together."""
        if not (self.count and other.count):
            return self if self.count else other
        return Times(
            self.count + other.count,
            min(self.low, other.low),
            max(self.high, other.high),
            self.sketch.merge(other.sketch),
        )
