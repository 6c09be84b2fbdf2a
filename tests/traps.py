"""
Files that readers misread, built byte by byte; `trap_table.py` says what Tidemill makes of them.

CSV and its packings are those of a comparison of pandas 3.1, polars 2.1, DuckDB 2.0 and pyarrow 26
(`common` is what was seen there); the others are the same traps in other formats, as polars 2.1,
DuckDB 2.0 and Python's json read them.
"""

# ruff: noqa: E501  # a table: its rows are easier to compare when they are not folded
import gzip
import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from tidemill_jobs.packed import zstd

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Trap:
    """
    A file and what must become of it.

    Args:
        name: What the table calls it.
        file: Its name; the ending says the format and the packing.
        body: Makes its bytes.
        common: What common readers do with it.
        rule: Why it is set aside; empty when it is accepted.
        row: The line (of Parquet: the row) that the verdict must name.
        column: The column that it must name.
        good: Makes the file whose contract it is held against; None: against none.
        cells: Rows that must be read, where the file's own module is no witness (Parquet).
    """

    name: str
    file: str
    body: Callable[[], bytes]
    common: str
    rule: str = ""
    row: int | None = None
    column: str | None = None
    good: Callable[[], bytes] | None = None
    cells: tuple[tuple[Any, ...], ...] | None = None

    @property
    def format(self) -> str:
        """csv, tsv, jsonl or parquet."""
        return self.file.split(".")[1]


def _as(body: bytes) -> Callable[[], bytes]:
    return lambda: body


def _rows(head: str, line: str, count: int, odd: dict[int, str] | None = None) -> bytes:
    odd = odd or {}
    lines = (odd.get(n, line.format(n=n, late=n % 2)) for n in range(count))
    return "".join([head, *lines]).encode()


def _numbers(odd: dict[int, str] | None = None) -> bytes:
    return _rows("n,late\n", "{n},{late}\n", 40_000, odd)


def _objects(odd: dict[int, str] | None = None) -> bytes:
    return _rows("", '{{"n": {n}, "late": {late}}}\n', 40_000, odd)


