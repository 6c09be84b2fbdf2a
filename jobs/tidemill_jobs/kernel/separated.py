"""Read rows of CSV or TSV in one compiled pass, where every cell is plainly what its column is."""

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, byref, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.kernel.arrow import Format, Lent, Table
from tidemill_jobs.kernel.library import load
from tidemill_jobs.values import EXACT

Bytes = NDArray[np.uint8]
Kind = Literal["text", "whole", "float", "flag"]

BEHIND: Final = 64  # bytes behind the text that must be readable
_HARD: Final = 4_096
_BITS: Final = 8
_FIRST_POWER: Final = -348
_LAST_POWER: Final = 347
_WORD: Final = 64
_KINDS: Final[Mapping[Kind, tuple[int, Format]]] = {
    "text": (0, "vu"),
    "whole": (1, "l"),
    "float": (2, "g"),
    "flag": (3, "b"),
}
_LIBRARY: Final = load({"read_rows": (c_int64, (c_void_p,))})


class _Column(ctypes.Structure):
    _fields_ = (
        ("kind", c_int64),
        ("values", c_void_p),
        ("valid", c_void_p),
        ("missing", c_int64),
    )


class _Hard(ctypes.Structure):
    _fields_ = (("column", c_int64), ("row", c_int64), ("start", c_int64), ("end", c_int64))


class _Block(ctypes.Structure):
    _fields_ = (
        ("text", c_void_p),
        ("size", c_int64),
        ("at", c_int64),
        ("rows", c_int64),
        ("separator", c_int64),
        ("width", c_int64),
        ("columns", POINTER(_Column)),
        ("unescaped", c_void_p),
        ("unescaped_size", c_int64),
        ("hard", POINTER(_Hard)),
        ("hards", c_int64),
        ("powers", c_void_p),
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """
    What was read.

    Attributes:
        table: The cells.
        rows: How many rows.
        end: Where the first row begins that was not read: a part of one, or there was no room.
    """

    table: Table
    rows: int
    end: int


def read_rows(
    text: Bytes, start: int, end: int, *, separator: str, columns: Mapping[str, Kind], room: int
) -> Rows | None:
    """
    Read the whole rows between two places, at most *room*.

    Returns:
        None where a cell is not plain: a number written in an unusual way, of an unusual size or
        with zeros in front (`007` may be a code), a stray quote, no UTF-8; or where a row has more
        or less cells. What is returned is what polars reads.

    Args:
        text: It, and `BEHIND` bytes. It must not change as long as the table is used.
        start: Where the first row begins.
        end: Where the text ends.
        separator: One byte.
        columns: What the cells of each are.
        room: For so many rows there will be memory.
    """
    arrays = {name: _room(kind, room) for name, kind in columns.items()}
    valid = {name: np.full(-(-room // _BITS), 0xFF, np.uint8) for name in columns}
    unescaped: Bytes = np.empty(end - start + BEHIND, np.uint8)  # a view is read in words
    each = (_Column * len(columns))(
        *(
            _Column(_KINDS[kind][0], arrays[name].ctypes.data, valid[name].ctypes.data, 0)
            for name, kind in columns.items()
        )
    )
    hard = (_Hard * _HARD)()
    block = _Block(
        text.ctypes.data, end, start, room, ord(separator), len(columns), each,
        unescaped.ctypes.data, 0, hard, _HARD, _powers().ctypes.data,
    )  # fmt: skip
    if _LIBRARY.read_rows(byref(block)):
        return None
    names = list(columns)
    for cell in hard[: block.hards]:
        value = float(text[cell.start : cell.end].tobytes().strip(b'"'))
        if cell.row >= block.rows:
            continue
        if abs(value) >= EXACT:
            return None
        arrays[names[cell.column]][cell.row] = value
    texts = (text[:end], unescaped[: block.unescaped_size])
    lent = {
        name: Lent(
            _KINDS[kind][1],
            arrays[name],
            valid[name] if column.missing else None,
            texts if kind == "text" else (),
        )
        for (name, kind), column in zip(columns.items(), each, strict=True)
    }
    return Rows(Table(lent, block.rows), block.rows, block.at)


def _room(kind: Kind, rows: int) -> NDArray[Any]:
    if kind == "text":
        return np.empty(2 * rows, np.uint64)
    if kind == "flag":
        return np.zeros(-(-rows // _BITS), np.uint8)
    return np.empty(rows, np.int64 if kind == "whole" else np.float64)


@cache
def _powers() -> NDArray[np.uint64]:
    """Return the first 128 bits of each power of ten, upper half first."""
    return np.array(
        [divmod(_leading_bits(power), 2**_WORD) for power in range(_FIRST_POWER, _LAST_POWER + 1)],
        np.uint64,
    )


def _leading_bits(power: int) -> int:
    ten: int = 10 ** abs(power)
    if power < 0:
        ten = (1 << (ten.bit_length() + 2 * _WORD)) // ten
    longer = ten.bit_length() - 2 * _WORD
    return ten >> longer if longer > 0 else ten << -longer
