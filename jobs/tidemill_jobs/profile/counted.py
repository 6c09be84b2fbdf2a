"""How often values occur: exactly while they are few, the frequent ones when they are many."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TypeVar

MOST = 2_048  # different values that are counted one by one
MOST_TEXT = 49_152  # characters that they may have together

Value = TypeVar("Value", float, str)


@dataclass(frozen=True, slots=True)
class Few:
    """
    Numbers' counts, as long as there are at most `MOST` different ones.

    Beyond that the counts of numbers say little (each is near 1) and cost much, so they are given
    up: `counts` is None, and `rows` is all that is known.
    """

    rows: int = 0
    counts: Mapping[float, int] | None = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every number is counted."""
        return self.counts is not None

    def merge(self, other: "Few") -> "Few":
        """Return both together."""
        if not (self.rows and other.rows):
            return self if self.rows else other
        rows = self.rows + other.rows
        if self.counts is None or other.counts is None:
            return Few(rows, None)
        counts = _added(self.counts, other.counts)
        return Few(rows, counts if len(counts) <= MOST else None)

    def document(self) -> dict[str, Any]:
        """Return them as JSON."""
        if self.counts is None:
            return {"rows": self.rows, "counts": None}
        counts = sorted((value + 0, rows) for value, rows in self.counts.items())  # no minus zero
        return {"rows": self.rows, "counts": counts}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        counts = document["counts"]
        return cls(document["rows"], None if counts is None else dict(counts))


@dataclass(frozen=True, slots=True)
class Frequent:
    """
    Texts' counts; when there are too many, the frequent ones survive.

    A count is then too low by at most `error`, and no text that occurs more often than `error` is
    left out. `error` is at most `rows` / (MOST + 1), or as much more as texts are long.

    Source:
        Misra and Gries, *Finding repeated elements* (1982), merged as in Agarwal et al.,
        *Mergeable summaries* (PODS 2012).
    """

    rows: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    error: int = 0

    def document(self) -> dict[str, Any]:
        """Return them as JSON: equal counts give equal text, in whatever order they were found."""
        return asdict(self) | {"counts": dict(sorted(self.counts.items()))}

    @property
    def complete(self) -> bool:
        """Whether every text that occurs is counted, exactly."""
        return self.error == 0

    @classmethod
    def of(cls, rows: int, counts: dict[str, int], error: int = 0) -> Self:
        """Return counts of which only the frequent ones are kept."""
        kept, lost = _most_frequent(counts)
        return cls(rows, kept, error + lost)

    def merge(self, other: "Frequent") -> "Frequent":
        """Return both together."""
        if not (self.rows and other.rows):
            return self if self.rows else other
        counts = _added(self.counts, other.counts)
        error = self.error + other.error
        kept, lost = _most_frequent(counts)
        return Frequent(self.rows + other.rows, kept, error + lost)


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts, the most frequent first, and then by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _added(one: Mapping[Value, int], other: Mapping[Value, int]) -> dict[Value, int]:
    small, large = sorted((one, other), key=len)
    counts = dict(large)
    for value, rows in small.items():
        counts[value] = counts.get(value, 0) + rows
    return counts


def _most_frequent(counts: dict[str, int]) -> tuple[dict[str, int], int]:
    """Return what is kept, each count less by what is lost, and that."""
    if len(counts) <= MOST and sum(map(len, counts)) <= MOST_TEXT:
        return counts, 0
    frequent = ordered(counts)
    length, last = 0, 0
    for last, text in enumerate(frequent):
        length += len(text)
        if last == MOST or length > MOST_TEXT:
            break
    lost = list(frequent.values())[last]
    return {text: rows - lost for text, rows in frequent.items() if rows > lost}, lost
