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

from tidemill_jobs.profile.batch import Batch, borrow, unknown

K: Final = 2048
_MANY: Final = 8  # times K
EXACT: Final = 2**53  # a double holds every whole number up to here
TIMES: Final = 0x5BD1E9955BD1E995  # a minute is no number: the same value hashes otherwise
#: Which hash function made the sketch; polars may change its own with a release.
HASHED_BY: Final = "splitmix64 upper, polars2.1"
_ALL: Final = 2**64
_HIGHEST: Final = np.uint64(_ALL - 1)
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
        return self.hashes[-1] if len(self.hashes) >= K else _HIGHEST

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


def hash_floats(numbers: Batch, salt: int = 0) -> Hashes:
    """Return the hash of each number, in a borrowed array."""
    values = numbers.values.view(np.uint64)
    out = borrow("bits", len(values), np.uint64)
    if numbers.low <= 0 <= numbers.high:
        np.add(numbers.values, 0.0, out=out.view(np.float64))  # minus zero becomes zero
        values = out
    return mix(values, salt, out)


def hash_wholes(numbers: Batch, salt: int = 0) -> Hashes:
    """Return the hash of each whole number; the same as of the double, where there is one."""
    values = numbers.values
    bits = borrow("bits", len(values), np.uint64)
    np.copyto(bits.view(np.float64), values)
    hashes = mix(bits, salt, bits)
    if max(-numbers.low, numbers.high) > EXACT:
        large = (values > EXACT) | (values < -EXACT)
        hashes = hashes.copy()
        hashes[large] = mix(values[large].view(np.uint64), salt ^ 1)
    return hashes


def hash_numbers(values: Iterable[float], salt: int = 0) -> Hashes:
    """Return the hashes of Python numbers, in no order."""
    wholes: list[int] = []
    others: list[float] = []
    for value in values:
        fits = isinstance(value, int) and abs(value) < 2**63
        (wholes if fits else others).append(value)  # type: ignore[arg-type]  # as just asked
    return np.concatenate(
        (
            hash_wholes(Batch.of_wholes(np.array(wholes, np.int64)), salt).copy(),
            hash_floats(Batch.of_floats(np.array(others, np.float64)), salt),
        )
    )


def mix(bits: Hashes, salt: int = 0, out: Hashes | None = None) -> Hashes:
    """
    Mix bits, so that the upper ones depend on all: the order is random.

    Source:
        SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*
        (OOPSLA 2014), without its last step, which improves the lower bits only.
    """
    mixed = np.empty_like(bits) if out is None else out
    shifted = borrow("more bits", len(bits), np.uint64)
    if salt:
        bits = np.bitwise_xor(bits, np.uint64(salt), out=mixed)
    np.right_shift(bits, np.uint64(30), out=shifted)
    np.bitwise_xor(bits, shifted, out=mixed)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(mixed, np.uint64(27), out=shifted)
    mixed ^= shifted
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed


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
