"""
Lend columns to a library that reads Arrow, without a copy.

The C data interface of Arrow: two structures, handed over in capsules; who is done with the columns
calls `release`, whatever the thread.

Source:
    https://arrow.apache.org/docs/format/CDataInterface.html
"""

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from ctypes import CFUNCTYPE, POINTER, addressof, c_char_p, c_int64, c_void_p, cast, pointer
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Format = Literal["l", "g", "b", "vu"]  # int64, float64, bits, views of UTF-8 texts
_UNKNOWN: Final = -1
_NULLABLE: Final = 2


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", c_void_p),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


class _Array(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", c_void_p),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


@dataclass(frozen=True, slots=True)
class Lent:
    """
    A column.

    Attributes:
        form: What its values are.
        values: The numbers, bits or views.
        valid: Bits, one for each value that is there; None where all are.
        texts: What views point into, by number.
    """

    form: Format
    values: NDArray[Any]
    valid: NDArray[np.uint8] | None = None
    texts: tuple[NDArray[np.uint8], ...] = ()


class Table:
    """
    Columns of the same number of rows, which Arrow's readers take for a structure.

    To be given to one reader, once. The arrays live until it lets go of them.
    """

    def __init__(self, columns: dict[str, Lent], rows: int) -> None:
        self._columns = columns
        self._rows = rows

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Return the capsules of the schema and of the values."""
        schema, array = _schema(self._columns), _array(list(self._columns.values()), self._rows)
        return _in_capsule(schema, b"arrow_schema"), _in_capsule(array, b"arrow_array")


_Made = TypeVar("_Made", _Schema, _Array)

_NUMBERS: Final = itertools.count(1)
_LENT: Final[dict[int, object]] = {}  # what structures point to, by the number that they carry
_HELD: Final[dict[int, object]] = {}  # structures in capsules, by their addresses
#: Python's own functions, not as `ctypes.pythonapi` has them: whoever uses those declares their
#: arguments for everybody in the process.
_PYTHON: Final = ctypes.PyDLL(None)
_capsule: Final = _PYTHON.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, (c_void_p, c_char_p, c_void_p)
_inside: Final = _PYTHON.PyCapsule_GetPointer
_inside.restype, _inside.argtypes = c_void_p, (c_void_p, c_char_p)


def _released(kind: Any, name: bytes) -> tuple[c_void_p, c_void_p]:
    """Return what releases a structure, and what does it when its capsule goes."""
    pointer_to = POINTER(kind)

    def release(ended: Any, lent: dict[int, object] = _LENT) -> None:
        own = ended.contents
        for number in range(own.n_children):
            child = own.children[number]
            if child and child.contents.release:
                release(child)
        own.release = None
        lent.pop(own.private_data, None)

    def forget(capsule: int, inside: Any = _inside, held: dict[int, object] = _HELD) -> None:
        own = cast(inside(capsule, name), pointer_to)
        if own.contents.release:
            release(own)
        held.pop(addressof(own.contents), None)

    functions = CFUNCTYPE(None, pointer_to)(release), CFUNCTYPE(None, c_void_p)(forget)
    for function in functions:
        # For ever: they may be called while the interpreter ends and modules are gone.
        _PYTHON.Py_IncRef(ctypes.py_object(function))
    return cast(functions[0], c_void_p), cast(functions[1], c_void_p)


_SCHEMA: Final = _released(_Schema, b"arrow_schema")
_ARRAY: Final = _released(_Array, b"arrow_array")


def _in_capsule(made: _Schema | _Array, name: bytes) -> object:
    address = addressof(made)
    _HELD[address] = made
    return _capsule(address, name, (_SCHEMA if isinstance(made, _Schema) else _ARRAY)[1])


def _schema(columns: Mapping[str, Lent]) -> _Schema:
    children = [
        _owned(_Schema(column.form.encode(), name.encode(), None, _NULLABLE), ())
        for name, column in columns.items()
    ]
    pointers = _pointers(children)
    top = _Schema(b"+s", b"", None, 0, len(children), pointers)
    return _owned(top, (children, pointers))


def _array(columns: Sequence[Lent], rows: int) -> _Array:
    children = [_column(column, rows) for column in columns]
    pointers = _pointers(children)
    buffers = (c_void_p * 1)(None)
    top = _Array(rows, 0, 0, 1, len(children), buffers, pointers)
    return _owned(top, (children, pointers, buffers))


def _column(column: Lent, rows: int) -> _Array:
    arrays = [column.valid, column.values, *column.texts]
    if column.form == "vu":
        arrays.append(np.array([len(text) for text in column.texts], np.int64))
    addresses = (None if array is None else array.ctypes.data for array in arrays)
    buffers = (c_void_p * len(arrays))(*addresses)
    nulls = 0 if column.valid is None else _UNKNOWN
    return _owned(_Array(rows, nulls, 0, len(arrays), 0, buffers), (arrays, buffers))


def _pointers(children: Sequence[Any]) -> Any:
    kind = POINTER(type(children[0]))
    return (kind * len(children))(*map(pointer, children))


def _owned(made: _Made, needs: object) -> _Made:
    """Keep what a structure points to until it is released."""
    number = next(_NUMBERS)
    made.private_data = number
    made.release = (_SCHEMA if isinstance(made, _Schema) else _ARRAY)[0]
    _LENT[number] = needs
    return made
