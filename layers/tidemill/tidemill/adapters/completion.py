"""Is an open delivery complete? Where a manifest decides, what arrived is held against it."""

from dataclasses import asdict

from tidemill.adapters.bus import Queue
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.lake import Lake
from tidemill.adapters.last_words import BY_MANIFEST
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CloseDelivery
from tidemill.domain.delivery import Close, Look, OpenDelivery, Wait, judge
from tidemill.domain.manifest import Comparison, Manifest, Named, compare, parse
from tidemill.spec.compiled import Spec


class Completion:
    """Safe to repeat: what is set aside stays set aside, and a delivery is closed once."""

    def __init__(self, stores: Stores, queue: Queue, lake: Lake, quarantine: Quarantine) -> None:
        self._specs = stores.specs
        self._deliveries = stores.deliveries
        self._ledger = stores.ledger
        self._queue = queue
        self._lake = lake
        self._quarantine = quarantine

    def look(self, request: CloseDelivery, now: float) -> str | None:
        """
        Close the delivery at *now* (seconds since 1970) if it is complete, or look again later.

        A delivery of a model that was deleted meanwhile stays open: it is closed when the model's
        model.yaml is applied again.

        Returns:
            Why it was closed; None when this call did not close it.
        """
        spec = self._specs.find(request.ref)
        delivery = self._deliveries.open(request.ref)
        if spec is None or delivery is None or delivery.id != request.delivery:
            return None
        verdict, set_aside = self._judge(spec, delivery, now)
        if isinstance(verdict, Wait):
            if not request.once:
                self._queue.send(asdict(request), verdict.seconds)
            return None
        if self._deliveries.close(request.ref, delivery, verdict.reason, now, set_aside=set_aside):
            return verdict.reason
        self._queue.send(asdict(request), 1)  # an upload came in between
        return None

    def _judge(self, spec: Spec, delivery: OpenDelivery, now: float) -> tuple[Close | Wait, int]:
        """Judge it; when it is complete, what differs from its manifests is set aside: so many."""
        verdict = judge(delivery, spec.delivery, now)
        if not isinstance(verdict, Look):
            return verdict, 0
        comparison = self._compare(spec.ref, delivery)
        whole = judge(delivery, spec.delivery, now, comparison)
        if isinstance(whole, Wait):
            return whole, 0
        for wrong in comparison.wrong:
            self._quarantine.set_aside(spec.ref, wrong.version, wrong.verdict)
            stage = BY_MANIFEST.removeprefix("#")
            entry = upload_entry(spec.ref, wrong.version, wrong.verdict, now, stage=stage)
            self._ledger.append(entry)
        return whole, len(comparison.wrong)

    def _compare(self, ref: str, delivery: OpenDelivery) -> Comparison:
        manifests = [self._read(manifest) for manifest in delivery.manifests]
        arrived = self._ledger.arrived_in(
            ref, delivery.id, since=delivery.opened_at, count=delivery.arrived
        )
        return compare(manifests, arrived)

    def _read(self, manifest: Manifest) -> tuple[Named, ...]:
        """Read a manifest again; one that was deleted for good names nothing any more."""
        at = manifest.version
        opened = self._lake.open(at.bucket, at.key, at.version_id, at.sequencer, max(1, at.size))
        if opened is None:
            return ()
        folder = at.key[: at.key.rfind("/") + 1]
        return parse(opened[1], folder) or ()
