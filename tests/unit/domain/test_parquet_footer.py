"""The footer reader against files that polars wrote, and against bytes that nobody wrote."""

import io
import time

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.domain.finding import NeedMore
from tidemill.domain.parquet_footer import Column, Footer, ParquetError, read_footer

NAMES = ["plain", "a b", "c+d", "Ünïcode 日本", "🚲", "", "quote\"'", "new\nline", "%2F/."]


def parquet(frame, **options):
    file = io.BytesIO()
    frame.write_parquet(file, **options)
    return file.getvalue()


def footer(body):
    return body[-8 - int.from_bytes(body[-8:-4], "little") : -8]


def framed(metadata):
    """A file whose footer is *metadata*."""
    return b"PAR1" + metadata + len(metadata).to_bytes(4, "little") + b"PAR1"


def read(body):
    return read_footer(body, len(body))


@pytest.mark.parametrize("options", [{}, {"compression": "snappy"}, {"statistics": False}])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_names_and_rows_are_what_polars_wrote(rows, options):
    body = parquet(pl.DataFrame({name: range(rows) for name in NAMES}), **options)
    assert read(body) == Footer(rows, tuple(Column(name, nested=False) for name in NAMES))


def test_every_type_of_polars_is_read():
    frame = pl.DataFrame({"n": [1, 2]}).with_columns(
        text=pl.lit("x"),
        flag=pl.lit(value=True),
        day=pl.date(2026, 11, 20),
        moment=pl.datetime(2026, 11, 20, time_zone="UTC"),
        price=pl.lit("1.50").cast(pl.Decimal(10, 2)),
        kind=pl.lit("a").cast(pl.Categorical),
        small=pl.lit(1, pl.Int8),
        nothing=pl.lit(None),
    )
    assert [column.name for column in read(parquet(frame)).columns] == frame.columns


def test_a_nested_column_is_one_column():
    frame = pl.DataFrame(
        {"a": [1], "struct": [{"a": 1, "b": {"c": [1, 2]}}], "list": [[["x"]]], "z": [2]}
    )
    assert read(parquet(frame)).columns == (
        Column("a", nested=False),
        Column("struct", nested=True),
        Column("list", nested=True),
        Column("z", nested=False),
    )


def test_a_repeated_column_without_a_group_is_nested():
    repeated = b"\x35\x04\x18\x01v\x00"  # repetition_type REPEATED, name
    root = b"\x48\x01r\x15\x02\x00"
    assert read(framed(b"\x29\x2c" + root + repeated + b"\x16\x06\x00")) == Footer(
        3, (Column("v", nested=True),)
    )


def test_a_footer_longer_than_the_tail_says_how_much_is_needed():
    body = parquet(pl.DataFrame({f"column {n} with a long name": [n] for n in range(3000)}))
    needed = len(footer(body)) + 8
    assert needed > 65536
    assert read_footer(body[-65536:], len(body)) == NeedMore(needed)
    assert read_footer(body[-needed + 1 :], len(body)) == NeedMore(needed)
    assert len(read_footer(body[-needed:], len(body)).columns) == 3000


