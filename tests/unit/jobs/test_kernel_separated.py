import ctypes
import gc
import io
import math
import random
from ctypes import c_int64, c_void_p
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.kernel import arrow, library, separated
from tidemill_jobs.kernel.separated import BEHIND, read_rows

KINDS = {"text": pl.String, "whole": pl.Int64, "float": pl.Float64, "flag": pl.Boolean}


def read(content, kinds, *, start=0, room=1_000, separator=","):
    """Return the frame and where it ends, or None."""
    raw = np.frombuffer(content + b"9" * BEHIND, np.uint8)
    columns = {str(number): kind for number, kind in enumerate(kinds)}
    found = read_rows(raw, start, len(content), separator=separator, columns=columns, room=room)
    return found and (pl.Series(found.table).struct.unnest(), found.end)


def rows(content, *kinds, **options):
    found = read(content, kinds, **options)
    return found and found[0].rows()


def by_polars(content, kinds, separator=","):
    head = separator.join(str(number) for number in range(len(kinds))) + "\n"
    schema = {str(number): KINDS[kind] for number, kind in enumerate(kinds)}
    return pl.read_csv(head.encode() + content, schema=schema, separator=separator)


TEXTS = ("", "a", "twelve bytes", "thirteen bytes", "étudiant", "naïve 🌊 wave", '""', '"a"')
TEXTS += ('"a,b"', '"a\nb"', '"so-called ""lite"""', '"a\r\nb"', '"', 'a"b', '"a"b', " x", '"""a"')
TEXTS += ("\udcff", "\udcc3", "\udced\udca0\udc80", '"' + "q" * 90 + '"', "x" * 70, "a\rb", "\0")
NUMBERS = (
    "",
    "0",
    "7",
    "-7",
    "12345678",
    "123456789",
    "-9223372036854775808",
    "9999999999999999999",
)
NUMBERS += (
    "9223372036854775807",
    "007",
    "+7",
    " 7",
    "7 ",
    "-",
    "-0",
    "1.5",
    "-0.0",
    ".5",
    "5.",
    ".",
)
NUMBERS += ("1e5", "1E-5", "2.5e+3", "1e", "1e400", "1e-400", "4.9e-324", "0.1", "123.4e-7", "1_0")
NUMBERS += ("0.10000000000000000555", "0.000012345678901234567", "9007199254740993", "nan", "inf")
NUMBERS += ('"7"', '"7', '7"', '"', '""', '"1.5"', "1..5", "1.5.5", "12345678901234567890.5", "٣")
NUMBERS += ("-00.5", "+0", "+007", "+-7", "-+7", "+", "+.5", "+1e5", '"+7"', "0" * 40, "1" * 25)
FLAGS = ("", "true", "false", "True", "FALSE", "tRUE", "t", "1", '""', '"true"', "falsely")
CELLS = {"text": TEXTS, "whole": NUMBERS, "float": NUMBERS, "flag": FLAGS}


