"""
How many different values there are, from a bounded number of their hashes.

Source:
    Bar-Yossef et al., *Counting distinct elements in a data stream* (RANDOM 2002), as k minimum
    values: when K hashes are kept and the greatest is the share t of all possible ones, there are
    about (K - 1) / t. With K = 2048 the standard error is 2.2 %.

Numbers are hashed by their value, so 1 and 1.0 are one; texts by polars.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import kernel
from tidemill_jobs.profile.batch import Batch, borrow, unknown

K: Final = 2048
_MANY: Final = 8  # times K
TIMES: Final = 0x5BD1E9955BD1E995  # a minute is no number: the same value hashes otherwise
#: Which hash function made the sketch; polars may change its own with a release.
HASHED_BY: Final = "splitmix64 upper, polars2.1"
_ALL: Final = 2**64
HIGHEST: Final = np.uint64(_ALL - 1)  # no hash is above
_LITTLE: Final = np.dtype("<u8")

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """The least hashes seen, ascending and each once; `limit` is the greatest that may enter."""

    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    hashed_by: str = HASHED_BY

    @property
    def limit(self) -> np.uint64:
        """Hashes above change nothing."""
        return self.hashes[-1] if len(self.hashes) >= K else HIGHEST

    @property
    def count(self) -> int:
        """How many different values there are, about."""
        if len(self.hashes) < K:
            return len(self.hashes)
        return round((K - 1) / (float(self.hashes[-1]) / _ALL))

    def add(self, hashes: Hashes) -> "Distinct":
        """Return the sketch with the hashes of more values."""
        found = hashes
        if len(self.hashes) >= K:
            # Where many are chosen, their places and then they are found faster than by a mask.
            found = hashes.take(np.flatnonzero(hashes < self.limit))
        if len(found) > _MANY * K and len(self.hashes):
            found = unknown(found, self.hashes)  # of some thousand values, nearly none is new
        if not len(found):
            return self
        if len(found) > _MANY * K:
            # So few of them are nearly always enough, and finding them is faster than to sort all.
            least = self._with(np.partition(found, 2 * K)[: 2 * K])
            if len(least.hashes) >= K:
                return least
        return self._with(found)

    def _with(self, hashes: Hashes) -> "Distinct":
        # Not np.unique: numpy's hash table costs ten times this sort.
        merged = np.sort(np.concatenate((self.hashes, hashes)))
        new = np.concatenate(([True], merged[1:] != merged[:-1]))
        return Distinct(merged[new][:K], self.hashed_by)

    def merge(self, other: "Distinct") -> "Distinct":
        """Return the sketch of both; made by different hashes, only the greater one is known."""
        if self.hashed_by != other.hashed_by:
            return max(self, other, key=lambda sketch: sketch.count)
        return self.add(other.hashes)

    def document(self) -> dict[str, Any]:
        """Return the sketch as JSON."""
        content = b64encode(self.hashes.astype(_LITTLE).tobytes()).decode()
        return {"hashed_by": self.hashed_by, "hashes": content}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        hashes = np.frombuffer(b64decode(document["hashes"]), _LITTLE).astype(np.uint64)
        return cls(hashes, document["hashed_by"])


def hash_texts(texts: pl.Series) -> Hashes:
    """Return the hash of each text."""
    return texts.hash().to_numpy()


def hash_batch(numbers: Batch, salt: int = 0, limit: np.uint64 = HIGHEST) -> Hashes:
    """Return the hashes of a batch, those above *limit* left out, in a borrowed array."""
    out = borrow("bits", len(numbers.values), np.uint64)
    return kernel.hashes(numbers.values, salt, limit, out)


def hash_numbers(values: Iterable[float], salt: int = 0) -> Hashes:
    """Return the hashes of Python numbers, in no order."""
    wholes: list[int] = []
    others: list[float] = []
    for value in values:
        fits = isinstance(value, int) and abs(value) < 2**63
        (wholes if fits else others).append(value)  # type: ignore[arg-type]  # as just asked
    return np.concatenate(
        (
            hash_batch(Batch.of_wholes(np.array(wholes, np.int64)), salt).copy(),
            hash_batch(Batch.of_floats(np.array(others, np.float64)), salt),
        )
    )


def mixed(number: int) -> int:
    """
    Return 64 bits that look random.

    Source:
        SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*
        (OOPSLA 2014).
    """
    bits = (number * 0x9E3779B97F4A7C15) % _ALL
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % _ALL
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % _ALL
    return bits ^ (bits >> 31)
