"""
The compiled part of a profile: loops over numbers and bytes for which numpy needs many passes.

`make install` compiles the C beside this file for Lambda, for the jobs image and for this machine
(`jobs/build_kernel.py`, docs/decisions/0010-compiled-kernel.md). Arrays are contiguous; the
interpreter's lock is released meanwhile.
"""

import ctypes
from ctypes import POINTER, byref, c_double, c_int, c_int64, c_uint64, c_void_p
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.kernel.library import Functions, load

Floats = NDArray[np.float64]
Wholes = NDArray[np.int64]
Hashes = NDArray[np.uint64]

ROW: Final = 64  # numbers that `thin` sorts at once
SIDE: Final = 4  # rows that it sorts side by side
_HALF: Final = 32
_BITS: Final = 64


class Look(NamedTuple):
    """
    What one look at numbers finds.

    Attributes:
        low: The least that is not NaN.
        high: The greatest.
        total: The sum; an exact `int` of whole numbers.
        squares: The sum of the squares.
        wholes: How many are whole and fit 64 bits.
        strange: How many are NaN, or larger than asked for.
    """

    low: float
    high: float
    total: float
    squares: float
    wholes: int
    strange: int


class _Look(ctypes.Structure):
    _fields_ = (
        ("low", c_double),
        ("high", c_double),
        ("total", c_double),
        ("squares", c_double),
        ("wholes", c_int64),
        ("strange", c_int64),
    )


class _WholeLook(ctypes.Structure):
    _fields_ = (
        ("low", c_int64),
        ("high", c_int64),
        ("sum_high", c_int64),
        ("sum_low", c_int64),
        ("squares", c_double),
    )


_HASH: Final = (c_int64, (c_void_p, c_int64, c_uint64, c_uint64, c_void_p))
_FUNCTIONS: Final[Functions] = {
    "look": (None, (c_void_p, c_int64, c_double, POINTER(_Look))),
    "look_at_wholes": (None, (c_void_p, c_int64, POINTER(_WholeLook))),
    "deviations": (c_double, (c_void_p, c_int64, c_double)),
    "hash_floats": _HASH,
    "hash_wholes": _HASH,
    "thin": (c_int64, (c_void_p, c_int64, c_int, c_uint64, c_uint64, c_void_p)),
}
_LIBRARY: Final = load(_FUNCTIONS)


def look(values: Floats, largest: float) -> Look:
    """Look at numbers, at least one; `strange` are NaN and those beyond ±*largest*."""
    found = _Look()
    _LIBRARY.look(values.ctypes.data, len(values), largest, byref(found))
    names = (name for name, _ in _Look._fields_)
    return Look(*(getattr(found, name) for name in names))


def look_at_wholes(values: Wholes) -> Look:
    """Look at whole numbers, at least one and at most 2^31."""
    found = _WholeLook()
    _LIBRARY.look_at_wholes(values.ctypes.data, len(values), byref(found))
    total = (found.sum_high << _HALF) + found.sum_low
    return Look(found.low, found.high, total, found.squares, len(values), 0)


def deviations(values: Floats, mean: float) -> float:
    """Return the sum of squared distances from *mean*."""
    found: float = _LIBRARY.deviations(values.ctypes.data, len(values), mean)
    return found


def hashes(values: Floats | Wholes, salt: int, limit: np.uint64, out: Hashes) -> Hashes:
    """
    Return the hashes up to *limit*: equal numbers have equal ones, be they whole or fractions.

    Source:
        SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*
        (OOPSLA 2014), without its last step, which improves the lower bits only.
    """
    if values.dtype not in (np.float64, np.int64) or not values.flags.c_contiguous:
        raise TypeError(f"{values.dtype} numbers are not hashed, nor those that lie apart")
    hash_them = _LIBRARY.hash_floats if values.dtype == np.float64 else _LIBRARY.hash_wholes
    count = hash_them(values.ctypes.data, len(values), salt, int(limit), out.ctypes.data)
    return out[:count]


def thin(values: Floats, step: int, *, start: int, per_row: int, out: Floats) -> Floats:
    """
    Sort rows of `ROW` numbers and return every *step*-th of each.

    Args:
        values: A multiple of `SIDE` rows; none is NaN.
        step: A power of two, from 2 to `ROW`.
        start: Of 2^64, the share of a step after which the first row's first number is taken.
        per_row: By how much that grows from row to row.
        out: Where they are written, which may be where *values* begin.
    """
    count = _LIBRARY.thin(
        values.ctypes.data, len(values), step.bit_length() - 1, start % 2**_BITS, per_row,
        out.ctypes.data,
    )  # fmt: skip
    return out[:count]
