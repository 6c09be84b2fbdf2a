"""
Which split a row belongs to: a stable hash of its id, or of all its cells.

The same row is in the same split in every run, whatever the order of rows and files, and however
the dataset grows. The hash is our own, so that no library's release moves rows between splits.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

TRAIN: Final = 0
VALIDATION: Final = 1
TEST: Final = 2
NAMES: Final = ("train", "validation", "test")

ROWS = 65_536  # per step: bounds the memory that hashing takes
SEPARATOR = "\x1f"
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so its powers never vanish modulo 2^64

Hashes = NDArray[np.uint64]


def assign(hashes: Hashes, *, validation: float, test: float) -> NDArray[np.int8]:
    """
    Return the split of each row: TRAIN, VALIDATION or TEST.

    Args:
        hashes: One per row, from `hash_texts`.
        validation: Share of rows for validation, between 0 and 1.
        test: Share of rows for the test, which stays the same set when `validation` changes.
    """
    place = hashes.astype(np.float64) / 2.0**64
    splits = np.full(len(hashes), TRAIN, np.int8)
    splits[place < test + validation] = VALIDATION
    splits[place < test] = TEST
    return splits


def hash_texts(texts: Sequence[str], seed: int) -> Hashes:
    """
    Return a 64-bit hash of each text.

    Source:
        A polynomial over the UTF-8 bytes modulo 2^64, finished by SplitMix64 (Steele, Lea and
        Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).
    """
    start = _mix(np.array([seed % 2**64], np.uint64))
    parts = [_polynomial(texts[at : at + ROWS]) for at in range(0, len(texts), ROWS)]
    return _mix(np.concatenate([*parts, np.empty(0, np.uint64)]) ^ start)


def row_keys(frame: pl.DataFrame, identity: str | None) -> list[str]:
    """
    Return the text that identifies each row.

    That is its id; where there is none, the row's cells in the order of the columns' names, so
    that equal rows are never on two sides of a split.
    """
    names = sorted(frame.columns)
    cells = frame.select(_text(frame[name]) for name in names)
    whole = cells.select(pl.concat_str(names, separator=SEPARATOR)).to_series()
    if identity is None:
        return whole.to_list()
    ids = _text(frame[identity])
    return pl.select(pl.when(ids != "").then(ids).otherwise(whole)).to_series().to_list()


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Float64:  # its bits: how a library writes a float may change
        bits = column.fill_null(np.nan).to_numpy().view(np.int64)
        column = pl.Series(column.name, bits)
    elif column.dtype == pl.Datetime:
        column = column.cast(pl.Int64)
    elif column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    return column.cast(pl.String).fill_null("")


def _polynomial(texts: Sequence[str]) -> Hashes:
    encoded = [text.encode() + b"\xff" for text in texts]  # not UTF-8: no text is empty or joined
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    starts = np.cumsum(lengths) - lengths
    powers = np.full(int(lengths.max()), _BASE)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    content = np.frombuffer(b"".join(encoded), np.uint8).astype(np.uint64)
    content *= powers[np.arange(len(content)) - np.repeat(starts, lengths)]
    return np.add.reduceat(content, starts)


def _mix(values: Hashes) -> Hashes:
    values = values + _BASE
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
