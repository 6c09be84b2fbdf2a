"""
How good a model's predictions in service are: joined, measured, judged, told.

Everything follows from the parts that lie below `watch/` and from what was told: whoever looks,
and however often, comes to the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tidemill.adapters.bus import Bus
from tidemill.adapters.entries import Entry
from tidemill.adapters.lake import Lake, Listed
from tidemill.adapters.measures import count
from tidemill.adapters.quality_metrics import QualityMetrics
from tidemill.adapters.registry import Registry, statistics_uri
from tidemill.adapters.revisions import write_unless_changed
from tidemill.adapters.state import QUALITY
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DriftFound
from tidemill.domain.quality import FEATURE, Decision, Point, Said, decide_quality
from tidemill.domain.truth import MOST_PART_BYTES, RETENTION_DAYS
from tidemill.domain.watch import window_of, window_seconds
from tidemill.names import aws_name
from tidemill.spec.compiled import Quality, Spec
from tidemill.times import iso

DAY = 86_400.0
#: Without a floor of the spec's, points are told of, not judged.
UNJUDGED_ROWS = 200
#: Findings that are remembered: a week of them counts, and few are told in one.
_MOST_SAID = 100
_ATTEMPTS = 10
#: How a function is applied to many: `map`, or an executor's, which does it side by side.
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Judge(Protocol):
    """Joining and measuring, which live with the jobs: `tidemill_jobs.truth.points`."""

    def __call__(
        self,
        predictions: Sequence[Path],
        truth: Sequence[Path],
        *,
        problem: Any,
        classes: Sequence[Any],
        metric: str,
        direction: Any,
        floor: float | None,
        minimum_rows: int,
        every: int,
        since: float,
        known: Mapping[str, dict[str, Any]],
        judged_at: str,
    ) -> dict[str, Any]:
        """Return counts, points, and the documents of points that were measured now."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What lies there of predictions and labels; *left_out* were too much for one look."""

    predictions: list[Listed]
    truth: list[Listed]
    left_out: int

    @property
    def digest(self) -> str:
        """What tells whether anything came since."""
        named = sorted(f"{part.key} {part.etag}" for part in (*self.predictions, *self.truth))
        return hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]