FILE = parquet(pl.DataFrame({"a": [1], "b": ["x"]}))
ROOT = b"\x48\x01r"
ONE_COLUMN = b"\x29\x2c" + ROOT + b"\x15\x02\x00\x48\x01v\x00"  # field 2: a list of two structs


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (FILE[:-1], "truncated_parquet", "its end is missing"),
        (b"PAR1", "truncated_parquet", "its end is missing"),
        (b"PAR1PAR1", "truncated_parquet", "its end is missing"),
        (FILE[:-4] + b"PARE", "encrypted_parquet", "its footer is encrypted"),
        (FILE[:-8] + b"\xff\xff\xff\xffPAR1", "damaged_parquet", "claims 4.0 GiB of a file of"),
        (framed(b""), "damaged_parquet", "claims more than it holds"),
        (framed(b"\x00"), "damaged_parquet", "names no columns"),
        (framed(ONE_COLUMN + b"\x00"), "damaged_parquet", "names no columns"),
        (framed(ONE_COLUMN + b"\x16\x01\x00"), "damaged_parquet", "names no columns"),
        (framed(b"\x29\x0c\x00"), "damaged_parquet", "its schema is empty"),
        (framed(b"\x29\x18\x01x\x00"), "damaged_parquet", "not a list of columns"),
        (framed(b"\x29\x1c\x00"), "damaged_parquet", "a column without a name"),
        (framed(b"\x29\x1c" + ROOT + b"\x15\x01\x00"), "damaged_parquet", "without a name"),
        (framed(b"\x29\x1c" + ROOT + b"\x15\x02\x00"), "damaged_parquet", "do not add up"),
        (framed(b"\x29\x1c\x48\x01\xff\x00"), "damaged_parquet", "name is not UTF-8"),
        (framed(b"\x29\xfc\xff\xff\xff\x07"), "damaged_parquet", "claims more than it holds"),
        (framed(b"\x26" + b"\xff" * 12), "damaged_parquet", "a number that is too long"),
        (framed(b"\x1f\x00"), "damaged_parquet", "a value of an unknown type"),
        (framed(b"\x19" + b"\x19" * 99), "damaged_parquet", "nested too deep"),
    ],
)
def test_what_is_no_footer_is_named(body, rule, says):
    with pytest.raises(ParquetError) as caught:
        read(body)
    assert caught.value.rule == rule
    assert says in str(caught.value)


def test_a_footer_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(ParquetError, match=r"has 20\.0 MiB, and at most 16\.0 MiB") as caught:
        read_footer((20 * 2**20).to_bytes(4, "little") + b"PAR1", 2**30)
    assert caught.value.rule == "parquet_footer_too_large"


def test_other_fields_are_skipped_whatever_their_type():
    others = (
        b"\x11\x12\x13\x07\x14\x02"  # fields 1-4: true, false, byte, i16
        b"\x17" + b"\0" * 8 + b"\x18\x02hi"  # double, binary
        b"\x19\x31\x01\x02\x01\x1a\x12\x01"  # list of three bools, set of one
        b"\x1b\x00\x1b\x01\x85k\x02"  # empty map, map of binary to i32: {"": …} is below
    )
    empty_key = others.replace(b"\x1b\x01\x85k\x02", b"\x1b\x01\x85\x01k\x02")
    struct = b"\x1c\x15\x02\x00"
    schema = b"\x09\x04\x2c" + ROOT + b"\x15\x02\x00\x48\x01v\x00"  # long form: id 2 follows
    assert read(framed(empty_key + struct + schema + b"\x16\x02\x00")) == Footer(
        1, (Column("v", nested=False),)
    )


def test_millions_of_values_end_the_reading_within_seconds():
    empty_structs = b"\x1c\x00" * 6_000_000
    started = time.process_time()
    with pytest.raises(ParquetError, match="more values"):
        read(framed(empty_structs))
    with pytest.raises(ParquetError, match="more values"):
        read(framed(b"\x19\xfc\x80\x80\x80\x04" + b"\0" * 2**23))
    assert time.process_time() - started < 20


def accepted_or_refused(body):
    try:
        found = read(body)
    except ParquetError:
        return
    assert isinstance(found, Footer)
    assert len(found.columns) <= len(body)


@given(st.binary())
@example(b"\x15\x02\x19\x8c")
def test_random_bytes_are_read_or_refused(metadata):
    accepted_or_refused(framed(metadata))


@given(st.data())
def test_a_damaged_footer_is_read_or_refused(data):
    metadata = bytearray(footer(FILE))
    for _ in range(data.draw(st.integers(1, 4))):
        metadata[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    accepted_or_refused(framed(bytes(metadata)))
    accepted_or_refused(framed(bytes(metadata[: data.draw(st.integers(0, len(metadata)))])))
