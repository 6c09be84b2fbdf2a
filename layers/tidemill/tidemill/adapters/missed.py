"""
Uploads without a verdict: the sweep's walk through the lake.

Each call walks on for a bounded while from where the last one stopped, so that a lake of any size
is walked through, and a sweep of any size ends.
"""

import time
from collections import defaultdict

from tidemill.adapters.bus import Queue
from tidemill.adapters.entries import UNPLACED, Seen
from tidemill.adapters.items import transact
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.placement import RAW, place

#: One call reads at most so many pages of 1,000 versions, and for so long.
MOST_PAGES = 50
MOST_SECONDS = 120.0
#: A walk that took more than one call begins at most so often; a shorter one with every call.
LONG_WALK_SECONDS = 6 * 3600.0
#: With so many events still in the queue, what has no verdict yet was not missed.
BACKLOG = 1000
SWEEP, UPLOADS = "sweep", "uploads"


class Missed:
    """
    Safe to repeat: what is sent twice is judged once.

    Args:
        stores: Where verdicts are.
        lake: What is walked through.
        intake: Who gives a verdict to what has none.
        zone: Which of the lake's zones: `raw` or `truth`.
    """

    def __init__(self, stores: Stores, lake: Lake, intake: Queue, zone: str = RAW) -> None:
        self._stores = stores
        self._lake = lake
        self._intake = intake
        self._zone = zone
        self._fact = UPLOADS if zone == RAW else zone
        self._kind: Seen = "upload" if zone == RAW else "truth"

    def walk(self, bucket: str, now: float) -> int:
        """
        Walk on at *now* (seconds since 1970), and send what has no verdict through intake.

        Returns:
            How many uploads were sent.
        """
        if self._intake.waiting() >= BACKLOG:
            return 0
        state = self._stores.state
        held = state.get(SWEEP, self._fact) or {}
        after = tuple(held["after"]) if held.get("after") else None
        if after is None:
            if held.get("long") and not self._due(held["began_at"], now):
                return 0
            held = {"began_at": now, "long": False}
        models = set(self._stores.specs.refs())
        sent, began = 0, time.monotonic()
        for _ in range(MOST_PAGES):
            page, after = self._lake.versions(bucket, f"{self._zone}/", after)
            sent += self._send(page, models)
            held = {**held, "after": list(after) if after else None}
            if after is None or time.monotonic() - began > MOST_SECONDS:
                break
        document = {**held, "long": bool(held["long"] or after)}
        transact(state.client, [state.put(SWEEP, self._fact, document)])
        return sent

    def _due(self, began_at: float, now: float) -> bool:
        """Say whether a long walk may begin again: after a while, or when a model is new."""
        if now >= began_at + LONG_WALK_SECONDS:
            return True
        specs = self._stores.specs
        found = (specs.applied(ref) for ref in specs.refs())
        return any(applied["applied_at"] >= began_at for applied in found if applied)

    def _send(self, page: list[ObjectCreated], models: set[str]) -> int:
        by_ref: dict[str, list[ObjectCreated]] = defaultdict(list)
        for upload in page:
            placed = place(upload.key, self._zone)
            by_ref[placed.ref if placed and placed.ref in models else UNPLACED].append(upload)
        missed = [
            upload
            for ref, uploads in by_ref.items()
            for upload in self._stores.ledger.unknown(ref, uploads, self._kind)
        ]
        self._intake.send_all([upload.to_event() for upload in missed])
        return len(missed)