class Qualities:
    """
    Safe to repeat, and for two at once.

    Args:
        stores: What is kept.
        lake: Where parts and documents are.
        registry: Says what a version was evaluated at.
        bus: Who hears of findings.
        metrics: CloudWatch's.
        judge: Joins and measures.
        stack: The stack's name.
        bucket: The lake's.
        each: How parts are fetched.
    """

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        registry: Registry,
        bus: Bus,
        *,
        metrics: QualityMetrics,
        judge: Judge,
        stack: str,
        bucket: str,
        each: Each = map,
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._registry = registry
        self._bus = bus
        self._metrics = metrics
        self._judge = judge
        self._stack = stack
        self._bucket = bucket
        self.each = each

    def look(self, ref: str, work: Path, now: float) -> Decision:
        """
        Join what lies there at *now* (seconds since 1970), and say what it comes to.

        Args:
            ref: The model.
            work: An empty folder with room for the parts.
            now: When.

        Raises:
            NotFoundError: There is no such model.
        """
        spec = self._stores.specs.get(ref)
        champion = self._stores.champions.find(ref)
        if champion is None:
            return Decision("no_truth", "no version is in service", {})
        summary = self._measured(spec, champion, work, now)
        decided = self._decide(spec, int(champion["version"]), summary, now)
        self._lake.put_json(
            summary_uri(self._bucket, ref), {**summary, "decision": _document(decided)}
        )
        self._tell(ref, retrain=spec.watch.drift.retrain)
        if decided.low:
            count("QualityBelowFloor", 1, stack=self._stack)
        return decided

    def _measured(
        self, spec: Spec, champion: Mapping[str, Any], work: Path, now: float
    ) -> dict[str, Any]:
        """Return the summary; of parts that were judged before it is the one that there is."""
        ref, quality = spec.ref, spec.watch.quality
        wanted = _wanted(spec, quality)
        every = window_seconds(spec.watch.every_seconds)
        begin = max(float(champion["since"]), now - RETENTION_DAYS * DAY)
        parts = self._parts(ref, window_of(begin, every), now)
        asked = {**wanted, "version": champion["version"], "every": every, "parts": parts.digest}
        before = self._lake.get_json(summary_uri(self._bucket, ref)) or {}
        if before.get("asked") == asked:
            return dict(before)
        evaluation = self._evaluation(champion)
        paths = self._fetched(parts, work)
        found = self._judge(
            *paths,
            **wanted,
            problem=evaluation["problem"],
            classes=evaluation["classes"],
            every=every,
            since=float(champion["since"]),
            known={point["digest"]: point for point in before.get("points", [])},
            judged_at=iso(now),
        )
        for start, documents in sorted(found["documents"].items()):
            for name, document in documents.items():
                uri = f"s3://{self._bucket}/watch/{ref}/quality/{iso(start)}/{name}"
                self._lake.put_json(uri, document)
        self._metrics.put(
            found["documents"],
            metric=wanted["metric"],
            endpoint=aws_name(self._stack, spec.project, spec.model),
            schedule=aws_name(self._stack, spec.project, spec.model, "watch"),
            reported=spec.watch.metrics if quality else "none",
            now=now,
        )
        return {
            "version": 1,
            "asked": asked,
            "model": ref,
            "champion": champion["version"],
            "problem": evaluation["problem"],
            "judged_at": iso(now),
            "since": iso(begin),
            "evaluated": _evaluated(evaluation, wanted["metric"]),
            "counts": found["counts"],
            "parts_left_out": parts.left_out,
            "points": found["points"],
        }

    def _parts(self, ref: str, begin: float, now: float) -> Parts:
        predictions, too_many = self._newest(f"watch/{ref}/predictions/", iso(begin))
        day = iso(now - (RETENTION_DAYS + 1) * DAY)[:10]
        truth, more = self._newest(f"watch/{ref}/truth/", day)
        return Parts(predictions, truth, too_many + more)

    def _newest(self, prefix: str, first: str) -> tuple[list[Listed], int]:
        """Return what lies there from *first* on, as far as there is room, and what is left out."""
        found = list(self._lake.listed(self._bucket, prefix, after=f"{prefix}{first}"))
        room, newest = MOST_PART_BYTES, []
        for part in sorted(found, key=lambda part: part.key, reverse=True):
            room -= part.size
            if room < 0:
                break
            newest.append(part)
        return newest, len(found) - len(newest)

    def _fetched(self, parts: Parts, work: Path) -> tuple[list[Path], list[Path]]:
        """Return local files of predictions and of labels; what is gone meanwhile is left out."""
        wanted = [*parts.predictions, *parts.truth]
        paths = {part.key: work / f"{number}.parquet" for number, part in enumerate(wanted)}
        fetched = dict(
            self.each(
                lambda part: (
                    part.key,
                    self._lake.download(self._bucket, part.key, paths[part.key]),
                ),
                wanted,
            )
        )
        predictions, truth = (
            [paths[part.key] for part in some if fetched[part.key]]
            for some in (parts.predictions, parts.truth)
        )
        return predictions, truth

    def _evaluation(self, champion: Mapping[str, Any]) -> dict[str, Any]:
        package = self._registry.describe(champion["package"])
        evaluation = self._lake.get_json(statistics_uri(package))
        return dict(evaluation or {})

    def _decide(self, spec: Spec, version: int, summary: Mapping[str, Any], now: float) -> Decision:
        """Decide, and keep what is told; anew when somebody else was faster."""
        ref, state = spec.ref, self._stores.state
        points = [_point(point) for point in summary["points"]]
        for _ in range(_ATTEMPTS):
            held = state.get(ref, QUALITY) or {"revision": 0, "said": [], "unsaid": []}
            decided = decide_quality(
                points,
                spec.watch.quality,
                spec.watch.drift,
                version=version,
                said=[Said(**one) for one in held["said"]],
                others=self._drift_findings(ref),
                now=now,
            )
            newest = points[-1].start if points else 0.0
            after, entries = _kept(ref, held, decided, newest=newest, version=version, now=now)
            if not entries or self._write(ref, held["revision"], after, entries):
                return decided
        raise TimeoutError(f"the quality of {ref} changed {_ATTEMPTS} times; look again")

    def _write(
        self, ref: str, revision: int, after: Mapping[str, Any], entries: list[Entry]
    ) -> bool:
        stores = self._stores
        return write_unless_changed(
            stores.state, stores.ledger, ref, QUALITY, after, before=revision, entries=entries
        )

    def _drift_findings(self, ref: str) -> list[float]:
        """Return when findings about drift were told, in seconds since 1970."""
        return [one.at for one in self._stores.watches.read(ref).told if one.kind == "shift"]

    def _tell(self, ref: str, *, retrain: bool) -> None:
        """Tell subscribers of findings that nobody may have heard of, then note that they have."""
        state = self._stores.state
        held = state.get(ref, QUALITY)
        if held is None or not held["unsaid"]:
            return
        project, _, model = ref.partition("/")
        for finding in held["unsaid"]:
            entry = self._stores.ledger.find(ref, f"finding#{finding}")
            if entry is not None:
                self._bus.put(
                    DriftFound(
                        project,
                        model,
                        finding=finding,
                        feature=FEATURE,
                        window=entry["facts"]["window"],
                        reason=entry["reason"],
                        retrain=retrain,
                    )
                )
        after = {**held, "revision": held["revision"] + 1, "unsaid": []}
        self._write(ref, held["revision"], after, [])  # or somebody else looked, and tells it again


