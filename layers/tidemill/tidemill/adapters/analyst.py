"""What compares a window's profile with the baseline; it lives with the jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FeatureSeen:
    """
    One feature in one window, as far as metrics tell of it.

    *distance* is the one that decides, None without a baseline or rows; *data* is None of text.
    """

    feature: str
    present: int
    rows: int
    distance: float | None = None
    data: Mapping[str, float] | None = None  # low, high, sum


@dataclass(frozen=True, slots=True)
class WindowSeen:
    """
    What a window came to.

    *drifted* has distances, *broken* sentences, by feature; *between* neither drifted nor is it
    clearly the same. *documents* are written below the window's prefix, by name. *unusable* says
    why the baseline cannot be read, if it cannot.
    """

    rows: int
    drifted: Mapping[str, float]
    between: Sequence[str]
    broken: Mapping[str, str]
    features: Sequence[FeatureSeen]
    documents: Mapping[str, bytes] = field(default_factory=dict)
    unusable: str = ""


class Analyst(Protocol):
    """`tidemill_jobs.windows`, which functions with `layers/data` have."""

    def look_at(
        self,
        spec: str,
        baseline: bytes | None,
        profiles: Sequence[bytes],
        tallies: Sequence[Mapping[str, Any]],
        recent: bytes | None = None,
        *,
        events: Sequence[bytes] = (),
    ) -> dict[str, Any]:
        """
        Merge the partial profiles of a window, and compare them with the baseline.

        Args:
            spec: The compiled spec, as JSON.
            baseline: The version's profile; None when it has none.
            profiles: The partials'.
            tallies: What their readers met.
            recent: The profile of the last window before it that was not broken.
            events: What the partials counted, by 64 bits of each event's id.

        Returns:
            The fields of `WindowSeen`; *features* as a list of the fields of `FeatureSeen`.
        """

    def report(
        self,
        look: Mapping[str, Any],
        baseline: bytes,
        documents: Mapping[str, bytes],
        past: Mapping[float, str],
    ) -> bytes:
        """
        Return the page of a window that was compared, HTML.

        Args:
            look: What was decided: the fields of `tidemill_jobs.report.Look` but for what could not
                be read.
            baseline: The version's profile.
            documents: The window's, as `look_at` returned them.
            past: The comparisons of windows before it, by their start (seconds since 1970).
        """


def seen_of(said: Mapping[str, Any]) -> WindowSeen:
    """Return what an analyst said of a window."""
    features = [FeatureSeen(**one) for one in said["features"]]
    return WindowSeen(**{**said, "features": features})
