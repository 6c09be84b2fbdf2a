"""What a batch brings to a model's open delivery: uploads, markers, the closing message."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidemill.adapters.bus import Queue
from tidemill.adapters.deliveries import MOST_ARRIVALS, Arrival
from tidemill.adapters.judging import Arrived, Failed, Marks, Outcome, Settled
from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import upload_entry
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.delivery import manifest_names
from tidemill.domain.placement import place
from tidemill.spec.compiled import Spec

#: A manifest is kept in the open delivery's item, and DynamoDB's items end at 400 KB.
LARGEST_MARKER_BYTES = 128 * 1024

Identity = tuple[str, str, str]
#: A verdict's name, or why there is none yet.
Answer = str | Exception


@dataclass
class _Batch:
    """What becomes of one model's uploads of a batch."""

    ref: str
    now: float
    answers: dict[Identity, Answer] = field(default_factory=dict)
    touched: dict[str, bool] = field(default_factory=dict)  # deliveries: is a message under way?

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
            self.touched.setdefault(delivery, False)


class Gathering:
    """Safe to repeat: who was recorded before is not added again."""

    def __init__(self, stores: Stores, lake: Lake, queue: Queue, quarantine: Quarantine) -> None:
        self._ledger = stores.ledger
        self._deliveries = stores.deliveries
        self._lake = lake
        self._queue = queue
        self._quarantine = quarantine

    def gather(
        self, ref: str, spec: Spec | None, outcomes: Sequence[Outcome], now: float
    ) -> dict[Identity, Answer]:
        """Write what is left to write of one model's uploads; what fails, fails alone."""
        batch = _Batch(ref, now)
        for outcome in outcomes:
            batch.note(outcome)
        arrived = [outcome for outcome in outcomes if isinstance(outcome, Arrived)]
        for first in range(0, len(arrived), MOST_ARRIVALS):
            self._join(batch, spec, arrived[first : first + MOST_ARRIVALS])
        if spec is None:
            return batch.answers
        marks = [outcome for outcome in outcomes if isinstance(outcome, Marks)]
        for outcome in marks:  # last: events are unordered, so it may stand before its files
            batch.answers[outcome.upload.identity] = self._marked(spec, outcome, batch)
        try:
            for delivery, armed in batch.touched.items():
                if not armed:
                    self._arm(spec, delivery, marked=bool(marks))
        except Exception as error:  # noqa: BLE001  # who comes again sees to it
            return dict.fromkeys(batch.answers, error)
        return batch.answers

    def _join(self, batch: "_Batch", spec: Spec | None, chunk: Sequence[Arrived]) -> None:
        """Add *chunk* to the open delivery; those that another was faster with keep its verdict."""
        named = spec is not None and spec.delivery.marker is not None
        arrivals = [
            Arrival(item.version, item.verdict, _name(item.version.key) if named else None)
            for item in chunk
        ]
        try:
            added = self._deliveries.add(batch.ref, arrivals, batch.now)
            seen = [
                (item, self._ledger.upload(batch.ref, item.version.key, item.version.version_id))
                for item in added.known
            ]
        except Exception as error:  # noqa: BLE001  # their messages come again
            batch.answers |= {item.upload.identity: error for item in chunk}
            return
        batch.answers |= {item.upload.identity: item.verdict.name for item in chunk}
        if added.delivery is not None:
            batch.touched[added.delivery] = added.armed
        for item, entry in seen:
            if entry is not None:
                batch.answers[item.version.identity] = entry["verdict"]
                batch.touch(entry["facts"].get("delivery"))

    def _arm(self, spec: Spec, delivery: str, *, marked: bool) -> None:
        """Send the message that will close *delivery*, unless one is under way."""
        if self._deliveries.armed(spec.ref, delivery):
            return
        message = {"project": spec.project, "model": spec.model, "delivery": delivery}
        self._queue.send(message, 0 if marked else spec.delivery.quiet_seconds)
        self._deliveries.set_armed(spec.ref, delivery)

    def _marked(self, spec: Spec, outcome: Marks, batch: "_Batch") -> Answer:
        try:
            verdict = self._mark(spec, outcome.version, batch)
            if verdict.name == "quarantine":
                self._quarantine.set_aside(spec.ref, outcome.version, verdict)
                arrival = Arrival(outcome.version, verdict, _name(outcome.version.key))
                added = self._deliveries.add(spec.ref, [arrival], batch.now)
                if added.delivery is not None:
                    batch.touched[added.delivery] = added.armed
            else:
                self._ledger.append(upload_entry(spec.ref, outcome.version, verdict, batch.now))
        except Exception as error:  # noqa: BLE001  # its message comes again
            return error
        return verdict.name

    def _mark(self, spec: Spec, version: ObjectVersion, batch: "_Batch") -> Verdict:
        """Tell the open delivery that its marker came."""
        if version.size > LARGEST_MARKER_BYTES:
            return Verdict(
                "quarantine",
                f"a marker of {version.size} bytes; at most {LARGEST_MARKER_BYTES} are read",
                "marker_too_large",
                "name fewer files in it, or leave it empty: then it closes what has arrived",
            )
        try:
            expected = manifest_names(self._lake.read(version, 0, version.size))
        except ValueError as error:
            return Verdict("quarantine", str(error), "marker_malformed", "write it again")
        # Events are unordered: it may have overtaken its files, and then opens their delivery.
        delivery = self._deliveries.begin(spec.ref, version, batch.now)
        verdict = Verdict("ignore", f"the marker of {delivery}; not data")
        if not self._deliveries.mark(
            spec.ref, delivery, version, verdict, batch.now, expected=expected
        ):
            return Verdict("ignore", f"a marker, but {delivery} was closed meanwhile")
        batch.touched[delivery] = False
        return verdict


def _name(key: str) -> str:
    placed = place(key)
    return placed.name if placed else key
