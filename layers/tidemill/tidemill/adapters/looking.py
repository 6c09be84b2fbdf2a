"""What a look at an endpoint's traffic comes to: windows, a verdict, and perhaps a finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tidemill.adapters.analyst import Analyst, WindowSeen, seen_of
from tidemill.adapters.baselines import unusable_baseline, without_baseline
from tidemill.adapters.bus import Bus
from tidemill.adapters.entries import Entry
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.adapters.traffic import Profiled, Traffic, window_prefix
from tidemill.adapters.watch_metrics import WatchMetrics
from tidemill.adapters.watch_reports import WatchReports
from tidemill.adapters.watches import Watched, without
from tidemill.contracts.domain_events import DriftFound, UpstreamBroken
from tidemill.contracts.watch import ConcludeWatch
from tidemill.domain.drift import (
    Decision,
    History,
    Told,
    Window,
    decide_drift,
    remember,
    still_needed,
)
from tidemill.domain.watch import chosen, digest, lateness, window_of
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Spec
from tidemill.times import iso


@dataclass(frozen=True, slots=True)
class Look:
    """A look's plan: whose traffic it is about, and which windows it concludes."""

    endpoint: str
    schedule: str
    version: int
    since: float  # when that version came into service
    every: int
    begin: float
    end: float
    watermark: float  # the first window that a later look concludes again
    baseline: str | None  # the URI of the version's profile

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Look":
        """Read what `to_json` wrote."""
        return cls(**{name: document[name] for name in cls.__slots__})

    def starts(self) -> list[float]:
        """Return the windows that the look is for, whether there is traffic in them or not."""
        count = round((self.end - self.begin) / self.every)
        return [self.begin + number * self.every for number in range(count)]

    @property
    def earliest(self) -> float:
        """The first window that late files may still change."""
        return max(
            window_of(self.since, self.every),
            window_of(self.begin - lateness(self.every), self.every),
        )


@dataclass(slots=True)
class _Concluding:
    """What one call of `conclude` has seen, whatever the number of its attempts."""

    look: Look
    spec: Spec
    baseline: bytes | None
    seen: dict[tuple[float, str], WindowSeen] = field(default_factory=dict)
    now: dict[float, WindowSeen] = field(default_factory=dict)  # of the last attempt
    decision: Decision | None = None


