"""
Read a Parquet file's columns and number of rows from its footer, and nothing else.

A file ends with its FileMetaData in Thrift's compact protocol, the length of that (4 bytes, little
endian) and the magic `PAR1`. Only the fields `schema` and `num_rows` are read; writers put them
before the row groups, so the long rest is not even skipped.

Every read is bounded: a length is held against the bytes that are left before anything is
allocated, nesting and the number of values have limits, and whatever does not fit raises
ParquetError.

Source: apache/parquet-format, README.md and parquet.thrift; apache/thrift,
doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidemill.domain.finding import NeedMore, amount

MAGIC: Final = b"PAR1"
ENCRYPTED_MAGIC: Final = b"PARE"
MAX_FOOTER_BYTES: Final = 16 * 2**20
"""A footer of this size describes some 100,000 column chunks; the function has 256 MB."""

_SUFFIX = 8  # the footer's length and the magic
_MAX_VALUES = 1_000_000  # about a second of Python; 100,000 columns stay below
_MAX_DEPTH = 32
_MAX_VARINT_BITS = 63

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_FIXED: Final = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}  # bytes
_INTEGERS = (_I16, _I32, _I64)
_LONG_LIST = 15  # the four bits of a list's header say: the size follows
_SCHEMA, _NUM_ROWS = 2, 3  # FileMetaData
_REPETITION, _NAME, _NUM_CHILDREN = 3, 4, 5  # SchemaElement
_REPEATED = 2


class ParquetError(ValueError):
    """The object is not a whole, readable Parquet file; the message is a sentence's end."""

    def __init__(self, rule: str, found: str) -> None:
        super().__init__(found)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Column:
    """One column as a data frame has it; what is within a nested one is not listed."""

    name: str
    nested: bool  # a struct, list or map rather than one value per row


@dataclass(frozen=True, slots=True)
class Footer:
    """What a Parquet file says of itself."""

    rows: int
    columns: tuple[Column, ...]


def read_footer(tail: bytes, size: int) -> Footer | NeedMore:
    """
    Read the footer of an object of *size* bytes that ends with *tail*.

    Returns:
        The footer, or how many of the last bytes are needed when *tail* is shorter than it.

    Raises:
        ParquetError: `rule` is `truncated_parquet`, `encrypted_parquet`, `damaged_parquet` or
            `parquet_footer_too_large`.
    """
    if tail.endswith(ENCRYPTED_MAGIC):
        raise ParquetError("encrypted_parquet", "its footer is encrypted (it ends with PARE)")
    if not tail.endswith(MAGIC) or size < len(MAGIC) + _SUFFIX:
        raise ParquetError("truncated_parquet", "it does not end with PAR1, so its end is missing")
    length = int.from_bytes(tail[-_SUFFIX : -len(MAGIC)], "little")
    if length > size - len(MAGIC) - _SUFFIX:
        raise _damaged(f"its footer claims {amount(length)} of a file of {amount(size)}")
    if length > MAX_FOOTER_BYTES:
        raise ParquetError(
            "parquet_footer_too_large",
            f"its footer has {amount(length)}, and at most {amount(MAX_FOOTER_BYTES)} are read",
        )
    if length + _SUFFIX > len(tail):
        return NeedMore(length + _SUFFIX)
    return _Compact(tail[-_SUFFIX - length : -_SUFFIX]).footer()


def _damaged(found: str) -> ParquetError:
    return ParquetError("damaged_parquet", found)


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    children: int
    repeated: bool


class _Compact:
    """A cursor over Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0

    def footer(self) -> Footer:
        columns: tuple[Column, ...] | None = None
        rows: int | None = None
        for field, kind in self._fields():
            if field == _SCHEMA and kind == _LIST:
                columns = _top_level(list(self._elements()))
            elif field == _NUM_ROWS and kind in _INTEGERS:
                rows = self._integer()
            else:
                self._skip(kind)
            if columns is not None and rows is not None:
                break
        if columns is None or rows is None or rows < 0:
            raise _damaged("its footer names no columns or no number of rows")
        return Footer(rows, columns)

    def _elements(self) -> Iterator[_Element]:
        size, kind = self._list_header()
        if kind != _STRUCT:
            raise _damaged("its schema is not a list of columns")
        for _ in range(size):
            yield self._element()

    def _element(self) -> _Element:
        name, children, repeated = None, 0, False
        for field, kind in self._fields():
            if field == _NAME and kind == _BINARY:
                name = self._text()
            elif field == _NUM_CHILDREN and kind in _INTEGERS:
                children = self._integer()
            elif field == _REPETITION and kind in _INTEGERS:
                repeated = self._integer() == _REPEATED
            else:
                self._skip(kind)
        if name is None or children < 0:
            raise _damaged("its schema holds a column without a name")
        return _Element(name, children, repeated)

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Yield each field's id and type up to the stop byte; the caller reads its value."""
        field = 0
        while header := self._byte():
            self._count()
            delta, kind = divmod(header, 16)
            field = field + delta if delta else self._integer()
            yield field, kind

    def _skip(self, kind: int, depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise _damaged("its footer is nested too deep to be one")
        if kind in _FIXED:
            self._take(_FIXED[kind])
        elif kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._take(self._varint())
        elif kind in (_LIST, _SET):
            size, inner = self._list_header()
            self._skip_values(size, (inner,), depth)
        elif kind == _MAP:
            size = self._fits(self._varint())
            self._skip_values(size, divmod(self._byte(), 16) if size else (), depth)
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        else:
            raise _damaged("its footer holds a value of an unknown type")

    def _skip_values(self, size: int, kinds: tuple[int, ...], depth: int) -> None:
        for _ in range(size):
            self._count()
            for kind in kinds:
                # a list's truth values take a byte each; a field's are in its header
                self._skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)

    def _list_header(self) -> tuple[int, int]:
        size, kind = divmod(self._byte(), 16)
        if size == _LONG_LIST:
            size = self._varint()
        return self._fits(size), kind

    def _fits(self, size: int) -> int:
        """Return *size* if so many values, a byte each at least, can follow."""
        if size > len(self._data) - self._at:
            raise _damaged("its footer claims more than it holds")
        return size

    def _count(self) -> None:
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _damaged("its footer holds more values than one table's can")

    def _text(self) -> str:
        try:
            return self._take(self._varint()).decode()
        except UnicodeDecodeError:
            raise _damaged("a column's name is not UTF-8") from None

    def _integer(self) -> int:
        """Read a zigzag varint."""
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, _MAX_VARINT_BITS + 1, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise _damaged("its footer holds a number that is too long")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, length: int) -> bytes:
        end = self._at + self._fits(length)
        piece = self._data[self._at : end]
        self._at = end
        return piece


def _top_level(elements: list[_Element]) -> tuple[Column, ...]:
    """Return the root's children from the schema, a tree listed depth first."""
    if not elements:
        raise _damaged("its schema is empty")
    columns: list[Column] = []
    below = 0  # elements still to come within the current column
    for element in elements[1:]:
        if below:
            below += element.children - 1
        else:
            columns.append(Column(element.name, bool(element.children) or element.repeated))
            below = element.children
    if below or len(columns) != elements[0].children:
        raise _damaged("its schema's columns do not add up")
    return tuple(columns)
