"""Verifying a model's ledger: links, entries and anchors, read once."""

from collections import defaultdict

from tidemill.adapters.anchors import Anchor, Anchors, etag
from tidemill.adapters.chain import Chain, as_link
from tidemill.domain.chain import Link
from tidemill.domain.chain_walk import Walk


class Verification:
    """Reads only."""

    def __init__(self, chain: Chain, anchors: Anchors) -> None:
        self._chain = chain
        self._anchors = anchors

    def verify(self, model: str, now: float) -> tuple[Walk, int]:
        """
        Walk along the chain of *model* at *now* (seconds since 1970).

        Returns:
            The walk, closed, and how many anchored heads agree with it.
        """
        anchored: dict[int, list[Anchor]] = defaultdict(list)
        for anchor in self._anchors.of(model):
            anchored[anchor.number].append(anchor)
        walk, agreed = Walk(), 0
        for item in self._chain.items(model, links=True):
            number = walk.link(item)
            for anchor in anchored.pop(number, []):
                agreed += self._agrees(walk, anchor, _read(item))
        for number in sorted(anchored):
            for anchor in anchored[number]:
                walk.anchor(number, self._anchors.read(anchor), None)
        for item in self._chain.items(model, links=False):
            walk.entry(item)
        walk.close(now)
        return walk, agreed

    def _agrees(self, walk: Walk, anchor: Anchor, link: Link | None) -> bool:
        if link is not None and anchor.etag == etag(link):
            return True
        found = self._anchors.read(anchor)  # a bucket's own key makes other ETags
        if link is not None and found == link.hash:
            return True
        walk.anchor(anchor.number, found, link.hash if link else "nothing that can be read")
        return False


def _read(item: dict[str, object]) -> Link | None:
    """Return a link, or None when somebody spoilt it."""
    try:
        return as_link(item)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