@st.composite
def tables(draw):
    """Columns, and rows of which most cells are plain."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4))
    line = draw(st.sampled_from(["\n", "\r\n"]))
    usual = {"text": "abc", "whole": "12", "float": "1.5", "flag": "true"}
    chance = random.Random(draw(st.integers(0, 10**6)))
    share = draw(st.sampled_from([0.1, 0.5]))
    lines = []
    for _ in range(chance.randrange(1, 12)):
        cells = [
            chance.choice(CELLS[kind]) if chance.random() < share else usual[kind] for kind in kinds
        ]
        if chance.random() < 0.02:
            cells = cells[1:]
        lines.append(",".join(cells) + line)
    return kinds, "".join(lines).encode(errors="surrogateescape")


@given(tables())
def test_what_is_read_is_what_polars_reads(table):
    kinds, content = table
    found = read(content, kinds)
    if found is None:
        return
    frame, end = found
    expected = by_polars(content[:end], kinds)
    assert frame.equals(expected)
    for kind, column in zip(kinds, frame.get_columns(), strict=True):
        if kind == "float":
            signs = [math.copysign(1, each) for each in column.drop_nulls()]
            assert signs == [math.copysign(1, each) for each in expected[column.name].drop_nulls()]
            assert not (column.is_nan() | (column.abs() >= 2**53)).any()
    if end < len(content):  # inside a quote that is never closed
        assert content[end:].count(b'"') % 2


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_every_double_is_the_one_that_was_written(values):
    values = [value for value in values if abs(value) < 2**53]
    for form in (repr, "{:.16e}".format, "{:.12g}".format, "{:.20f}".format):
        texts = [text for text in map(form, values) if len(text) <= 30]
        read_back = rows("".join(f"{text}\n" for text in texts).encode(), "float")
        assert [value for (value,) in read_back] == [float(text) for text in texts]


def test_doubles_of_every_size_and_many_digits():
    chance = random.Random(7)
    texts = [
        f"{chance.randrange(10 ** chance.randrange(1, 20))}e{chance.randrange(-340, 0)}"
        for _ in range(900)
    ]
    texts = [text for text in texts if float(text) < 2**53]
    read_back = rows("".join(f"{text}\n" for text in texts).encode(), "float")
    assert [value for (value,) in read_back] == [float(text) for text in texts]


@pytest.mark.parametrize("places", [20, 24, 28])
def test_more_digits_than_a_double_has_are_not_left_to_python(places, monkeypatch):
    """There may be few of these in a block."""
    monkeypatch.setattr(separated, "_HARD", 3)
    chance = random.Random(places)
    values = [chance.random() for _ in range(1_000)]
    content = "".join(f"{value:.{places}f}\n" for value in values).encode()
    assert [value for (value,) in rows(content, "float")] == [
        float(f"{value:.{places}f}") for value in values
    ]
    # Half-way between two doubles, but for the last digit: three are asked of Python, no fourth.
    half = b"0.500000000000000055511151231257\n"
    above = float(half)
    assert rows(half * 3, "float") == [(above,)] * 3
    assert rows(half * 4, "float") is None


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1))
def test_every_whole_number(values):
    content = "".join(f"{value}\n" for value in values).encode()
    assert rows(content, "whole") == [(value,) for value in values]


@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_what_files_usually_hold_is_plain(line):
    lines = [
        '7,1.5,true,"a, b"',
        '-12,,false,"say ""hi"""',
        ',.5,,""',
        '"3","-2e3",True,étudiant',
        "12345678901,0.30000000000000004441,FALSE,",
        f'0,-0.25,true,"{"long " * 30}\n"',
    ]  # fmt: skip
    content = "".join(each + line for each in lines).encode()
    assert rows(content, "whole", "float", "flag", "text") == [
        (7, 1.5, True, "a, b"),
        (-12, None, False, 'say "hi"'),
        (None, 0.5, None, ""),
        (3, -2000.0, True, "étudiant"),
        (12345678901, 0.30000000000000004, False, None),
        (0, -0.25, True, "long " * 30 + "\n"),
    ]
    tabs = content.replace(b",", b"\t").replace(b"a\t b", b"a, b")
    assert rows(tabs, "whole", "float", "flag", "text", separator="\t") == rows(
        content, "whole", "float", "flag", "text"
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"007\n", "whole"),
        (b"00.5\n", "float"),
        (b"9007199254740993.0\n", "float"),
        (b"9007199254740992.99999999999\n", "float"),
        (b"9223372036854775808\n", "whole"),
        (b"NaN\n", "float"),
        (b"x\n", "flag"),
        (b"\n", "text"),
        (b"a,b\n", "text"),
        (b'a"b"c\n', "text"),
        (b"\xff\n", "text"),
        (b"\xed\xa0\x80\n", "text"),
        (b"a\rb\n", "text"),
    ],
)
def test_what_is_not_plain_is_left_to_who_knows_more(content, kind):
    assert rows(content, kind) is None
    plain = {"text": b"a", "whole": b"1", "float": b"1", "flag": b"true"}[kind] + b"\n"
    assert rows(plain * 200 + content, kind) is None