def summary_uri(bucket: str, ref: str) -> str:
    """Return where the last look at a model's quality is kept."""
    return f"s3://{bucket}/watch/{ref}/quality/summary.json"


def _wanted(spec: Spec, quality: Quality | None) -> dict[str, Any]:
    if quality is None:
        return {
            "metric": spec.evaluate.metric,
            "direction": spec.evaluate.direction,
            "floor": None,
            "minimum_rows": UNJUDGED_ROWS,
        }
    return {
        "metric": quality.metric,
        "direction": quality.direction,
        "floor": quality.floor,
        "minimum_rows": quality.minimum_rows,
    }


def _evaluated(evaluation: Mapping[str, Any], metric: str) -> float | None:
    """Return what the metric was on the version's test rows."""
    for name, section in evaluation.items():
        if name.endswith("_metrics") and isinstance(section, Mapping) and metric in section:
            value = section[metric].get("value")
            return value if isinstance(value, int | float) else None
    return None


def _point(document: Mapping[str, Any]) -> Point:
    return Point(**{name: document[name] for name in Point.__slots__})


def _kept(
    ref: str,
    held: Mapping[str, Any],
    decided: Decision,
    *,
    newest: float,
    version: int,
    now: float,
) -> tuple[dict[str, Any], list[Entry]]:
    """Return the item as it is to be, and what the ledger says: what changed, and a finding."""
    entries = []
    said, unsaid = list(held["said"]), list(held["unsaid"])
    if decided.finding is not None:
        said.append(asdict(Said(decided.finding, now, newest, version)))
        unsaid.append(decided.finding)
        key = f"finding#{decided.finding}"
        entries.append(
            Entry(ref, key, now, "finding", FEATURE, "below_floor", decided.reason, decided.facts)
        )
    verdict = "below" if decided.verdict == "found" else decided.verdict
    if (held.get("verdict"), held.get("version")) != (verdict, version):
        key = f"quality#{version}#{held['revision'] + 1}"
        subject = f"version {version}"
        entries.append(
            Entry(ref, key, now, "quality", subject, verdict, decided.reason, decided.facts)
        )
    after = {
        "revision": held["revision"] + 1,
        "verdict": verdict,
        "version": version,
        "said": said[-_MOST_SAID:],
        "unsaid": unsaid,
    }
    return after, entries


def _document(decided: Decision) -> dict[str, Any]:
    return {**asdict(decided), "until": iso(decided.until) if decided.until else None}
