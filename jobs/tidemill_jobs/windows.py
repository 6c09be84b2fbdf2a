"""
A window of captured traffic: its partial profiles merged, and compared with the baseline.

Called by `functions/conclude_watch`. Neither traffic nor the baseline's rows are read: profiles
only.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.drift import FILE_NAME as COMPARISON
from tidemill_jobs.drift import Comparison, DriftSettings, compare
from tidemill_jobs.profile import FILE_NAME as PROFILE
from tidemill_jobs.profile import Column, Profile

TRAFFIC = "traffic.json"
_FAR = 1e9


def look_at(
    spec: str,
    baseline: bytes | None,
    profiles: Sequence[bytes],
    tallies: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """
    Merge the partial profiles of a window, and compare them with the baseline.

    Args:
        spec: The compiled spec, as JSON.
        baseline: The version's profile; None when it has none.
        profiles: The partials'.
        tallies: What their readers met.

    Returns:
        Plain JSON but for the documents: `rows`; `drifted` (feature → distance), `between` (neither
        drifted nor plainly the same), `broken` (feature → sentence); `features`, each with
        `feature`, `present`, `rows`, `distance`, `data`; and `documents`, bytes by name.
    """
    watch = json.loads(spec).get("watch", {})
    profile = reduce(Profile.merge, map(Profile.loads, profiles), Profile())
    documents = {PROFILE: profile.dumps(), TRAFFIC: _json(_merged(tallies).document())}
    seen: dict[str, Any] = {"rows": profile.rows, "drifted": {}, "between": (), "broken": {}}
    distances: dict[str, float | None] = {}
    if baseline is not None:
        comparison = compare(Profile.loads(baseline), profile, settings_of(watch))
        documents[COMPARISON] = _json(comparison.document())
        seen |= _judged(comparison, watch)
        distances = {one.feature: one.distance for one in comparison.features}
    features = [
        _feature(name, column, distances.get(name)) for name, column in profile.columns.items()
    ]
    return {**seen, "features": features, "documents": documents}


def settings_of(watch: Mapping[str, Any]) -> DriftSettings:
    """
    Return how a window is compared: by the spec's `watch`.

    What was hashed or dropped before it was written is no longer what the baseline has.
    """
    settings = DriftSettings.of(watch.get("drift", {}))
    redacted = watch.get("capture", {}).get("redact", {})
    return replace(settings, ignore=tuple(dict.fromkeys((*settings.ignore, *redacted))))


def _judged(comparison: Comparison, watch: Mapping[str, Any]) -> dict[str, Any]:
    below = float(watch.get("drift", {}).get("clears_below", comparison.settings.threshold))
    return {
        "drifted": {name: min(far, _FAR) for name, far in comparison.drifted.items()},
        "between": list(comparison.unclear(below)),
        "broken": {},
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
