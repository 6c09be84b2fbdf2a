"""
Whether what a watch saw is drift, and whether it is told now.

One window of traffic proves nothing: a feature has drifted when enough of the last windows say so,
and it stays drifted until one says clearly that it is over: an episode. An episode is told once,
however often its windows are concluded and in whatever order: everything follows from the windows
and from what was told. Windows without enough rows say nothing, neither for nor against.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tidemill.spec.compiled import Drift
from tidemill.times import duration, iso

Kind = Literal["shift", "broken_upstream"]
Verdict = Literal[
    "no_baseline", "no_traffic", "too_few_rows", "same", "suspected", "drifted", "held", "found"
]
WEEK = 7 * 86_400.0
#: So many windows are kept beside those that a verdict takes; late files change no older ones.
LATE_WINDOWS = 24
#: Of one window so many features that are not clear are kept, the farthest first, and so many
#: signs of a broken upstream; of all windows so many features: one item of State holds them.
MOST_FEATURES, MOST_SIGNS, MOST_IN_ALL = 30, 10, 1_000
#: So many features are named in a sentence.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Window:
    """
    What a window of traffic said: `[start, start + every)`, in seconds since 1970.

    A feature that is named nowhere was clearly the same. *between* are those that are neither
    drifted nor clearly the same, or of which too few rows are known. *broken* are those that show
    signs of a broken upstream, with a sentence; they are *drifted* too. *capped* says that not all
    features are named that should be.
    """

    start: float
    rows: int
    drifted: dict[str, float] = field(default_factory=dict)  # feature → distance
    between: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    capped: bool = False

    def counts(self, settings: Drift) -> bool:
        """Say whether it has enough rows to say anything."""
        return self.rows >= max(1, settings.minimum_rows)


@dataclass(frozen=True, slots=True)
class Told:
    """
    A finding that was told *at* a time, when *window* was the newest that counts.

    *since* is when the version came into service that it is about, as its history has it.
    """

    id: str
    kind: Kind
    at: float
    window: float
    features: tuple[str, ...]
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Carried:
    """What a feature's last windows said (True: drifted), or which window began its episode."""

    said: tuple[bool, ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """
    The windows since a version came into service, oldest first.

    *since* is when that was: a finding of another time is another version's. What windows said that
    were let go is *carried*, by feature: those that start before *forgotten*.
    """

    since: float = 0.0
    windows: tuple[Window, ...] = ()
    carried: dict[str, Carried] = field(default_factory=dict)
    forgotten: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A new finding: what a watch tells."""

    id: str
    kind: Kind
    window: float
    features: dict[str, float]  # farthest first
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What the windows came to, with the sentence that an owner reads.

    *facts* are the numbers that it rests on. *drifted* are the features in an episode. *until* is
    when what is held back is told if it lasts, in seconds since 1970.
    """

    verdict: Verdict
    reason: str
    facts: dict[str, Any]
    drifted: tuple[str, ...] = ()
    finding: Finding | None = None
    until: float | None = None


@dataclass(slots=True)
class _Feature:
    """One feature on its way through the windows."""

    said: deque[bool]
    since: float | None = None  # the window that began its episode

    def hear(self, window: Window, name: str, settings: Drift) -> None:
        """Take in a window that counts."""
        drifted = name in window.drifted
        unclear = drifted or window.capped or name in window.between
        if self.since is not None:
            if not unclear:  # what came before the end counts for no other episode
                self.since = None
                self.said.clear()
            return
        self.said.append(drifted)
        if sum(self.said) >= settings.windows:
            self.since = window.start


def decide_drift(history: History, settings: Drift, told: Sequence[Told], now: float) -> Decision:
    """
    Decide what *history* comes to at *now* (seconds since 1970).

    Args:
        history: The windows since the version in service came there.
        settings: The spec's `watch.drift`.
        told: Findings of this model that were told, of whatever version.
        now: When it is told, should there be something to tell.
    """
    if not history.windows:
        return Decision("no_traffic", "no window of traffic is over yet", {})
    newest = history.windows[-1]
    counting = [window for window in history.windows if window.counts(settings)]
    features = _replay(history.windows, history, settings, told)
    drifted = {name: one.since for name, one in features.items() if one.since is not None}
    due = _due(drifted, counting[-1], _ours(told, history)) if counting else None
    if due is not None:
        decided = _tell(due, drifted, counting, settings, told=told, now=now)
    else:
        decided = _quiet(newest, drifted, features, settings)
    facts = {"window": iso(newest.start), "rows": newest.rows, **decided.facts}
    return replace(decided, drifted=tuple(drifted), facts=facts)


def remember(
    history: History, seen: Iterable[Window], settings: Drift, told: Sequence[Told]
) -> History:
    """
    Return *history* with what was *seen*: a window that is concluded again replaces itself.

    One that was let go before is left out.
    """
    kept = settings.of + LATE_WINDOWS
    known = {window.start: window for window in history.windows}
    for window in seen:
        if window.start >= history.forgotten:
            known[window.start] = _bounded(window, MOST_IN_ALL // kept)
    windows = tuple(known[start] for start in sorted(known))
    if len(windows) <= kept:
        return replace(history, windows=windows)
    gone, left = windows[:-kept], windows[-kept:]
    features = _replay(gone, history, settings, told)
    carried = {
        name: Carried(tuple(one.said), one.since)
        for name, one in features.items()
        if one.since is not None or any(one.said)
    }
    return replace(history, windows=left, carried=carried, forgotten=left[0].start)


def still_needed(told: Sequence[Told], history: History, now: float) -> tuple[Told, ...]:
    """Return the findings that a later decision may ask for: of a week, and of windows kept."""
    begun = [one.since for one in history.carried.values() if one.since is not None]
    first = min((*begun, history.forgotten))
    return tuple(
        one
        for one in told
        if one.at > now - WEEK or (one.since == history.since and one.window >= first)
    )


def _ours(told: Sequence[Told], history: History) -> list[Told]:
    return [one for one in told if one.since == history.since]


def _bounded(window: Window, share: int) -> Window:
    """Return the window with no more features than its share, nor than are worth naming."""
    most = min(MOST_FEATURES, share)
    signs_kept = min(MOST_SIGNS, most)
    fits = len(window.drifted) + len(window.between) <= most
    if fits and len(window.broken) <= signs_kept:
        return window
    named = sorted(
        window.drifted, key=lambda name: (name not in window.broken, -window.drifted[name], name)
    )[:most]
    signs = [name for name in named if name in window.broken][:signs_kept]
    return replace(
        window,
        drifted={name: window.drifted[name] for name in named},
        between=tuple(sorted(window.between)[: most - len(named)]),
        broken={name: window.broken[name] for name in signs},
        capped=True,
    )


def _replay(
    windows: Sequence[Window], history: History, settings: Drift, told: Sequence[Told]
) -> dict[str, _Feature]:
    """Return every feature that any of *windows* names, after the last of them."""
    ours = [one for one in _ours(told, history) if one.window >= history.forgotten]
    names = {name for window in windows for name in (*window.drifted, *window.between)}
    names |= {*history.carried, *(name for one in ours for name in one.features)}
    features = {name: _Feature(deque(maxlen=settings.of)) for name in sorted(names)}
    for name, before in history.carried.items():
        features[name].said.extend(before.said)
        features[name].since = before.since
    said = deque(sorted(ours, key=lambda one: one.window))
    for window in windows:
        while said and said[0].window <= window.start:
            for name in said.popleft().features:  # told is drifted, until a window clears it
                if features[name].since is None:
                    features[name].since = window.start
        if window.counts(settings):
            for name, one in features.items():
                one.hear(window, name, settings)
    return features


def _due(
    drifted: dict[str, float], newest: Window, told: Sequence[Told]
) -> tuple[Kind, dict[str, float]] | None:
    """
    Return what is in an episode that was not told as what it is; farthest first.

    While the upstream is broken nothing is said of a shift: nobody knows what is behind it.
    """
    kind: Kind = "broken_upstream" if newest.broken else "shift"
    due = {
        name: newest.drifted.get(name, 0.0)
        for name, since in drifted.items()
        if (name in newest.broken or kind == "shift")
        and not any(
            one.kind == kind and name in one.features and one.window >= since for one in told
        )
    }
    return (kind, dict(sorted(due.items(), key=lambda item: (-item[1], item[0])))) if due else None


def _tell(
    due: tuple[Kind, dict[str, float]],
    drifted: dict[str, float],
    counting: Sequence[Window],
    settings: Drift,
    *,
    told: Sequence[Told],
    now: float,
) -> Decision:
    kind, features = due
    newest = counting[-1]
    last = counting[-settings.of :]
    first = next(iter(features))
    said = sum(first in one.drifted for one in last)
    more = len(features) - 1
    named = f" and {_count(more, 'more feature')}" if more else ""
    often = f"in {said} of the last {_count(len(last), 'window')} that count"
    if kind == "broken_upstream":
        reason = f"{first}{named}: {newest.broken[first]}, {often}; the upstream looks broken"
    else:
        far = f"by {features[first]:.3g} (the threshold is {settings.threshold:g})"
        reason = f"{first}{named} drifted: {first} {far}, {often}"
    facts = {
        "kind": kind,
        "features": dict(list(features.items())[:MOST_FEATURES]),
        "since": iso(min(drifted[name] for name in features)),
        "windows": said,
        "of": len(last),
        "threshold": settings.threshold,
    }
    held = held_back(kind, settings, told, now)
    if held is not None:
        why, until = held
        reason = f"{reason}; {why}; this is told at {iso(until)} if it lasts"
        return Decision("held", reason, {**facts, "until": until}, until=until)
    identity = _identity(kind, newest.start, features)
    finding = Finding(identity, kind, newest.start, features, reason)
    return Decision("found", reason, {**facts, "finding": identity}, finding=finding)


def held_back(
    kind: Kind, settings: Drift, told: Sequence[Told], now: float
) -> tuple[str, float] | None:
    """
    Return why a finding of a kind would not be told at *now*, and until when; None when it would.

    Each kind has its own pace. Times are in seconds since 1970.
    """
    times = sorted(one.at for one in told if one.kind == kind)
    reasons: list[tuple[float, str]] = []
    if times and times[-1] + settings.cooldown_seconds > now:
        why = (
            f"the last finding was told at {iso(times[-1])} and the cooldown is "
            f"{duration(settings.cooldown_seconds)}"
        )
        reasons.append((times[-1] + settings.cooldown_seconds, why))
    week = [at for at in times if at + WEEK > now]
    if len(week) >= settings.per_week > 0:
        why = f"{_count(len(week), 'finding')} in seven days, and per_week is {settings.per_week}"
        reasons.append((week[-settings.per_week] + WEEK, why))
    if not reasons:
        return None
    until, why = max(reasons)
    return why, until


def _quiet(
    newest: Window,
    drifted: dict[str, float],
    features: dict[str, _Feature],
    settings: Drift,
) -> Decision:
    """Return what the newest window says when there is nothing new to tell."""
    if not newest.rows:
        return Decision("no_traffic", "no traffic was captured", {})
    if not newest.counts(settings):
        reason = f"{_count(newest.rows, 'row')}; a window takes {settings.minimum_rows:,}"
        return Decision("too_few_rows", reason, {"minimum_rows": settings.minimum_rows})
    rows = _count(newest.rows, "row")
    if drifted:
        since = iso(min(drifted.values()))
        reason = f"{rows}; {_names(tuple(drifted))} still drifted, since {since}; that was told"
        return Decision("drifted", reason, {"since": since})
    suspects = sorted(newest.drifted, key=lambda name: (-newest.drifted[name], name))
    if suspects:
        said = sum(features[suspects[0]].said)
        reason = (
            f"{rows}; {_names(suspects)} drifted, in {said} of the {settings.windows} windows "
            f"(of {settings.of}) that it takes"
        )
        farthest = {name: newest.drifted[name] for name in suspects}
        return Decision("suspected", reason, {"features": farthest, "windows": said})
    return Decision("same", f"{rows}; no feature drifted", {})


def _identity(kind: Kind, window: float, features: Iterable[str]) -> str:
    """Return `f-<yyyymmdd>t<hhmm>-<8 hex>`: the same for the same finding."""
    stamp = iso(window)[:16].replace("-", "").replace(":", "").lower()
    text = "\n".join((kind, iso(window), *sorted(features)))
    return f"f-{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _names(features: Sequence[str]) -> str:
    shown = ", ".join(features[:_NAMED])
    more = len(features) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
