"""The pages that tell people what a window of traffic came to."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.adapters.analyst import Analyst, WindowSeen
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.adapters.traffic import window_prefix
from tidemill.adapters.watches import Watched
from tidemill.domain.drift import Decision, Verdict, Window
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Drift, Spec
from tidemill.times import seconds

REPORT, COMPARISON = "report.html", "comparison.json"  # as the jobs call them
#: Windows that a page shows before its own.
MOST_PAST = 23
#: A look that takes up many windows writes the pages of so many, the newest.
MOST_PAGES = 6
_TOLD = ("found", "held", "drifted")


class WatchReports:
    """Safe to repeat: a window that is concluded again has its page written again."""

    def __init__(self, stores: Stores, lake: Lake, analyst: Analyst, *, bucket: str) -> None:
        self._stores = stores
        self._lake = lake
        self._analyst = analyst
        self._bucket = bucket

    def write(
        self,
        spec: Spec,
        watched: Watched,
        baseline: bytes,
        windows: Mapping[float, WindowSeen],
        decision: Decision,
    ) -> list[str]:
        """
        Write the pages of windows that were compared.

        Args:
            spec: The model.
            watched: How its watch stands after the look.
            baseline: The profile of the version in service.
            windows: What the look's windows came to, by their start (seconds since 1970).
            decision: What the newest of all windows came to.

        Returns:
            The pages' URIs.
        """
        compared = sorted(start for start, seen in windows.items() if COMPARISON in seen.documents)
        earlier = self._earlier(spec.ref, watched.version) if compared else None
        written = []
        for start in compared[-MOST_PAGES:]:
            look = {**_look(spec, watched, start, decision), "earlier": earlier}
            past = self._past(spec.ref, watched.history.windows, start)
            page = self._analyst.report(look, baseline, windows[start].documents, past)
            uri = f"{window_prefix(self._bucket, spec.ref, start)}/{REPORT}"
            self._lake.put_bytes(uri, page, "text/html; charset=utf-8")
            written.append(uri)
        return written

    def _past(self, ref: str, windows: Sequence[Window], start: float) -> dict[float, str]:
        """Return the comparisons of the windows before one, by their start."""
        starts = [one.start for one in windows if one.start < start][-MOST_PAST:]
        prefixes = [window_prefix(self._bucket, ref, one) for one in starts]
        texts = self._lake.texts(f"{prefix}/{COMPARISON}" for prefix in prefixes)
        return {one: text for one, text in zip(starts, texts, strict=True) if text is not None}

    def _earlier(self, ref: str, version: int | None) -> dict[str, Any] | None:
        """Return the finding that a version was trained for; None when it was not for one."""
        ledger = self._stores.ledger
        registered = ledger.find(ref, f"version#{version}#registered")
        if registered is None:
            return None
        try:
            run = self._stores.runs.get(ref, registered["facts"]["run"])
        except NotFoundError:  # of before the model was deleted and came again
            return None
        for trigger in run["triggers"]:
            raised = ledger.find(ref, f"trigger#{trigger}#raise") or {"facts": {}}
            found = ledger.find(ref, f"finding#{raised['facts'].get('finding')}")
            if found is not None:
                facts = found["facts"]
                return {
                    "finding": raised["facts"]["finding"],
                    "version": facts["version"],
                    "window": seconds(facts["window"]),
                    "distances": facts["features"],
                }
        return None


def _look(spec: Spec, watched: Watched, start: float, decision: Decision) -> dict[str, Any]:
    """Return what a page is told of the look; a window that others followed is judged alone."""
    settings = spec.watch.drift
    windows = {one.start: one for one in watched.history.windows}
    verdict, reason, kind, until = watched.verdict, watched.reason, None, decision.until
    if start < max(windows, default=start):
        verdict, reason = _alone(windows.get(start), settings)
        until = None
    if verdict in _TOLD:
        counting = [one for one in watched.history.windows if one.counts(settings)]
        kind = "broken_upstream" if counting and counting[-1].broken else "shift"
    return {
        "model": spec.ref,
        "version": watched.version,
        "start": start,
        "end": start + watched.every,
        "verdict": verdict,
        "reason": reason,
        "kind": kind,
        "until": until,
        "retrain": settings.retrain,
        "windows": settings.windows,
        "of": settings.of,
        "clears_below": settings.clears_below,
    }


def _alone(window: Window | None, settings: Drift) -> tuple[Verdict, str]:
    """Return what one window says by itself."""
    rows = window.rows if window else 0
    told = f"{rows:,} row{'' if rows == 1 else 's'}, with files that came late"
    if window is None or not window.counts(settings):
        return "too_few_rows", f"{told}: a window takes {settings.minimum_rows:,}"
    if window.drifted:
        return "suspected", f"{told}; {len(window.drifted)} drifted in this window"
    return "same", f"{told}; no feature drifted"