class Looking:
    """Safe to repeat, and for two at once: what partials there are decides, not who asks."""

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        bus: Bus,
        metrics: WatchMetrics,
        analyst: Analyst,
        *,
        bucket: str,
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._bus = bus
        self._metrics = metrics
        self._analyst = analyst
        self._traffic = Traffic(lake, bucket)
        self._reports = WatchReports(stores, lake, analyst, bucket=bucket)
        self._bucket = bucket

    def conclude(self, request: ConcludeWatch, now: float) -> Decision:
        """
        Conclude the windows of a look: verdict, finding, and who must hear of it.

        Raises:
            NotFoundError: The model has no spec any more, or the look no plan.
        """
        ref = request.ref
        document = self._lake.get_json(request.plan)
        if document is None:
            raise NotFoundError(f"{request.plan} is not there; watch again")
        look = Look.parse(document)
        baseline = self._lake.find_bytes(look.baseline) if look.baseline else None
        work = _Concluding(look, self._stores.specs.get(ref), baseline)

        def change(held: Watched) -> tuple[Watched, Sequence[Entry]] | None:
            return self._concluded(request, held, work, now)

        after = self._stores.watches.change(ref, change)
        self._tell(ref, after)
        self._metrics.put(
            sorted(work.now.items()),
            endpoint=look.endpoint,
            schedule=look.schedule,
            reported=work.spec.watch.metrics,
            now=now,
        )
        if work.decision is None:
            raise RuntimeError("a watch was changed without a decision")
        if work.baseline is not None and after.version == look.version:
            self._reports.write(work.spec, after, work.baseline, work.now, work.decision)
        return work.decision

    def _concluded(
        self, request: ConcludeWatch, held: Watched, work: _Concluding, now: float
    ) -> tuple[Watched, Sequence[Entry]] | None:
        """Return how the watch stands after the look; None when it was concluded before."""
        look, settings = work.look, work.spec.watch.drift
        done = replace(
            without(held, request.watch),
            stands="looked",
            concluded=request.watch,
            looked_at=now,
            failures=0,
            again_at=None,
        )
        if held.history.since > look.since:
            reason = f"version {held.version} came into service meanwhile; the next look is of it"
            work.decision = Decision("no_traffic", reason, {"version": look.version})
            return done, []
        same = (held.version, held.every, held.history.since) == (
            look.version, look.every, look.since,
        )  # fmt: skip
        history = held.history if same else History(since=look.since)
        digests = held.digests if same else {}
        windows = self._windows(request.ref, look, digests)
        work.now = self._all_seen(request.ref, windows, history, work)
        if held.concluded == request.watch:  # an attempt before died after that
            work.decision = Decision(held.verdict, held.reason, {})
            return None
        why = _without(look, work)
        if why:
            decision = Decision(
                "no_baseline",
                why,
                {"version": look.version, "rows": sum(one.rows for one in work.now.values())},
            )
        else:
            seen = [_window(start, one) for start, one in work.now.items()]
            history = remember(history, seen, settings, held.told)
            decision = decide_drift(history, settings, held.told, now)
        work.decision = decision
        found = {iso(start): digest([one.partial for one in some]) for start, some in windows}
        kept = {at: one for at, one in {**digests, **found}.items() if at >= iso(look.earliest)}
        after = replace(
            done,
            version=look.version,
            every=look.every,
            history=history,
            digests=kept,
            watermark=max(look.watermark, held.watermark or 0.0) if same else look.watermark,
            verdict=decision.verdict,
            reason=decision.reason,
        )
        entries = _entries(request, held, look, decision, now)
        if decision.finding is not None:
            finding = decision.finding
            told = Told(
                finding.id, finding.kind, now, finding.window, tuple(finding.features), look.since
            )
            after = replace(after, told=(*held.told, told), unsaid=(*held.unsaid, finding.id))
        return replace(after, told=still_needed(after.told, history, now)), entries

    def _windows(
        self, ref: str, look: Look, digests: Mapping[str, str]
    ) -> list[tuple[float, list[Profiled]]]:
        """Return the windows that are due, and those whose partials changed, with these."""
        by_window: dict[float, list[Profiled]] = {start: [] for start in look.starts()}
        due = set(by_window)
        found = self._traffic.partials(ref, look.earliest, version=look.version, every=look.every)
        for one in found:
            if one.partial.window < look.end:
                by_window.setdefault(one.partial.window, []).append(one)
        windows = []
        for start, some in sorted(by_window.items()):
            taken = {one.id for one in chosen([one.partial for one in some])}
            kept = sorted(
                (one for one in some if one.partial.id in taken), key=lambda one: one.partial.id
            )
            changed = digest([one.partial for one in kept]) != digests.get(iso(start), "")
            if start in due or changed:
                windows.append((start, kept))
        return windows

    def _all_seen(
        self,
        ref: str,
        windows: Sequence[tuple[float, list[Profiled]]],
        history: History,
        work: _Concluding,
    ) -> dict[float, WindowSeen]:
        """Look at windows in their order: what one came to helps to understand the next."""
        settings = work.spec.watch.drift
        known = {window.start: window for window in history.windows}
        seen: dict[float, WindowSeen] = {}
        for start, partials in windows:
            healthy = [
                before
                for before, window in known.items()
                if before < start and window.counts(settings) and not window.broken
            ]
            seen[start] = self._seen(ref, start, partials, work, max(healthy, default=None))
            known[start] = _window(start, seen[start])
        return seen

    def _seen(
        self,
        ref: str,
        start: float,
        partials: Sequence[Profiled],
        work: _Concluding,
        recent: float | None,
    ) -> WindowSeen:
        """Look at a window, and write what it came to; one without files has no documents."""
        if not partials:
            return WindowSeen(0, {}, (), {}, ())
        name = (start, digest([one.partial for one in partials]))
        if name not in work.seen:
            profiles = [self._lake.find_bytes(one.profile) for one in partials]
            said = self._analyst.look_at(
                work.spec.to_json(),
                work.baseline,
                [profile for profile in profiles if profile is not None],
                [one.tally for one in partials],
                self._profile(ref, recent),
                events=self._events(partials),
            )
            seen = seen_of(said)
            prefix = window_prefix(self._bucket, ref, start)
            for document, content in seen.documents.items():
                self._lake.put_bytes(f"{prefix}/{document}", content, _media_type(document))
            work.seen[name] = seen
        return work.seen[name]

    def _profile(self, ref: str, start: float | None) -> bytes | None:
        if start is None:
            return None
        return self._lake.find_bytes(f"{window_prefix(self._bucket, ref, start)}/profile.json.gz")

    def _events(self, partials: Sequence[Profiled]) -> list[bytes]:
        """Return which events each partial counted; a single one counted none twice."""
        if len(partials) < 2:  # noqa: PLR2004
            return []
        found = [self._lake.find_bytes(one.events) for one in partials]
        return [events for events in found if events is not None]

    def _tell(self, ref: str, watched: Watched) -> None:
        """Tell subscribers of findings that nobody may have heard of, then note that they have."""
        retrain = self._stores.specs.get(ref).watch.drift.retrain
        for finding in watched.unsaid:
            entry = self._stores.ledger.find(ref, f"finding#{finding}")
            if entry is not None:
                self._bus.put(_event(ref, finding, entry, retrain=retrain))
        if watched.unsaid:
            said = set(watched.unsaid)
            self._stores.watches.change(
                ref,
                lambda held: (
                    replace(held, unsaid=tuple(one for one in held.unsaid if one not in said)),
                    [],
                ),
            )


