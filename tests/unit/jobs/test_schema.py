import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill_jobs import schema
from tidemill_jobs.errors import ReadError, ValueRefusedError
from tidemill_jobs.reader import RawFile
from tidemill_jobs.values import is_missing, read_boolean, read_number, read_text, read_time


def raw(*, typed=False, **columns):
    return RawFile(pl.DataFrame(columns), lambda row: f"line {row + 2}", typed)


def decide(*files, timestamp=None):
    tallies = [schema.tally(file, file.frame.columns, timestamp)["a"] for file in files]
    return schema.decide(tallies)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", None, "NA"], "number"),
        (["true", "FALSE"], "boolean"),
        (["2026-11-20", "2026-11-20T10:00Z"], "time"),
        (["x", "y"], "category"),
        (["1", "x"], "category"),
        (["01234", "99999"], "category"),
        (["0", "0.5", "-0.5"], "number"),
        ([None, "NA"], None),
        (["1"] * 9 + ["x"], "number"),
        (["1"] * 8 + ["x"] * 2, "category"),
        (["inf", "1e39"], "category"),
    ],
)
def test_a_column_is_what_nine_tenths_of_its_cells_are(cells, kind):
    assert decide(raw(a=pl.Series(cells, dtype=pl.String))) == kind


def test_all_files_decide_together():
    assert decide(raw(a=["1"] * 100), raw(a=["x"])) == "number"
    assert decide(raw(a=["1"]), raw(a=["x"])) == "category"


def test_a_late_text_among_numbers_is_named_by_line_and_value():
    file = raw(a=["1"] * 30_000 + ["abc", "def"])
    tally = schema.tally(file, ["a"], None)["a"]

    assert schema.misfit(file.place, "a", "number", tally) == (
        "line 30002: column 'a' holds 'abc' where a number (up to 3.4e38) is expected; "
        "correct the cell, or list the column under data.exclude."
    )
    assert schema.misfit(file.place, "a", "category", tally) is None


def test_a_number_that_32_bits_cannot_hold_is_a_misfit():
    for file in (raw(a=["1", "1e39"]), raw(typed=True, a=[1.0, math.inf])):
        tally = schema.tally(file, ["a"], None)["a"]
        assert schema.misfit(file.place, "a", "number", tally).startswith("line 3: column 'a'")


def test_parquet_text_stays_text_but_a_declared_timestamp_may_be_text():
    file = raw(typed=True, a=["1", "2"])
    assert decide(file) == "category"
    stamps = raw(typed=True, a=["2026-11-20", "2026-11-21"])
    assert decide(stamps) == "category"
    assert decide(stamps, timestamp="a") == "time"


def test_stored_types_are_kept():
    noon = dt.datetime(2026, 11, 20, 12, 0, 59)  # noqa: DTZ001  # frames hold UTC
    file = raw(typed=True, n=[1, None], b=[True, None], t=[noon, None], s=["x", None])
    kinds = {
        name: schema.decide([tally]) for name, tally in schema.tally(file, "nbts", None).items()
    }
    assert kinds == {"n": "number", "b": "boolean", "t": "time", "s": "category"}

    typed = schema.typed(file, kinds)

    assert typed.rows() == [(1.0, True, read_time("2026-11-20T12:00"), "x"), (None,) * 4]


def test_typing_never_turns_a_cell_into_null():
    with pytest.raises(ReadError, match="1 cells are not a number"):
        schema.typed(raw(a=["1", "abc"]), {"a": "number"})


digits = st.text("0123456789+-.eE_ ", max_size=7)
stamps = st.from_regex(
    r"[ 0-3][09][0-9]{2}-[01][0-9]-[0-3][0-9]"
    r"([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(Z|[+-][01][0-9]:?[0-5][0-9])?)?",
    fullmatch=True,
)
words = st.sampled_from(
    [
        "true",
        "False",
        "TRUE ",
        "nan",
        "NaN",
        "null",
        "inf",
        "-Infinity",
        "NA",
        "N/A",
        "None",
        "",
        " ",
        "1e400",
        "1e39",
        "3.5e38",
        "٣",
        "١٢",
        "0x1",
        "1\n",
        "\t2",
        "2026-02-30",
        "2024-02-29T23:59+14:59",
    ]
)
any_cell = st.one_of(digits, stamps, words, st.text(max_size=6), st.floats().map(repr))
READERS = {"number": read_number, "boolean": read_boolean, "time": read_time, "category": read_text}


@settings(max_examples=300)
@given(any_cell, st.sampled_from(sorted(READERS)))
@example("1_0", "number")
@example("2000-02-29 12:00Z", "time")
def test_files_and_requests_read_a_cell_alike(cell, kind):
    """The grammar is written twice, for whole columns and for single values."""
    column = pl.Series("a", [None if is_missing(cell) else cell], pl.String)
    file = RawFile(column.to_frame(), str, typed=False)
    try:
        single = READERS[kind](cell)
    except ValueRefusedError:
        single = "refused"
    tally = schema.tally(file, ["a"], None)["a"]
    # A leading zero makes a code of a column, but is a number where numbers are expected.
    misfit = schema.misfit(str, "a", kind, tally)
    if misfit and "code" in tally.counts and kind == "number":
        misfit = None
    if misfit:
        whole = "refused"
    else:
        whole = schema.typed(file, {"a": kind})["a"][0]
        whole = ("" if kind == "category" else math.nan) if whole is None else whole

    same_nan = (
        isinstance(single, float)
        and isinstance(whole, float)
        and math.isnan(single)
        and math.isnan(whole)
    )
    assert single == whole or same_nan
