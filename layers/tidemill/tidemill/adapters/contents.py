"""
Which bytes a model's checks have seen: tells files that hold the same under another name.

A delivery's contents are packed: the first eight bytes of each SHA-256, sorted, up to 10,000 to an
item of State. So a content costs a hundredth of a write unit instead of a whole one, and all that a
model ever had are read for a page a hundred thousand. Eight bytes only say in which deliveries to
look; the facts of those say the rest.
"""

import json
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from tidemill.adapters.facts import FactsStore
from tidemill.adapters.state import CONTENTS, State

_MOST = 10_000  # of one item: 80 KB, of 400 that it may have
_DIGITS = 16  # of a SHA-256, in hex


class Contents:
    """Safe to repeat: a delivery's packs are the same whoever writes them."""

    def __init__(self, state: State, facts: FactsStore) -> None:
        self._state = state
        self._facts = facts

    def before(self, ref: str, delivery: str) -> "Earlier":
        """Return what other deliveries of the model had; a cheap read, a moment behind."""
        own = f"{CONTENTS}{delivery}#"
        return Earlier(
            self._facts,
            ref,
            [
                (item["fact"].split("#")[1], _numbers(item["hashes"]))
                for item in self._state.under(ref, CONTENTS, consistent=False)
                if not item["fact"].startswith(own)
            ],
        )

    def remember(self, ref: str, delivery: str, contents: Iterable[str]) -> None:
        """Write which contents (SHA-256 in hex) *delivery* brought: all of them."""
        hashes = sorted({bytes.fromhex(content[:_DIGITS]) for content in contents})
        packs = [hashes[first : first + _MOST] for first in range(0, len(hashes), _MOST)]
        self._state.put_many(
            ref,
            {
                f"{CONTENTS}{delivery}#{number:04}": {"hashes": b"".join(pack)}
                for number, pack in enumerate(packs)
            },
        )


class Earlier:
    """What deliveries had before; *packs* are theirs, oldest delivery first."""

    def __init__(
        self, facts: FactsStore, ref: str, packs: Sequence[tuple[str, "array[int]"]]
    ) -> None:
        self._facts = facts
        self._ref = ref
        self._packs = packs
        whole: array[int] = array("Q")
        for _, numbers in packs:
            whole.extend(numbers)
        self._whole = array("Q", sorted(whole))

    def who_had(self, contents: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
        """Return key and version of the files that had *contents*, in the order of deliveries."""
        wanted: dict[str, set[str]] = {}  # by delivery
        for content in contents:
            number = int(content[:_DIGITS], 16)
            if _holds(self._whole, number):
                for delivery in {name for name, held in self._packs if _holds(held, number)}:
                    wanted.setdefault(delivery, set()).add(content)
        found: dict[str, list[tuple[str, str]]] = {}
        for delivery in sorted(wanted):
            for content, key, version in self._in(delivery, wanted[delivery]):
                found.setdefault(content, []).append((key, version))
        return found

    def _in(self, delivery: str, wanted: set[str]) -> Iterator[tuple[str, str, str]]:
        for text in self._facts.all_of(self._ref, delivery):
            if any(content in text for content in wanted):
                facts = json.loads(text)
                if facts["sha256"] in wanted:
                    key = facts["uri"].removeprefix("s3://").partition("/")[2]
                    yield facts["sha256"], key, facts["version_id"]


def _numbers(hashes: bytes) -> "array[int]":
    numbers: array[int] = array("Q")
    numbers.frombytes(hashes)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _holds(numbers: "array[int]", number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
