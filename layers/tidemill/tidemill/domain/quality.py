"""
Whether predictions are worse than the spec allows, and whether that is told now.

As with drift (`drift.py`), one point proves nothing: quality is a feature of its own, and the same
decision is taken about it. A point is a stretch of traffic with enough rows whose truth is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tidemill.domain import drift
from tidemill.domain.drift import History, Told, Window, decide_drift
from tidemill.spec.compiled import Drift, Quality
from tidemill.times import iso

#: What quality is called among the features.
FEATURE = "quality"
PointVerdict = Literal["reached", "below", "too_few_rows", "undefined", "no_floor"]
Verdict = Literal["no_truth", "no_floor", "too_few_rows", "reached", "suspected", "below", "held",
                  "found"]  # fmt: skip
_WORDS: dict[drift.Verdict, Verdict] = {
    "same": "reached", "suspected": "suspected", "drifted": "below", "held": "held",
    "found": "found", "too_few_rows": "too_few_rows", "no_traffic": "no_truth",
}  # fmt: skip
_THIS, _OTHER = 0.0, 1.0  # what tells findings of the version in service from others


@dataclass(frozen=True, slots=True)
class Point:
    """The quality of the traffic of `[start, end)`, in seconds since 1970, with a sentence."""

    start: float
    end: float
    rows: int
    value: float | None
    verdict: PointVerdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Said:
    """A finding about quality that was told *at* a time, when *point* began the newest one."""

    id: str
    at: float
    point: float
    version: int


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What the points came to, with the sentence that an owner reads.

    *facts* are the numbers that it rests on. *low* says that the metric is on the wrong side of
    the floor and stays there. *finding* is the new finding's id, if it is told now; *until* is
    when what is held back is told if it lasts.
    """

    verdict: Verdict
    reason: str
    facts: dict[str, Any]
    low: bool = False
    finding: str | None = None
    until: float | None = None


def decide_quality(
    points: Sequence[Point],
    quality: Quality | None,
    settings: Drift,
    *,
    version: int,
    said: Sequence[Said],
    others: Sequence[float],
    now: float,
) -> Decision:
    """
    Decide what *points* come to at *now* (seconds since 1970).

    Args:
        points: Of the version in service, oldest first.
        quality: The spec's floor; without one nothing is found.
        settings: The spec's `watch.drift`: how many points it takes, and how often it is told.
        version: The one in service.
        said: Findings about quality that were told, of any version.
        others: When findings about drift were told: they count for the cooldown.
        now: When it is told, should there be something to tell.
    """
    if not points:
        return Decision("no_truth", "no prediction of this version has its truth yet", {})
    newest = points[-1]
    facts: dict[str, Any] = {
        "window": iso(newest.start), "rows": newest.rows, "value": newest.value, "version": version,
    }  # fmt: skip
    if quality is None:
        return Decision("no_floor", newest.sentence, facts)
    facts |= {"metric": quality.metric, "floor": quality.floor}
    windows = tuple(_window(point, quality) for point in points)
    wanted = replace(settings, minimum_rows=max(1, quality.minimum_rows))
    told = [_told(one, version) for one in said]
    told += [Told("", "shift", at, at, (), _OTHER) for at in others]
    decided = decide_drift(History(_THIS, windows), wanted, told, now)
    judged = [point for point in points if point.verdict in ("reached", "below")]
    last = judged[-settings.of :]
    below = sum(point.verdict == "below" for point in last)
    often = f"in {below} of the last {len(last)} points"
    said_of = judged[-1].sentence if judged else newest.sentence
    reason = {
        "found": f"{said_of}; below it {often}",
        "held": f"{said_of}; below it {often}; told at {iso(decided.until or now)} if it lasts",
        "drifted": f"{said_of}; that it is too low was told",
        "suspected": f"{said_of}; below it {often}, and it takes {settings.windows}",
    }.get(decided.verdict, newest.sentence)
    if quality.direction == "minimize":
        reason = reason.replace("below it", "above it").replace("too low", "too high")
    facts |= {"below": below, "of": len(last)}
    return Decision(
        _WORDS.get(decided.verdict, "no_truth"),
        reason,
        facts,
        low=FEATURE in decided.drifted,
        finding=f"q{decided.finding.id}" if decided.finding else None,
        until=decided.until,
    )


def _window(point: Point, quality: Quality) -> Window:
    """Return a point as a window of traffic in which quality has drifted, has not, or may have."""
    if point.verdict == "below" and point.value is not None:
        return Window(point.start, point.rows, {FEATURE: abs(point.value - quality.floor)})
    if point.verdict == "reached":
        return Window(point.start, point.rows)
    return Window(point.start, 0)  # it says nothing, whatever rows it has


def _told(one: Said, version: int) -> Told:
    since = _THIS if one.version == version else _OTHER
    return Told(one.id, "shift", one.at, one.point, (FEATURE,), since)
