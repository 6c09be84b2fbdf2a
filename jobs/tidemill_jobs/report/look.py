"""What a report is told beside profiles and comparison: which look it was, what came before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from tidemill_jobs.drift import Comparison

Verdict = Literal[
    "no_baseline", "no_traffic", "too_few_rows", "same", "suspected", "drifted", "held", "found"
]
Kind = Literal["shift", "broken_upstream"]


@dataclass(frozen=True, slots=True)
class Earlier:
    """
    The finding that led to the version in service: what the report holds its traffic against.

    *distances* are how far the features were then that had drifted; *window* is when, in seconds
    since 1970.
    """

    version: int
    finding: str
    window: float
    distances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a watch decided, and of which window. Times are in seconds since 1970 (UTC).

    Attributes:
        model: `project/model`.
        version: The version in service.
        start: When the window begins.
        end: When it ends.
        verdict: What the window, with those before it, came to.
        reason: The sentence that says so.
        kind: Of what was found, or is held back; None when nothing is.
        until: When that is told that is held back, if it lasts.
        retrain: Whether a shift starts a run (`watch.drift.retrain`).
        windows: Of the last *of* windows so many must have drifted.
        clears_below: A feature is over it when its distance is below this.
        unread: Captured lines that could not be read, by reason.
        earlier: The finding that the version in service answers to, if one does.
    """

    model: str
    version: int
    start: float
    end: float
    verdict: Verdict
    reason: str
    kind: Kind | None = None
    until: float | None = None
    retrain: bool = True
    windows: int = 3
    of: int = 5
    clears_below: float = 0.05
    unread: Mapping[str, int] = field(default_factory=dict)
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """One window among those that a report shows over time; *start* in seconds since 1970."""

    start: float
    rows: int
    distances: Mapping[str, float]  # of the features that have one

    @classmethod
    def of(cls, start: float, comparison: Comparison) -> Self:
        """Return what a window's comparison says."""
        known = {
            one.feature: one.distance for one in comparison.features if one.distance is not None
        }
        return cls(start, comparison.rows, known)


def in_order(history: Sequence[Past], look: Look, comparison: Comparison) -> list[Past]:
    """Return the windows up to the one that is looked at, oldest first, each once."""
    known = {past.start: past for past in history if past.start < look.start}
    return [known[start] for start in sorted(known)] + [Past.of(look.start, comparison)]