def test_rows_end_where_there_is_no_room_or_no_end_of_line():
    content = b"1,a\n2,b\n3,c"
    assert read(content, ["whole", "text"])[1] == 8
    frame, end = read(content, ["whole", "text"], room=1)
    assert (frame.rows(), end) == ([(1, "a")], 4)
    assert rows(content, "whole", "text", start=4) == [(2, "b")]
    frame, end = read(b'1,"a\n', ["whole", "text"])
    assert (frame.height, end) == (0, 0)


def test_a_number_of_a_row_that_is_cut_off_counts_nowhere():
    content = b"0.12345678901234567890123,1\n0.2,1\n0.98765432109876543210987,"
    frame, end = read(content, ["float", "whole"])
    assert (frame.rows(), end) == ([(0.12345678901234568, 1), (0.2, 1)], 34)


def test_what_is_lent_lives_as_long_as_it_is_used():
    gc.collect()
    before = len(arrow._LENT)
    frame, _ = read(b'1,"long enough for a pointer",x\n' * 100, ["whole", "text", "text"])
    texts = frame.to_series(1).slice(50)
    del frame
    gc.collect()
    junk = [np.full(5_000, number, np.uint8) for number in range(50)]
    assert texts.to_list() == ["long enough for a pointer"] * 50
    assert len(junk) == 50
    assert len(arrow._LENT) > before
    del texts
    gc.collect()
    assert len(arrow._LENT) == before


def test_capsules_that_nobody_takes_are_given_back():
    before = len(arrow._LENT)
    table = arrow.Table({"a": arrow.Lent("l", np.arange(3))}, 3)
    capsules = table.__arrow_c_array__()
    assert len(arrow._LENT) > before
    del capsules
    gc.collect()
    assert len(arrow._LENT) == before


def test_other_users_of_pythons_functions_are_no_matter(monkeypatch):
    """XGBoost and others declare the arguments of the one that all of the process share."""
    shared = ctypes.pythonapi.PyCapsule_GetPointer
    monkeypatch.setattr(shared, "argtypes", (ctypes.py_object, ctypes.c_char_p))
    before = len(arrow._LENT)
    assert rows(b"1,a\n", "whole", "text") == [(1, "a")]
    gc.collect()
    assert len(arrow._LENT) == before


def test_nulls_and_flags_across_bytes():
    chance = random.Random(3)
    cells = [chance.choice(["true", "false", ""]) for _ in range(77)]
    content = "".join(f"{cell},1\n" for cell in cells).encode()
    wanted = {"true": True, "false": False, "": None}
    assert rows(content, "flag", "whole") == [(wanted[cell], 1) for cell in cells]


def test_the_same_from_any_place_in_a_chunk():
    line = b'12,"a ""b"", c",3.25,longer than twelve bytes\n'
    expected = by_polars(line * 4, ["whole", "text", "float", "text"])
    for ahead in range(0, 130, 7):
        content = b"x" * ahead + line * 4
        found = read(content, ["whole", "text", "float", "text"], start=ahead)
        assert found[0].equals(expected)
    assert pl.read_csv(io.BytesIO(b"a,b,c,d\n" + line)).height == 1


def test_processors_with_and_without_avx2_read_the_same(monkeypatch):
    line = b'-12345.678901234567,"a ""b"", c",325,true,longer than twelve bytes\r\n,,,,\r\n'
    kinds = ("float", "text", "whole", "flag", "text")
    found = [rows(line * 9, *kinds)]
    name = library.own_name()
    for other in Path(library.__file__).parent.glob(f"{name.removesuffix('.so')[:12]}*.so"):
        loaded = library.load({"read_rows": (c_int64, (c_void_p,))}, other.name)
        monkeypatch.setattr(separated, "_LIBRARY", loaded)
        found.append(rows(line * 9, *kinds))
    assert len(found[0]) == 18
    assert all(each == found[0] for each in found)
