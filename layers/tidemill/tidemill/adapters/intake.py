"""One upload from its event to its verdict: ask S3, ask the rules, write the answer."""

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import UNPLACED, upload_entry
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.contracts import ObjectCreated
from tidemill.domain.admission import ObjectVersion, Verdict, catalogued, misplaced, repeated
from tidemill.domain.delivery import manifest_names
from tidemill.domain.finding import Finding, NeedMore
from tidemill.domain.placement import Placement, place
from tidemill.domain.preflight import SAMPLE_BYTES, Sample, inspect
from tidemill.spec.compiled import Spec

#: A manifest is kept in the open delivery's item, and DynamoDB's items end at 400 KB.
LARGEST_MARKER_BYTES = 128 * 1024


class Intake:
    """Safe to repeat: an upload that has a verdict keeps it."""

    def __init__(self, stores: Stores, lake: Lake, deliveries: Queue, bus: Bus) -> None:
        self._stores = stores
        self._lake = lake
        self._queue = deliveries
        self._quarantine = Quarantine(lake, bus)

    def admit(self, upload: ObjectCreated, now: float) -> str:
        """Judge one upload at *now* (seconds since 1970) and return the verdict's name."""
        placement = place(upload.key)
        spec = self._stores.specs.find(placement.ref) if placement else None
        ref = placement.ref if placement and spec else UNPLACED
        seen = self._stores.ledger.upload(ref, upload.key, upload.version_id)
        if seen is not None:
            self._arm(ref, spec, seen["facts"].get("delivery"))
            return str(seen["verdict"])
        version = self._lake.look(upload.bucket, upload.key, upload.version_id, upload.sequencer)
        if version is None:
            version = ObjectVersion(
                upload.bucket, upload.key, upload.version_id, "", 0, now, upload.sequencer
            )
            verdict = Verdict("ignore", "deleted for good before it was read")
        elif placement is None or spec is None:
            verdict = misplaced(upload.key, placement)
        elif placement.name == spec.delivery.marker:
            verdict = self._mark(spec, version, now)
        else:
            verdict = catalogued(placement, spec.data) or self._judge(spec, version)
            if verdict.name == "accept" and not verdict.catalogued:
                return self._accept(spec, placement, version, verdict, now)
        if verdict.name == "quarantine" and spec is not None:
            self._quarantine.set_aside(spec.ref, version, verdict)
        if placement and spec and spec.delivery.marker and verdict.name != "ignore":
            # It arrived, if not as data: a manifest that names it must not wait for it.
            delivery = self._stores.deliveries.heard_of(spec.ref, version, placement.name, now)
            self._arm(spec.ref, spec, delivery)
        self._stores.ledger.append(upload_entry(ref, version, verdict, now))
        return verdict.name

    def _judge(self, spec: Spec, version: ObjectVersion) -> Verdict:
        previous = self._stores.ledger.newest_accepted(spec.ref, version.key)
        duplicate = repeated(version, previous)
        if duplicate is not None:
            return duplicate
        finding = self._inspect(spec, version)
        if finding is not None:
            return Verdict("quarantine", finding.reason, finding.rule, finding.next_step)
        again = "replaces the version before" if previous else "new"
        return Verdict(
            "accept", f"{again}; the first {SAMPLE_BYTES // 1024} KiB look as they should"
        )

    def _inspect(self, spec: Spec, version: ObjectVersion) -> Finding | None:
        head = self._lake.read(version, 0, SAMPLE_BYTES)
        wanted = SAMPLE_BYTES
        while True:
            tail = self._lake.read(version, max(0, version.size - wanted), wanted)
            found = inspect(Sample(version.key, version.size, head, tail), spec.data)
            if not isinstance(found, NeedMore):
                return found
            if found.bytes <= wanted:
                raise AssertionError(f"preflight asks for {found.bytes} bytes and had {wanted}")
            wanted = found.bytes

    def _accept(
        self, spec: Spec, placement: Placement, version: ObjectVersion, verdict: Verdict, now: float
    ) -> str:
        name = placement.name if spec.delivery.marker else None
        delivery = self._stores.deliveries.take(spec.ref, version, verdict, now, name=name)
        self._arm(spec.ref, spec, delivery)
        return verdict.name

    def _arm(
        self, ref: str, spec: Spec | None, delivery: str | None, *, marked: bool = False
    ) -> None:
        """Send the message that will close *delivery*, unless one is under way."""
        if spec is None or delivery is None or self._stores.deliveries.armed(ref, delivery):
            return
        message = {"project": spec.project, "model": spec.model, "delivery": delivery}
        self._queue.send(message, 0 if marked else spec.delivery.quiet_seconds)
        self._stores.deliveries.set_armed(ref, delivery)

    def _mark(self, spec: Spec, version: ObjectVersion, now: float) -> Verdict:
        """Tell the open delivery that its marker came."""
        open_delivery = self._stores.deliveries.open(spec.ref)
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
        if open_delivery is None:  # events are unordered: it may have overtaken its files
            delivery = self._stores.deliveries.begin(spec.ref, version, now)
        else:
            delivery = open_delivery.id
        verdict = Verdict("ignore", f"the marker of {delivery}; not data")
        if not self._stores.deliveries.mark(
            spec.ref, delivery, version, verdict, now, expected=expected
        ):
            return Verdict("ignore", f"a marker, but {delivery} was closed meanwhile")
        self._arm(spec.ref, spec, delivery, marked=True)
        return verdict