def _bomb(pack: Any, start: bytes = b"a,b,late\n") -> bytes:
    """Pack 128 MiB that nobody need hold."""
    block = b"0,0,0\n" * (MIB // 6)
    parts = [pack.compress(start), *(pack.compress(block) for _ in range(128)), pack.flush()]
    return b"".join(parts)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.csv", "a,late\n1,0\n")
    return file.getvalue()


def _parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def _tail(body: bytes, count: int) -> bytes:
    return body[:-count]


TABLE = b"a,b,late\n1,x,0\n2,y,1\n"
LONG = b"a,b,late\n" + b"".join(
    b"%d,%s,%d\n" % (n, hashlib.sha256(b"%d" % n).hexdigest().encode(), n % 2) for n in range(9_000)
)
OBJECTS = b'{"a": 1, "b": "x", "late": 0}\n{"a": 2, "b": "y", "late": 1}\n'
BIG = b"x" * 20 * MIB
NUMBERS = [1.0, math.nan, None, math.inf, 2.0]
LATE = [0, 1, 0, 1, 0]

CSV = (
    Trap(
        "a short row", "short.csv", _as(b"a,b,late\n1,x,0\n2,y\n3,z,1\n"),
        "pandas, polars: null and no word; DuckDB: one wide column", "ragged_row", 3,
    ),
    Trap(
        "a long row", "long.csv", _as(b"a,b,late\n1,x,0\n2,y,1,9\n3,z,1\n"),
        "an error; DuckDB: one wide column", "ragged_row", 3,
    ),
    Trap(
        "`abc` among numbers, at line 30,002", "late-text.csv",
        partial(_numbers, {30_000: "abc,0\n"}),
        "pandas, pyarrow: the column is text, and no word; polars: an error without the line",
        "wrong_type", 30_002, "n", _numbers,
    ),
    Trap(
        "`2.5` among whole numbers, at line 30,002", "late-fraction.csv",
        partial(_numbers, {30_000: "2.5,0\n"}),
        "DuckDB with rejects: 2.5 becomes 3, and no word", good=_numbers,
    ),
    Trap(
        "a quote that is never closed", "quote.csv", _as(b'a,b,late\n1,"x,0\n2,y,1\n'),
        "DuckDB: keeps the quote; pyarrow: no rows", "unbalanced_quote", 2,
    ),
    Trap(
        "a line break in quotes", "break.csv", _as(b'a,b,late\n1,"x\ny",0\n2,z,1\n'),
        "read; pyarrow only when told to",
    ),
    Trap(
        "Latin-1", "latin.csv", _as("a,b,late\n1,x,0\n2,Malmö,1\n".encode("latin-1")),
        "an error; pyarrow: the column is bytes, and no word", "bad_encoding", 3,
    ),
    Trap(
        "UTF-8 and Latin-1 in one file", "mixed.csv",
        _as("a,b,late\n1,Malmö,0\n".encode() + "2,Malmö,1\n".encode("latin-1")),
        "an error, mostly without the line", "bad_encoding", 3,
    ),
    Trap(
        "UTF-16", "wide.csv", _as(TABLE.decode().encode("utf-16")),
        "an error; DuckDB with rejects: a garbled header", "wide_encoding",
    ),
    Trap(
        "a UTF-8 byte order mark", "bom.csv", _as(b"\xef\xbb\xbf" + TABLE),
        "polars, DuckDB: read",
    ),
    Trap(
        "a column name twice", "twice.csv", _as(b"a,b,a,late\n1,x,2,0\n"),
        "a.1, a_1, a_duplicated_0; pyarrow: both, and a dict loses one",
        "duplicate_header", column="a",
    ),
    Trap(
        "no header", "headless.csv", _as(b"1,x,0\n2,y,1\n"),
        "the first row becomes the names", "target_missing", column="late",
    ),
    Trap(
        "a header and no row", "rowless.csv", _as(b"a,b,late\n"), "no rows, and no word",
        "header_only",
    ),
    Trap(
        "semicolons", "semicolons.csv", _as(b"a;b;late\n1;2,5;0\n2;3,5;1\n"),
        "pandas: shifts columns into an index; pyarrow: no rows", "wrong_delimiter",
    ),
    Trap(
        "tabs", "tabs.csv", _as(TABLE.replace(b",", b"\t")), "one wide column", "wrong_delimiter"
    ),
    Trap(
        "blank lines between rows", "blank.csv", _as(b"a,b,late\n1,x,0\n\n\n2,y,1\n"),
        "skipped; polars: rows of nulls", "blank_line", 3,
    ),
    Trap(
        "an empty file", "empty.csv", _as(b""), "an error; DuckDB: a column of no rows", "empty"
    ),
    Trap(
        "a NUL byte", "nul.csv", _as(b"a,b,late\n1,x\x00,0\n"),
        "polars, DuckDB: text with a NUL in it", "nul_bytes",
    ),
    Trap(
        "the code `01234`", "code.csv", _as(b"a,b,late\n01234,x,0\n00501,y,1\n"),
        "pandas, polars, pyarrow: 1234",
    ),
    Trap(
        "9223372036854775808", "huge.csv", _as(b"a,b,late\n9223372036854775808,x,0\n2,y,1\n"),
        "pyarrow: a double that lost digits; pandas: objects",
    ),
    Trap(
        "whole numbers and an empty cell", "hole.csv", _as(b"a,b,late\n1,x,0\n,y,1\n"),
        "pandas: 1 becomes 1.0",
    ),
    Trap("`1.0`", "one.csv", _as(b"a,b,late\n1.0,x,0\n2.0,y,1\n"), "floats"),
    Trap(
        "`NA`, `null`, `NaN`, `N/A`, `-`", "absent.csv",
        _as(b"a,b,late\nNA,x,0\nnull,x,0\nNaN,y,1\nN/A,x,0\n-,y,1\n"),
        "pandas: the first four are null; the others: text",
    ),
    Trap(
        "`true`, `False`, `TRUE`, `0`", "truth.csv",
        _as(b"a,b,late\ntrue,x,0\nFalse,x,0\nTRUE,y,1\n0,y,1\n"),
        "text; pyarrow: 0 becomes False",
    ),
    Trap(
        "times with an offset", "offset.csv",
        _as(b"a,b,late\n2026-11-20T14:30:00+01:00,x,0\n2026-11-20T14:30:00Z,y,1\n"),
        "text; pyarrow: moved to UTC, the offset is gone",
    ),
    Trap(
        "a cell of 20 MiB", "cell.csv", lambda: b"a,b,late\n1," + BIG + b",0\n2,y,1\n",
        "DuckDB, pyarrow: an error",
    ),
    Trap(
        "line ends of Unix and of Windows", "ends.csv", _as(b"a,b,late\r\n1,x,0\n2,y,1\r\n"),
        "polars: read; DuckDB: an error",
    ),
    Trap(
        "those and lone carriage returns", "returns.csv", _as(b"a,b,late\r\n1,x,0\n2,y,1\r3,z,0\r\n"),
        "polars, DuckDB: an error", "line_endings", 3,
    ),
    Trap(
        "an empty cell without quotes", "unquoted.csv", _as(b"a,b,late\n1,,0\n2,y,1\n"),
        "null; pyarrow: an empty text",
    ),
    Trap(
        'an empty cell in quotes, `""`', "quoted.csv", _as(b'a,b,late\n1,"",0\n2,y,1\n'),
        "null; DuckDB, pyarrow: an empty text",
    ),
    Trap("`inf` among numbers", "inf.csv", partial(_numbers, {9: "inf,1\n"}), "infinity, and no word",
         "wrong_type", 11, "n", _numbers),
)  # fmt: skip

TSV = (
    Trap(
        "a short row", "short.tsv", _as(b"a\tb\tlate\n1\tx\t0\n2\ty\n"), "as in CSV",
        "ragged_row", 3,
    ),
    Trap(
        "commas", "commas.tsv", _as(TABLE), "polars: one wide column", "wrong_delimiter",
    ),
    Trap(
        "a tab in quotes, a code, an empty cell", "quoted.tsv",
        _as(b'a\tb\tlate\n01234\t"x\ty"\t0\n\ty, z\t1\n'), "polars: 1234",
    ),
)  # fmt: skip

JSONL = (
    Trap(
        "a list of objects, no lines", "array.jsonl", _as(b'[{"a": 1, "late": 0},\n{"a": 2}]'),
        "polars: an error; DuckDB: read", "json_array",
    ),
    Trap(
        "an object over several lines", "pretty.jsonl", _as(b'{\n  "a": 1,\n  "late": 0\n}\n'),
        "polars: an error; DuckDB: read", "invalid_json", 1,
    ),
    Trap("a line that is no object", "list.jsonl", _as(OBJECTS + b"[3, 1]\n"), "polars: an error; DuckDB: one column of JSON",
         "not_an_object", 3),
    Trap("a line cut short", "cut.jsonl", _as(OBJECTS + b'{"a": 3, "la'),
         "an error", "invalid_json", 3),
    Trap("a key twice", "twice.jsonl", _as(OBJECTS + b'{"a": 3, "a": 4, "late": 0}\n'),
         "polars: the first value, json: the last, and no word; DuckDB: an error", "duplicate_key", 3, "a"),
    Trap("a nested value", "nested.jsonl", _as(OBJECTS + b'{"a": {"x": 3}, "late": 0}\n'),
         "polars: an error; DuckDB: the column is text, and no word", "nested_column", 3, "a"),
    Trap("a list as a value", "tags.jsonl", _as(OBJECTS + b'{"a": [3], "late": 0}\n'),
         "polars: an error; DuckDB: the column is text, and no word", "nested_column", 3, "a"),
    Trap("a key that some lines lack", "missing.jsonl", _as(OBJECTS + b'{"late": 1, "c": 5}\n'),
         "null"),
    Trap("`abc` among numbers, at line 30,001", "late-text.jsonl",
         partial(_objects, {30_000: '{"n": "abc", "late": 0}\n'}),
         "an error; polars without the line", "mixed_types", 30_001, "n"),
    Trap("`2.5` among whole numbers, at line 30,001", "late-fraction.jsonl",
         partial(_objects, {30_000: '{"n": 2.5, "late": 0}\n'}), "polars: an error; DuckDB: 2.5 becomes 2, and no word"),
    Trap('`"01234"`, `"1.0"` and 1', "code.jsonl",
         _as(b'{"a": "01234", "b": "1.0", "c": 1, "late": 0}\n'), "polars, DuckDB: as written"),
    Trap("9223372036854775808", "huge.jsonl", _as(b'{"a": 9223372036854775808, "late": 0}\n'),
         "polars, DuckDB: a column of 128 bits", "number_not_exact", 1, "a"),
    Trap("9223372036854775807", "large.jsonl", _as(b'{"a": 9223372036854775807, "late": 0}\n'),
         "as written"),
    Trap("9007199254740993 beside fractions", "exact.jsonl",
         _as(b'{"a": 0.5, "late": 0}\n{"a": 9007199254740993, "late": 1}\n'),
         "polars, DuckDB: 9007199254740992, and no word", "number_not_exact", 2, "a"),
    Trap("`NaN`, null and an empty text", "absent.jsonl",
         _as(b'{"a": NaN, "b": "", "late": 0}\n{"a": 1.5, "b": null, "late": 1}\n'),
         "polars: an error; DuckDB: NaN is a number, the empty text a value"),
    Trap("`Infinity`", "infinity.jsonl", _as(b'{"a": 1.5, "late": 0}\n{"a": Infinity, "late": 1}\n'),
         "polars: an error; DuckDB: infinity", "infinite_number", 2, "a"),
    Trap("true and 1 in one column", "truth.jsonl", _as(b'{"a": true, "late": 0}\n{"a": 1, "late": 1}\n'),
         "polars: an error; DuckDB: the column is text, and no word", "mixed_types", 2, "a"),
    Trap("blank lines", "blank.jsonl", _as(b'\n{"a": 1, "late": 0}\n\n{"a": 2, "late": 1}\n\n'),
         "skipped"),
    Trap("a UTF-8 byte order mark", "bom.jsonl", _as(b"\xef\xbb\xbf" + OBJECTS), "polars: an error; DuckDB: read"),
    Trap("UTF-16", "wide.jsonl", _as(OBJECTS.decode().encode("utf-16")), "an error", "wide_encoding"),
    Trap("Latin-1", "latin.jsonl", _as('{"a": "Malmö", "late": 0}\n'.encode("latin-1")),
         "an error, without the line", "bad_encoding", 1),
    Trap("a line of 20 MiB", "line.jsonl",
         lambda: b'{"a": "' + BIG + b'", "late": 0}\n{"a": "y", "late": 1}\n', "read"),
    Trap("an empty file", "empty.jsonl", _as(b""), "polars: an error; DuckDB: no rows", "empty"),
    Trap("CSV under that name", "table.jsonl", _as(TABLE), "an error", "format_mismatch"),
)  # fmt: skip

PARQUET = (
    Trap("1, NaN, null, infinity, 2", "floats.parquet",
         lambda: _parquet(n=NUMBERS, late=LATE),
         "NaN is a number and poisons mean and sum; the greatest is NaN (DuckDB) or infinity",
         "wrong_type", 4, "n", lambda: _parquet(n=[1.0, 1.5, None, 1.2, 2.0], late=LATE)),
    Trap("NaN and null", "nan.parquet", lambda: _parquet(n=NUMBERS[:3], late=LATE[:3]),
         "two kinds of missing; pandas: one", cells=((1.0, 0), (None, 1), (None, 0))),
    Trap("three times 2^62", "sum.parquet", lambda: _parquet(n=[2**62] * 3, late=LATE[:3]),
         "polars, pandas, pyarrow: the sum is -4.6e18", cells=((2**62, 0), (2**62, 1), (2**62, 0))),
    Trap("9223372036854775808 (64 bits, unsigned)", "huge.parquet",
         lambda: _parquet(n=pl.Series([2**63, 1], dtype=pl.UInt64), late=LATE[:2]),
         "polars: read", cells=((2**63, 0), (1, 1))),
    Trap("an empty text and null", "text.parquet", lambda: _parquet(n=["", None, "x"], late=LATE[:3]),
         "two values, where CSV has one", cells=((None, 0), (None, 1), ("x", 0))),
    Trap("a list column", "list.parquet", lambda: _parquet(n=[[1], [2]], late=LATE[:2]),
         "read", "nested_column", None, "n"),
    Trap("a file cut short", "cut.parquet", lambda: _tail(_parquet(n=[1, 2], late=LATE[:2]), 9),
         "an error", "truncated_parquet"),
    Trap("no rows", "rowless.parquet", lambda: _parquet(n=[], late=[]), "no rows, and no word",
         "header_only"),
)  # fmt: skip

PACKED = (
    Trap("gzip cut short", "cut.csv.gz", lambda: _tail(gzip.compress(TABLE), 9), "an error",
         "corrupt_gzip"),
    Trap("a large gzip file cut short", "cut-large.csv.gz",
         lambda: _tail(gzip.compress(LONG, 1), 1_000), "an error",
         "corrupt_gzip"),
    Trap("a .zip archive", "table.csv", _zip, "pandas: reads it; DuckDB: garbled rows",
         "not_a_table"),
    Trap("a gzip bomb, 1,000 to 1", "bomb.csv.gz", lambda: _bomb(zlib.compressobj(9, wbits=31)),
         "unpacked, whatever it takes", "unpack_ratio"),
    Trap("the same behind a plain beginning", "behind.csv.gz",
         lambda: _bomb(zlib.compressobj(9, wbits=31), LONG), "unpacked, whatever it takes", "unpack_ratio"),
    Trap("gzip under the name of a table", "gzip.csv", lambda: gzip.compress(TABLE),
         "polars: unpacked; DuckDB: an error", "gzip_without_suffix"),
    Trap("Zstandard", "fine.csv.zst", lambda: zstd.compress(TABLE), "polars, DuckDB: read"),
    Trap("JSON Lines in Zstandard", "fine.jsonl.zst", lambda: zstd.compress(OBJECTS), "polars, DuckDB: read"),
    Trap("Zstandard cut short", "cut.csv.zst", lambda: _tail(zstd.compress(TABLE), 4),
         "polars: an error; DuckDB: what came before the cut, and no word",
         "corrupt_zstd"),
    Trap("a Zstandard bomb, 10,000 to 1", "bomb.csv.zst", lambda: _bomb(zstd.ZstdCompressor()),
         "unpacked, whatever it takes", "unpack_ratio"),
    Trap("the same, and it says so", "said.csv.zst", lambda: zstd.compress(bytes(128 * MIB)),
         "unpacked, whatever it takes", "unpack_ratio"),
    Trap("a short row in Zstandard", "short.csv.zst",
         lambda: zstd.compress(b"a,b,late\n1,x,0\n2,y\n"), "polars: null and no word; DuckDB: one wide column", "ragged_row", 3),
    Trap("Zstandard under the name of a table", "zstd.csv", lambda: zstd.compress(TABLE),
         "polars: unpacked; DuckDB: an error", "zstd_without_suffix"),
    Trap("Parquet in gzip", "fine.parquet.gz",
         lambda: gzip.compress(_parquet(n=[1, 2], late=LATE[:2])), "an error", cells=((1, 0), (2, 1))),
    Trap("Parquet in Zstandard", "fine.parquet.zst",
         lambda: zstd.compress(_parquet(n=[1, 2], late=LATE[:2])), "an error", cells=((1, 0), (2, 1))),
)  # fmt: skip

TRAPS = {"CSV": CSV, "TSV": TSV, "JSON Lines": JSONL, "Parquet": PARQUET, "Packed files": PACKED}
