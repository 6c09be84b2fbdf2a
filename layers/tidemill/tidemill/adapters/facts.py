"""
The facts that checks wrote: read from the packs of a delivery, or from where they were before.

A pack holds the facts of many uploads, a line each after a first line with their ids;
`tidemill_jobs.packs` writes them and has the format. Until 2026-11 each upload had an object of
its own, `checks/<project>/<model>/<id>.json`; those are still found.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tidemill.adapters.lake import Lake
from tidemill.adapters.plans import checks, packs
from tidemill.domain.admission import ObjectVersion
from tidemill.errors import NotFoundError

#: Packs fetched ahead of the one that is read; one may have 8 MiB.
AHEAD = 3


@dataclass(frozen=True, slots=True)
class Read:
    """One upload's facts, and where they lie: an object, or a line of one (`…jsonl#<id>`)."""

    item: ObjectVersion
    text: str
    uri: str


class FactsStore:
    """Reads facts. *bucket* is the artifact bucket."""

    def __init__(self, lake: Lake, bucket: str) -> None:
        self._lake = lake
        self._bucket = bucket

    def of(self, ref: str, delivery: str, uploads: Sequence[ObjectVersion]) -> Iterator[Read]:
        """
        Yield the facts of *uploads* of one delivery, as the packs have them; of each the newest.

        Raises:
            NotFoundError: One of them has none.
        """
        wanted = {item.id: item for item in uploads}
        for uri, name, text in self._packed(ref, delivery):
            item = wanted.pop(name, None)
            if item is not None:
                yield Read(item, text, f"{uri}#{name}")
                if not wanted:
                    return
        for item in wanted.values():
            uri = self._alone(ref, item.id)
            found = self._lake.find_text(uri)
            if found is None:
                raise NotFoundError(f"{item.uri} was not read: it has no facts; it is read again")
            yield Read(item, found, uri)

    def find(
        self, ref: str, asked: Sequence[tuple[str | None, ObjectVersion, str]]
    ) -> list[str | None]:
        """
        Return the facts of some uploads, in order; None of one that no check has read.

        Args:
            ref: The model.
            asked: Of each the delivery that it came in, if it came in one; the object version; and
                where its facts lie, as `Read` has it. Where that is not known (an empty text), the
                delivery's packs are searched.
        """
        addresses = sorted({uri.partition("#")[0] for _, _, uri in asked if "#" in uri})
        known: dict[str, str] = {}
        for address, text in zip(addresses, self._lake.texts(addresses, ahead=AHEAD), strict=True):
            wanted = {uri for _, _, uri in asked if uri.partition("#")[0] == address}
            lines = ((f"{address}#{name}", line) for name, line in _lines(text or ""))
            known |= {uri: line for uri, line in lines if uri in wanted}
        return [
            known.get(uri) if "#" in uri else self._search(ref, delivery, item)
            for delivery, item, uri in asked
        ]

    def _search(self, ref: str, delivery: str | None, item: ObjectVersion) -> str | None:
        if delivery is None:
            return self._lake.find_text(self._alone(ref, item.id))
        try:
            return next(read.text for read in self.of(ref, delivery, [item]))
        except NotFoundError:
            return None

    def named(self, ref: str, deliveries: Iterable[str], names: Sequence[str]) -> list[str]:
        """Return the facts of ids, in order, of files that came in one of *deliveries*."""
        wanted, found = set(names), dict[str, str]()
        for delivery in deliveries:
            for _, name, text in self._packed(ref, delivery):
                if name in wanted:
                    found.setdefault(name, text)
        before = [name for name in dict.fromkeys(names) if name not in found]
        texts = self._lake.texts(self._alone(ref, name) for name in before)
        found |= {name: text for name, text in zip(before, texts, strict=True) if text is not None}
        return [found[name] for name in names if name in found]

    def all_of(self, ref: str, delivery: str) -> Iterator[str]:
        """Yield the facts of all that a delivery's packs hold, the newest pack first."""
        return (text for _, _, text in self._packed(ref, delivery))

    def _alone(self, ref: str, name: str) -> str:
        return f"{checks(self._bucket, ref)}/{name}.json"

    def _packed(self, ref: str, delivery: str) -> Iterator[tuple[str, str, str]]:
        """Yield (URI of the pack, id, facts) of a delivery, the newest pack first."""
        folder = packs(self._bucket, ref, delivery)
        uris = [f"{folder}/{name}" for name in sorted(self._lake.names(f"{folder}/"), reverse=True)]
        for uri, text in zip(uris, self._lake.texts(uris, ahead=AHEAD), strict=True):
            for name, line in _lines(text or ""):
                yield uri, name, line


def facts_at(lake: Lake, uri: str) -> str | None:
    """Return the facts at an address as `Read` has it, or None."""
    address, _, name = uri.partition("#")
    text = lake.find_text(address)
    if not name or text is None:
        return text
    return next((line for found, line in _lines(text) if found == name), None)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield id and facts of each line of a pack."""
    head, _, rest = text.partition("\n")
    if head:
        yield from zip(json.loads(head)["ids"], rest.split("\n"), strict=False)
