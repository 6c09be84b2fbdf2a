"""
A window of captured traffic: its partial profiles merged, and compared with the baseline.

Called by `functions/conclude_watch`. Neither traffic nor the baseline's rows are read: profiles
only.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from tidemill_jobs.capture.event_ids import counted_twice
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.drift import FILE_NAME as COMPARISON
from tidemill_jobs.drift import Comparison, ComparisonError, DriftSettings, Triage, compare, triage
from tidemill_jobs.drift.signs import TRIAGE_FILE_NAME as TRIAGE
from tidemill_jobs.monitor import statistics, to_text, violations
from tidemill_jobs.profile import FILE_NAME as PROFILE
from tidemill_jobs.profile import Column, Profile, ProfileError
from tidemill_jobs.redacted import incomparable
from tidemill_jobs.report import Earlier, Look, Past, to_html

TRAFFIC, STATISTICS, VIOLATIONS = "traffic.json", "statistics.json", "constraint_violations.json"
_FAR = 1e9


def look_at(
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
        recent: The profile of the last window before it that was not broken, if there is one.
        events: The digests of the partials' events, to tell how many were counted twice.

    Returns:
        Plain JSON but for the documents: `rows`; `drifted` (feature → distance), `between` (neither
        drifted nor plainly the same), `broken` (feature → sentence); `features`, each with
        `feature`, `present`, `rows`, `distance`, `data`; `documents`, bytes by name; and
        `unusable`, why the baseline cannot be read, empty where it can.
    """
    watch = json.loads(spec).get("watch", {})
    parts = [_read(part)[0] for part in profiles]
    whole = [part for part in parts if part is not None]
    profile = reduce(Profile.merge, whole, Profile())
    tally = _merged(tallies)
    tally.partials_unread += len(parts) - len(whole)
    tally.counted_twice += counted_twice(events)
    documents = {
        PROFILE: profile.dumps(),
        TRAFFIC: _json(tally.document()),
        STATISTICS: to_text(statistics(profile)).encode(),
    }
    seen: dict[str, Any] = {"rows": profile.rows, "drifted": {}, "between": (), "broken": {}}
    distances: dict[str, float | None] = {}
    learned, unusable = _read(baseline)
    if learned is not None:
        comparison = compare(learned, profile, settings_of(watch, learned, profile))
        before, _ = _read(recent)
        meaning = triage(comparison, learned, profile, before)
        documents[COMPARISON] = _json(comparison.document())
        documents[VIOLATIONS] = to_text(violations(comparison.findings)).encode()
        documents[TRIAGE] = _json(meaning.document())
        seen |= _judged(comparison, meaning, watch)
        distances = {one.feature: one.distance for one in comparison.features}
    features = [
        _feature(name, column, distances.get(name)) for name, column in profile.columns.items()
    ]
    return {**seen, "features": features, "documents": documents, "unusable": unusable}


def _read(profile: bytes | None) -> tuple[Profile | None, str]:
    """Return a profile that is kept; None without one, or with why it cannot be read."""
    if profile is None:
        return None, ""
    try:
        return Profile.loads(profile), ""
    except ProfileError as exc:
        return None, str(exc)


def report(
    look: Mapping[str, Any],
    baseline: bytes,
    documents: Mapping[str, bytes],
    past: Mapping[float, str],
) -> bytes:
    """
    Return the page of a window that was compared, HTML.

    Args:
        look: What was decided: the fields of `Look` but for what could not be read.
        baseline: The version's profile.
        documents: The window's, as `look_at` returned them.
        past: The comparisons of windows before it, by their start (seconds since 1970).
    """
    tally = Tally.parse(json.loads(documents[TRAFFIC]))
    earlier = look.get("earlier")
    told = Look(
        **{
            **look,
            "unread": dict(tally.unreadable.counts),
            "earlier": Earlier(**earlier) if earlier else None,
        }
    )
    page = to_html(
        told,
        Profile.loads(baseline),
        Profile.loads(documents[PROFILE]),
        Comparison.parse(json.loads(documents[COMPARISON])),
        triage=Triage.parse(json.loads(documents[TRIAGE])),
        history=list(_readable(past)),
    )
    return page.encode()


def _readable(past: Mapping[float, str]) -> Iterator[Past]:
    """Yield what windows were; one that another release compared is left out of the picture."""
    for start, text in past.items():
        try:
            yield Past.of(start, Comparison.parse(json.loads(text)))
        except (ComparisonError, ValueError):
            continue


def settings_of(watch: Mapping[str, Any], baseline: Profile, current: Profile) -> DriftSettings:
    """
    Return how a window is compared: by the spec's `watch`.

    Columns that were redacted on one side only are left out: values are no hashes.
    """
    settings = DriftSettings.of(watch.get("drift", {}))
    apart = incomparable(baseline, current, watch.get("capture", {}).get("redact", {}))
    return replace(settings, ignore=tuple(dict.fromkeys((*settings.ignore, *apart))))


def _judged(comparison: Comparison, meaning: Triage, watch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts for the decision; what is broken has drifted, however far."""
    below = float(watch.get("drift", {}).get("clears_below", comparison.settings.threshold))
    broken = {name: said.rstrip(". ") for name, said in meaning.broken.items()}
    drifted = {**dict.fromkeys(broken, 1.0), **comparison.drifted}
    return {
        "drifted": {name: min(far, _FAR) for name, far in drifted.items()},
        "between": [name for name in comparison.unclear(below) if name not in drifted],
        "broken": broken,
    }


def _merged(tallies: Sequence[Mapping[str, Any]]) -> Tally:
    merged = Tally()
    for document in tallies:
        merged.merge(Tally.parse(dict(document)))
    return merged


def _feature(name: str, column: Column, distance: float | None) -> dict[str, Any]:
    numbers = column.numbers
    data = None
    if column.kind == "number" and numbers is not None and numbers.count:
        data = {"low": float(numbers.low), "high": float(numbers.high), "sum": float(numbers.sum)}
    known = distance is not None and math.isfinite(distance)
    return {
        "feature": name,
        "present": column.present,
        "rows": column.rows,
        "distance": distance if known else None,
        "data": data,
    }


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
