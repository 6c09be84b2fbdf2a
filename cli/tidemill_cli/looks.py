"""What a watch knows of a model's traffic, as State and the lake have it. Reads only."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidemill.adapters.traffic import window_prefix
from tidemill.adapters.watches import Watched
from tidemill.domain.drift import Kind, Window, held_back
from tidemill.spec.compiled import Drift
from tidemill.times import iso
from tidemill_cli.failures import RefusedError
from tidemill_cli.stack import Stack

COMPARISON, REPORT = "comparison.json", "report.html"  # as `tidemill_jobs` calls them
KINDS: Final[tuple[Kind, ...]] = ("shift", "broken_upstream")
#: Windows in which the newest report is looked for: one call each.
MOST_LOOKED_AT = 10


@dataclass(frozen=True, slots=True)
class Looked:
    """
    How a model's watch stands.

    *windows* and *features* are those of the version in service: the newest, and the farthest of
    the newest window that was compared, first. *held* says why the next finding of a kind would not
    be told now, and until when (seconds since 1970). *comparison* and *report* are URIs; empty when
    there is none.
    """

    model: str
    watched: Watched
    settings: Drift
    windows: Sequence[Window]
    held: dict[Kind, tuple[str, float]]
    features: Sequence[dict[str, Any]]
    comparison: str
    report: str

    def counts(self, window: Window) -> bool:
        """Say whether a window has enough rows to say anything."""
        return window.counts(self.settings)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        watched = self.watched
        return {
            "model": self.model,
            "version": watched.version,
            "verdict": watched.verdict,
            "reason": watched.reason,
            "stands": watched.stands,
            "looked_at": _iso(watched.looked_at),
            "again_at": _iso(watched.again_at),
            "windows": [
                {
                    "window": iso(one.start),
                    "rows": one.rows,
                    "counts": self.counts(one),
                    "drifted": dict(one.drifted),
                    "broken": dict(one.broken),
                }
                for one in self.windows
            ],
            "features": list(self.features),
            "findings": [
                {
                    "finding": one.id,
                    "kind": one.kind,
                    "at": iso(one.at),
                    "window": iso(one.window),
                    "features": list(one.features),
                }
                for one in sorted(watched.told, key=lambda one: -one.at)
            ],
            "held": {
                kind: {"reason": why, "until": iso(until)}
                for kind, (why, until) in self.held.items()
            },
            "comparison": self.comparison or None,
            "report": self.report or None,
        }


def looked_at(stack: Stack, ref: str, now: float) -> Looked | None:
    """Return how the model's watch stands at *now* (seconds since 1970); None when it never has."""
    watched = stack.stores.watches.read(ref)
    if watched.version is None:
        return None
    settings = stack.stores.specs.get(ref).watch.drift
    windows = sorted(watched.history.windows, key=lambda one: -one.start)
    comparison, report = _documents(stack, ref, windows)
    compared = (stack.lake.get_json(comparison) or {}) if comparison else {}
    held = {kind: held_back(kind, settings, watched.told, now) for kind in KINDS}
    return Looked(
        ref,
        watched,
        settings,
        windows,
        {kind: one for kind, one in held.items() if one is not None},
        sorted(compared.get("features", ()), key=_farthest),
        comparison,
        report,
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a watch holds back, or waits for people to mend. Times are in seconds since 1970."""

    version: int
    verdict: str
    reason: str
    since: float
    until: float | None = None


def waiting_at(stack: Stack, ref: str, now: float) -> Waiting | None:
    """Return what the model's watch waits for at *now*; None when for nothing but traffic."""
    watched, spec = stack.stores.watches.read(ref), stack.stores.specs.find(ref)
    if spec is None or watched.version is None or watched.looked_at is None:
        return None
    counting = [one for one in watched.history.windows if one.counts(spec.watch.drift)]
    broken = bool(counting and counting[-1].broken)
    if watched.verdict == "held":
        kind: Kind = "broken_upstream" if broken else "shift"
        _, until = held_back(kind, spec.watch.drift, watched.told, now) or ("", None)
        return Waiting(watched.version, "held", watched.reason, watched.looked_at, until)
    if watched.verdict in ("found", "drifted") and broken:
        feature, said = next(iter(counting[-1].broken.items()))
        reason = f"{feature}: {said.rstrip('.')}; nothing is trained on it until that is mended"
        return Waiting(watched.version, "broken_upstream", reason, watched.looked_at)
    return None


def fetch_report(stack: Stack, looked: Looked) -> Path:
    """
    Download the newest report, and return where it is now.

    Raises:
        RefusedError: There is none.
    """
    if not looked.report:
        raise RefusedError(
            f"there is no report of {looked.model} yet: one is written with the first window that "
            "has traffic, of a version that has a baseline"
        )
    bucket, _, key = looked.report.removeprefix("s3://").partition("/")
    window = looked.report.rpartition("/")[0].rpartition("/")[2]
    name = re.sub(r"[^0-9A-Za-z-]+", "-", f"{looked.model}-{window}")
    # A browser opens it after this program has ended: it stays, one file for a window.
    directory = Path(tempfile.mkdtemp(prefix="tidemill-"))
    page = directory / f"{name}.html"
    page.write_bytes(stack.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return page


def _documents(stack: Stack, ref: str, windows: Sequence[Window]) -> tuple[str, str]:
    """Return the URIs of the newest window's comparison and report, of those that have them."""
    found = {COMPARISON: "", REPORT: ""}
    for window in windows[:MOST_LOOKED_AT]:
        uri = window_prefix(stack.lake_bucket, ref, window.start)
        prefix = uri.removeprefix(f"s3://{stack.lake_bucket}/")
        keys = set(stack.lake.keys(stack.lake_bucket, f"{prefix}/"))
        for name, known in found.items():
            if not known and f"{prefix}/{name}" in keys:
                found[name] = f"{uri}/{name}"
        if all(found.values()):
            break
    return found[COMPARISON], found[REPORT]


def _farthest(feature: dict[str, Any]) -> tuple[bool, float, str]:
    return not feature["findings"], -(feature["distance"] or 0.0), feature["feature"]


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)
