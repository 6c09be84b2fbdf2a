"""What a batch brings to a model's open delivery: uploads, markers, the closing message."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidemill.adapters.bus import Queue
from tidemill.adapters.deliveries import MOST_ARRIVALS, Arrival
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.judging import (
    LARGEST_MARKER_BYTES,
    Arrived,
    Failed,
    Marks,
    Outcome,
    Settled,
)
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.domain.admission import Verdict
from tidemill.domain.delivery import wakes
from tidemill.domain.manifest import parse
from tidemill.spec.compiled import Spec

Identity = tuple[str, str, str]
#: A verdict's name, or why there is none yet.
Answer = str | Exception
#: So many manifests of one delivery are kept (one for each folder); its item must stay small.
MOST_MANIFESTS = 20


@dataclass
class _Batch:
    """What becomes of one model's uploads of a batch."""

    now: float
    answers: dict[Identity, Answer] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)  # deliveries whose message must be seen to

    def note(self, outcome: Outcome) -> None:
        """Note what needs no more writing."""
        if isinstance(outcome, Settled):
            self.answers[outcome.upload.identity] = outcome.verdict
            self.touch(outcome.delivery)
        elif isinstance(outcome, Failed):
            self.answers[outcome.upload.identity] = outcome.error

    def touch(self, delivery: str | None) -> None:
        """Note a delivery whose message must be seen to."""
        if delivery is not None:
            self.touched.add(delivery)


class Gathering:
    """Safe to repeat: who was recorded before is not added again."""

    def __init__(self, stores: Stores, queue: Queue, quarantine: Quarantine) -> None:
        self._ledger = stores.ledger
        self._deliveries = stores.deliveries
        self._queue = queue
        self._quarantine = quarantine

    def gather(
        self, ref: str, spec: Spec | None, outcomes: Sequence[Outcome], now: float
    ) -> dict[Identity, Answer]:
        """Write what is left to write of one model's uploads; what fails, fails alone."""
        batch = _Batch(now)
        for outcome in outcomes:
            batch.note(outcome)
        arrived = [outcome for outcome in outcomes if isinstance(outcome, Arrived)]
        for first in range(0, len(arrived), MOST_ARRIVALS):
            self._join(ref, spec, batch, arrived[first : first + MOST_ARRIVALS])
        if spec is None:
            return batch.answers
        for outcome in outcomes:  # last: events are unordered, so it may stand before its files
            if isinstance(outcome, Marks):
                batch.answers[outcome.upload.identity] = self._marked(spec, outcome, batch)
        try:
            self._arm(spec, batch.touched)
        except Exception as error:  # noqa: BLE001  # who comes again sees to it
            return dict.fromkeys(batch.answers, error)
        return batch.answers

    def _join(self, ref: str, spec: Spec | None, batch: _Batch, chunk: Sequence[Arrived]) -> None:
        """Add *chunk* to the open delivery; those that another was faster with keep its verdict."""
        try:
            arrivals = [Arrival(item.version, item.verdict) for item in chunk]
            added = self._deliveries.add(ref, arrivals, batch.now)
            seen = [
                (item, self._ledger.upload(ref, item.version.key, item.version.version_id))
                for item in added.known
            ]
        except Exception as error:  # noqa: BLE001  # their messages come again
            batch.answers |= {item.upload.identity: error for item in chunk}
            return
        batch.answers |= {item.upload.identity: item.verdict.name for item in chunk}
        if not (added.armed and spec is not None and _closes_by_time_only(spec)):
            batch.touch(added.delivery)
        for item, entry in seen:
            if entry is not None:
                batch.answers[item.version.identity] = entry["verdict"]
                batch.touch(entry["facts"].get("delivery"))

    def _arm(self, spec: Spec, touched: set[str]) -> None:
        """
        Send the message that will close the open delivery, unless one is under way.

        What may be complete is looked at now, by a message that does not come again.
        """
        held = self._deliveries.standing(spec.ref) if touched else None
        if held is None or held.delivery.id not in touched:
            return
        message = {"project": spec.project, "model": spec.model, "delivery": held.delivery.id}
        if not held.armed:
            marked = held.delivery.marker_at is not None
            self._queue.send(message, 0 if marked else spec.delivery.quiet_seconds)
            self._deliveries.set_armed(spec.ref, held.delivery.id)
        if wakes(held.delivery, spec.delivery):
            self._queue.send({**message, "once": True})

    def _marked(self, spec: Spec, outcome: Marks, batch: _Batch) -> Answer:
        try:
            return self._mark(spec, outcome, batch)
        except Exception as error:  # noqa: BLE001  # its message comes again
            return error

    def _mark(self, spec: Spec, outcome: Marks, batch: _Batch) -> str:
        """Tell the open delivery that its marker came; return the marker's verdict."""
        version, now = outcome.version, batch.now
        try:
            folder = version.key.removesuffix(str(spec.delivery.marker))
            named = _read(outcome, folder)
        except ValueError as error:
            verdict = Verdict("quarantine", str(error), "marker_malformed", "write it again")
            self._quarantine.set_aside(spec.ref, version, verdict)
            added = self._deliveries.add(spec.ref, [Arrival(version, verdict)], now)
            batch.touch(added.delivery)
            return verdict.name
        # Events are unordered: it may have overtaken its files, and then opens their delivery.
        delivery = self._deliveries.begin(spec.ref, version, now)
        batch.touch(delivery.id)
        verdict = Verdict("ignore", f"the marker of {delivery.id}; not data")
        if named is not None and len(delivery.manifests) >= MOST_MANIFESTS:
            named = None
            verdict = Verdict(
                "ignore",
                f"the marker of {delivery.id}, which has {MOST_MANIFESTS} manifests already: "
                "its list is not held against what arrived",
            )
        if not self._deliveries.mark(spec.ref, delivery.id, version, verdict, now, named=named):
            verdict = Verdict("ignore", f"a marker, but {delivery.id} was closed meanwhile")
            self._ledger.append(upload_entry(spec.ref, version, verdict, now))
        return verdict.name


def _closes_by_time_only(spec: Spec) -> bool:
    """Say whether no arrival can complete a delivery: then one that is armed needs no look."""
    return spec.delivery.marker is None and spec.delivery.expect is None


def _read(outcome: Marks, folder: str) -> int | None:
    """Return how many files the marker names, None when it is empty."""
    if outcome.version.size > LARGEST_MARKER_BYTES:
        raise ValueError(
            f"a marker of {outcome.version.size:,} bytes; at most {LARGEST_MARKER_BYTES:,} are "
            "read: name fewer files in it, or leave it empty; then it closes what has arrived"
        )
    named = parse(outcome.body, folder)
    return None if named is None else len(named)
