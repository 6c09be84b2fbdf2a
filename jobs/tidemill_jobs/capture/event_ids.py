"""
Which events were read: capture may deliver one twice, in one file or in several.

An event is known by 64 bits of its id, so that a million take 8 MB; two different ids are taken
for one once in 2^64 / n. The digests are the same in every process: each partial profile leaves its
own, and who reads further files of the window begins with those.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.uint64]

#: Of what was read before, at the most: 128 MB.
MOST_KNOWN: Final = 16 * 1_048_576
_TYPE: Final = np.dtype("<u8")
DIGEST_BYTES: Final = _TYPE.itemsize
_RECENT: Final = 65_536


class EventIds:
    """
    A set of event ids that grows.

    Args:
        known: The digests of events that were read before, by other readers of the same window.
    """

    def __init__(self, known: Digests | None = None) -> None:
        self._known = np.empty(0, np.uint64) if known is None else known
        self._recent: set[int] = set()
        self._older: Digests = np.empty(0, np.uint64)

    def add(self, event_id: str) -> bool:
        """Note an event; False when it is there already."""
        digest = _digest(event_id)
        if digest in self._recent or any(_has(some, digest) for some in (self._older, self._known)):
            return False
        self._recent.add(digest)
        if len(self._recent) >= max(_RECENT, len(self._older) // 4):
            self._settle()
        return True

    def to_bytes(self) -> bytes:
        """Return the digests of what was noted here, ascending, 8 bytes each."""
        self._settle()
        return self._older.astype(_TYPE).tobytes()

    def _settle(self) -> None:
        recent = np.fromiter(self._recent, np.uint64, len(self._recent))
        self._older = np.sort(np.concatenate((self._older, recent)))
        self._recent = set()


def known_from(parts: Sequence[bytes]) -> Digests:
    """Return the digests that parts of a window left, ascending."""
    return np.unique(_together(parts))


def counted_twice(parts: Sequence[bytes]) -> int:
    """Return how many events several parts of a window counted: they were read side by side."""
    digests = np.sort(_together(parts))
    return int((digests[1:] == digests[:-1]).sum())


def _together(parts: Sequence[bytes]) -> Digests:
    whole = (part[: len(part) - len(part) % DIGEST_BYTES] for part in parts)
    found = [np.frombuffer(part, _TYPE).astype(np.uint64) for part in whole]
    return np.concatenate([np.empty(0, np.uint64), *found])


def _digest(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")


def _has(ascending: Digests, digest: int) -> bool:
    if not len(ascending):
        return False
    at = int(np.searchsorted(ascending, np.uint64(digest)))
    return at < len(ascending) and int(ascending[at]) == digest