def _without(look: Look, work: _Concluding) -> str:
    """Return why windows cannot be compared; empty where they can."""
    if work.baseline is None:
        return without_baseline(look.version)
    unusable = next((seen.unusable for seen in work.now.values() if seen.unusable), "")
    return unusable_baseline(look.version, look.baseline or "", unusable) if unusable else ""


def _window(start: float, seen: WindowSeen) -> Window:
    return Window(start, seen.rows, dict(seen.drifted), tuple(seen.between), dict(seen.broken))


def _entries(
    request: ConcludeWatch, held: Watched, look: Look, decision: Decision, now: float
) -> list[Entry]:
    """Return what the ledger says: of each finding, of what changed, and of what a person asked."""
    facts = {**decision.facts, "watch": request.watch, "version": look.version}
    entries = []
    if decision.finding is not None:
        finding = decision.finding
        entries.append(
            Entry(
                request.ref,
                f"finding#{finding.id}",
                now,
                "finding",
                next(iter(finding.features)),
                finding.kind,
                finding.reason,
                facts,
            )
        )
    changed = (decision.verdict, look.version) != (held.verdict, held.version)  # None at first
    if changed or request.asked:
        identity = f"watch#{request.watch}"
        subject = f"version {look.version}"
        entries.append(
            Entry(
                request.ref, identity, now, "watch", subject, decision.verdict, decision.reason,
                facts,
            )
        )  # fmt: skip
    return entries


def _event(
    ref: str, finding: str, entry: Mapping[str, Any], *, retrain: bool
) -> DriftFound | UpstreamBroken:
    project, _, model = ref.partition("/")
    said = {
        "finding": finding,
        "feature": entry["subject"],
        "window": entry["facts"]["window"],
        "reason": entry["reason"],
    }
    if entry["verdict"] == "broken_upstream":
        return UpstreamBroken(project, model, **said)
    return DriftFound(project, model, **said, retrain=retrain)


def _media_type(name: str) -> str:
    known = {"json": "application/json", "html": "text/html; charset=utf-8"}
    return known.get(name.rpartition(".")[2], "application/octet-stream")
