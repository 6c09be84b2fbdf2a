"""
How many rows each row group of a Parquet file has, from its footer.

polars tells it nowhere, and reading by row groups is what bounds memory: left to itself it decodes
as far ahead as it can. Only this one number is looked for, everything else is skipped.

Source:
    Apache Parquet's `parquet.thrift` (FileMetaData field 4, RowGroup field 3) in Thrift's compact
    protocol.
"""

import struct
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8  # bytes: the footer's length and the magic
_ROW_GROUPS, _NUM_ROWS = 4, 3
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY = 1, 2, 3, 6, 7, 8
_LIST, _SET, _STRUCT = 9, 10, 12
_LONG: Final = 15  # a list's size follows


def rows_of_groups(path: Path) -> list[int] | None:
    """Return the rows of each row group in the file's order; None where the footer is odd."""
    try:
        with path.open("rb") as file:
            footer = _footer(file)
        return _Reader(footer).row_groups()
    except (IndexError, ValueError, struct.error, OSError, RecursionError):
        return None  # polars will say what is wrong


def _footer(file: BinaryIO) -> bytes:
    end = file.seek(0, 2)
    file.seek(max(0, end - _TAIL))
    length, magic = struct.unpack("<I4s", file.read(_TAIL))
    if magic != _MAGIC or length + _TAIL > end:
        raise ValueError
    file.seek(end - _TAIL - length)
    return file.read(length)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def row_groups(self) -> list[int] | None:
        field, kind = self._field(0)
        while kind and field != _ROW_GROUPS:
            self._skip(kind)
            field, kind = self._field(field)
        if kind != _LIST:
            return None
        size, element = self._list()
        if element != _STRUCT:
            return None
        return [self._num_rows() for _ in range(size)]

    def _num_rows(self) -> int:
        rows, field = -1, 0
        while True:
            field, kind = self._field(field)
            if not kind:
                break
            if field == _NUM_ROWS and kind == _I64:
                rows = self._zigzag()
            else:
                self._skip(kind)
        if rows < 0:
            raise ValueError
        return rows

    def _field(self, last: int) -> tuple[int, int]:
        """Return the next field's number and type; type 0 ends the structure."""
        head = self._byte()
        if not head & 0x0F:
            return 0, 0
        return (last + (head >> 4) if head >> 4 else self._zigzag()), head & 0x0F

    def _skip(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._at += 1
        elif kind <= _I64:
            self._varint()
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            length = self._varint()
            self._at += length
        elif kind in (_LIST, _SET):
            size, element = self._list()
            for _ in range(size):
                # In a list a truth value takes a byte, in a field none.
                self._skip(_BYTE if element in (_TRUE, _FALSE) else element)
        elif kind == _STRUCT:
            field, inner = self._field(0)
            while inner:
                self._skip(inner)
                field, inner = self._field(field)
        else:
            raise ValueError  # Parquet's footer has no maps

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        size = head >> 4
        return (self._varint() if size == _LONG else size), head & 0x0F

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the last one
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
