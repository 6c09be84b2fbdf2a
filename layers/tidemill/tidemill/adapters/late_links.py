"""The sweep's part about the ledger: chain what the stream lost, and anchor the chains' heads."""

from typing import Any

from tidemill.adapters.anchors import Anchors
from tidemill.adapters.chain import Chain
from tidemill.adapters.entries import UNPLACED
from tidemill.adapters.state import CHAINS
from tidemill.adapters.stores import Stores
from tidemill.times import seconds

#: The stream chains within seconds; the sweep looks at entries that are older than this.
GRACE_SECONDS = 900.0
#: A model is looked at, and its head anchored, at most so often.
LOOK_SECONDS, ANCHOR_SECONDS = 540.0, 3600.0
#: Entries that one look may read; the next goes on from there.
MOST = 100_000


class LateLinks:
    """Safe to repeat: an entry that some link names is not chained again."""

    def __init__(self, stores: Stores, chain: Chain, anchors: Anchors) -> None:
        self._stores = stores
        self._chain = chain
        self._anchors = anchors

    def sweep(self, now: float, most: int = MOST) -> int:
        """
        Look at every model's newer entries, at *now* (seconds since 1970).

        Returns:
            How many entries had to be chained late.
        """
        seen = {item["fact"]: item for item in self._stores.state.under(CHAINS)}
        # Those that were looked at before, too: a deleted model's last entries must be chained.
        models = sorted({*self._stores.specs.refs(), UNPLACED, *seen})
        return sum(self._look(model, seen.get(model, {}), now, most) for model in models)

    def _look(self, model: str, held: dict[str, Any], now: float, most: int) -> int:
        seen, more = held.get("seen_until", 0.0), held.get("more", False)
        until = now - GRACE_SECONDS
        if not more and until - seen < LOOK_SECONDS:
            return 0
        # An entry's time is a little before it is written: look at the last minutes again.
        since = seen if more else max(0.0, seen - GRACE_SECONDS)
        made = self._chain.made_between(model, since, until, most)
        unnamed = self._chain.unnamed(model, (key for key, _ in made), since)
        found = (self._chain.as_stored(model, key) for key in sorted(unnamed))
        late = [entry for entry in found if entry is not None]
        chained = self._chain.extend(model, late, now) if late else 0
        more = len(made) == most
        document = {
            "seen_until": seconds(made[-1][1]) if more else until,
            "more": more,
            **self._anchor(model, held, now),
        }
        self._stores.state.client.put_item(
            TableName=self._stores.state.table,
            Item=self._stores.state.item(CHAINS, model, document),
        )
        return chained

    def _anchor(self, model: str, held: dict[str, Any], now: float) -> dict[str, float]:
        """Write the head where nobody can change it, when it is due; return what is noted of it."""
        noted = {
            "anchored": held.get("anchored", 0),
            "anchored_at": held.get("anchored_at", 0.0),
        }
        if now - noted["anchored_at"] < ANCHOR_SECONDS:
            return noted
        head = self._chain.head(model)
        if head is None or head.number == noted["anchored"]:
            return noted
        self._anchors.put(head)
        return {"anchored": head.number, "anchored_at": now}
