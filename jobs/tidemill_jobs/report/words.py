"""The report's first lines: what was found, what it means, what happens next, how sure that is."""

import math

from tidemill_jobs.drift import Comparison
from tidemill_jobs.drift.distances import NOISE
from tidemill_jobs.report.figures import distance, moment, rows
from tidemill_jobs.report.look import Look

TITLES = {
    "found": "drift was found",
    "held": "drift, not told yet",
    "drifted": "still drifted",
    "suspected": "perhaps drift",
    "same": "no drift",
    "too_few_rows": "too little traffic to say",
    "no_traffic": "no traffic",
    "no_baseline": "no baseline to compare with",
}
_BROKEN = "the data upstream looks broken"


def title_of(look: Look) -> str:
    """Return the page's title."""
    broken = look.kind == "broken_upstream" and look.verdict in ("found", "drifted")
    return f"{look.model}: {_BROKEN if broken else TITLES[look.verdict]}"


def found(look: Look) -> str:
    """Say what was found, as a sentence."""
    said = look.reason.strip() or TITLES[look.verdict]
    return f"{said.rstrip('.')}."


def next_step(look: Look) -> str:
    """Say what happens next, and what a person can do."""
    if look.verdict == "found":
        return _told(look)
    until = f"at {moment(look.until)} UTC " if look.until is not None else ""
    return {
        "held": f"It is told {until}if it lasts until then.",
        "suspected": (
            f"Nothing yet: it counts once {look.windows} of the last {look.of} windows say so."
        ),
        "drifted": (
            "It was told before, and is not told again until a window says clearly that it is "
            f"over: below {look.clears_below:g}."
        ),
        "no_traffic": "Nothing. If the endpoint should have been asked, look at who asks it.",
        "too_few_rows": "Nothing; the next window is looked at when it is over.",
        "no_baseline": "Drift is looked for as soon as a version with a baseline is in service.",
        "same": "Nothing needs to be done.",
    }[look.verdict]


def _told(look: Look) -> str:
    if look.kind == "broken_upstream":
        return (
            "The owner of the data is told (`Upstream Broken`), and nothing is trained on it: a "
            "model that learns from broken data learns the fault. Mend the source; the watch sees "
            "by itself when it is over."
        )
    if look.retrain:
        return (
            "`Drift Found` was sent, and asks for a run on the data of the spec's window, old and "
            f"new. `tidemill why {look.model}` says whether it started, and why."
        )
    return (
        "People are told (`Drift Found`). Nothing is trained, because watch.drift.retrain is "
        f"false; `tidemill start {look.model} --why …` starts a run."
    )


def sureness(look: Look, comparison: Comparison) -> str:
    """Say what the verdict rests on, and what chance alone could do."""
    was, now, settings = comparison.baseline_rows, comparison.rows, comparison.settings
    if not now or not was:
        return "There is nothing to compare."
    base = (
        f"{rows(now)} of traffic are held against the {rows(was)} that version {look.version} "
        "learned from."
    )
    if min(was, now) < settings.minimum_rows:
        return f"{base} With fewer than {settings.minimum_rows:,} rows nothing is said."
    noise = NOISE * math.sqrt((was + now) / (was * now))
    chance = f"At these numbers chance alone explains distances of up to {distance(noise)}"
    if settings.distance == "robust":
        weighed = f"{chance}; that much is taken off each, and the threshold is"
    else:
        weighed = f"{chance}, and the threshold is"
    return (
        f"{base} {weighed} {settings.threshold:g}. One window proves nothing: it takes "
        f"{look.windows} of the last {look.of}."
    )
