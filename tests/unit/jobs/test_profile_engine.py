import gzip
import io
import json
import math
import random
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile import Profile, ProfileError, Profiler
from tidemill_jobs.profile.counted import MOST


def profile_of(*frames, columns=None):
    profiler = Profiler(columns)
    for frame in frames:
        profiler.add(frame)
    return profiler.profile()


def column_of(cells, dtype=None, declared=None):
    frame = pl.DataFrame({"x": pl.Series(cells, dtype=dtype, strict=False)})
    return profile_of(frame, columns={"x": declared} if declared else None).columns["x"]


def exact(profile):
    """Everything that does not depend on how rows were split."""
    return profile.rows, {
        name: {
            "counts": (column.rows, column.missing, column.present, column.nans, column.kinds),
            "type": (column.kind, column.inferred_type),
            "numbers": column.numbers
            and (
                column.numbers.count,
                column.numbers.wholes,
                column.numbers.infinities,
                column.numbers.low if column.numbers.count else None,
                column.numbers.high if column.numbers.count else None,
                column.numbers.sum if column.numbers.wholes == column.numbers.count else None,
            ),
            "times": column.times and (column.times.count, column.times.low, column.times.high),
            "lengths": column.lengths,
            "values": (column.complete, column.categories if column.complete else None),
            "distinct": column.distinct,
            "other": column.other if column.complete else None,
        }
        for name, column in sorted(profile.columns.items())
    }


def test_numbers():
    column = column_of([1.5, 2, None, 6, float("nan"), float("inf")])

    assert (column.rows, column.missing, column.present, column.nans) == (6, 2, 4, 1)
    assert column.kinds == {"integral": 2, "fractional": 2, "boolean": 0, "time": 0, "text": 0}
    assert (column.kind, column.inferred_type) == ("number", "Fractional")
    numbers = column.numbers
    assert (numbers.count, numbers.infinities, numbers.low, numbers.high) == (3, 1, 1.5, 6)
    assert numbers.sum == 9.5
    assert numbers.mean == pytest.approx(9.5 / 3)
    assert numbers.std_dev == pytest.approx(np.std([1.5, 2, 6]))
    assert numbers.sketch.quantile(0.5) == 2
    assert column.categories == {"1.5": 1, "2": 1, "6": 1}
    assert (column.distinct, column.complete, column.other) == (3, True, 0)


def test_sums_of_large_integers_are_exact():
    large = 2**62
    column = column_of([large, large, large, 1, -(2**63)])

    assert column.numbers.sum == 3 * large + 1 - 2**63
    assert (column.numbers.low, column.numbers.high) == (-(2**63), large)
    assert column_of([2**53, 2**53 + 1]).distinct == 2


def test_a_large_mean_cancels_nothing():
    values = [1e9 + (number % 3 - 1) for number in range(3_000)]
    frames = [pl.DataFrame({"x": values[at : at + 700]}) for at in range(0, 3_000, 700)]

    assert profile_of(*frames).columns["x"].numbers.std_dev == pytest.approx(
        math.sqrt(2 / 3), rel=1e-9
    )


def test_a_category():
    column = column_of(["b", "a", "", "c", "c", None, "NA", " null "])

    assert (column.kind, column.inferred_type) == ("category", "String")
    assert (column.missing, column.present) == (3, 5)  # NA is a text among texts
    assert column.categories == {"c": 2, "NA": 1, "a": 1, "b": 1}
    assert (column.lengths.low, column.lengths.high, column.lengths.mean) == (1, 1, 1.0)


def test_words_for_not_available_are_missing_among_numbers():
    column = column_of(["1", "2.5", "NA", "n/a"])

    assert (column.kind, column.missing, column.present) == ("number", 2, 2)
    assert column.categories == {"1": 1, "2.5": 1}


def test_codes_identify():
    column = column_of(["01234", "11234", "01234"])

    assert (column.kind, column.kinds["text"], column.kinds["integral"]) == ("category", 2, 1)
    assert column.categories == {"01234": 2, "11234": 1}


def test_times():
    column = column_of(["2026-11-20T14:30Z", "2026-11-20 15:30:59+01:00", "2026-11-21"])

    assert (column.kind, column.inferred_type) == ("time", "String")
    assert column.times.low == datetime(2026, 11, 20, 14, 30, tzinfo=UTC).timestamp() // 60
    assert column.categories == {"2026-11-20T14:30Z": 2, "2026-11-21T00:00Z": 1}
    assert column.times.sketch.count == 3


def test_booleans():
    column = column_of([True, False, True, None])

    assert (column.kind, column.kinds["boolean"], column.missing) == ("boolean", 3, 1)
    assert column.categories == {"true": 2, "false": 1}


def test_an_empty_column_and_no_rows():
    assert column_of([None], pl.Float64).inferred_type == "Unknown"
    assert column_of(["", "NaN"]).kind is None
    column = column_of([], pl.String)
    assert (column.rows, column.distinct, column.other, column.numbers) == (0, 0, 0, None)


def test_a_declared_category_counts_numbers_as_texts():
    values = list(range(5_000)) + [7] * 5_000
    column = column_of(values, declared="category")

    assert (column.kind, column.inferred_type) == ("category", "String")
    assert next(iter(column.categories)) == "7"
    assert 5_001 - column.error <= column.categories["7"] <= 5_001
    assert column_of(["1.0", "1"], declared="category").categories == {"1": 2}


def test_frequent_texts_survive_two_million_others():
    frames = [
        pl.DataFrame({"x": [f"id-{at}" for at in range(start, start + 20_000)] + ["often"] * 2_000})
        for start in range(0, 100_000, 20_000)
    ]
    column = profile_of(*frames).columns["x"]

    assert not column.complete
    assert column.error <= column.rows / MOST
    assert 10_000 - column.error <= column.categories["often"] <= 10_000
    assert column.distinct == pytest.approx(100_001, rel=0.1)
    assert column.other == column.rows - sum(column.categories.values())


def test_long_texts_are_cut_and_stay_different():
    long = "x" * 5_000
    column = column_of([f"{long}a", f"{long}b", f"{long}a"])

    assert sorted(column.categories.values()) == [1, 2]
    assert all(len(text) <= 128 for text in column.categories)
    assert column.lengths.high == 5_001


def test_the_same_rows_give_the_same_bytes():
    chance = random.Random(1)
    frame = pl.DataFrame(
        {
            "origin": [chance.choice(["Oslo", "Rome", "Bonn", "NA"]) for _ in range(400)],
            "wind": [str(chance.randint(0, 40)) for _ in range(400)],
            "left": [f"2026-0{chance.randint(1, 9)}-11T10:30Z" for _ in range(400)],
            "change": [chance.choice(["-0.0", "0.0", "-0.5", "0.5"]) for _ in range(400)],
        }
    )

    assert len({profile_of(frame).dumps() for _ in range(8)}) == 1


def test_a_profile_is_bounded_and_comes_back():
    rng = np.random.default_rng(1)
    rows = 200_000
    frame = pl.DataFrame(
        {
            "float": rng.normal(size=rows),
            "id": [f"{'long' * 40}{number}" for number in range(rows)],
            "long": [f"{number % 2_000} {'x' * 200}" for number in range(rows)],
        }
    )
    profile = profile_of(frame)
    content = profile.dumps()

    assert len(content) < 3 * 64 * 1_024
    assert len(json.dumps(profile.columns["long"].document())) < 128 * 1_024
    again = Profile.loads(content)
    assert again.dumps() == content
    assert exact(again) == exact(profile)
    assert again.merge(profile).rows == 2 * rows


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        gzip.compress(b"[]"),
        gzip.compress(b'{"version": 9}'),
    ],
)
def test_another_file_is_no_profile(content):
    with pytest.raises(ProfileError):
        Profile.loads(content)


def test_a_column_that_some_batches_lack_is_missing_there():
    first, second = pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [3], "b": ["x"]})
    third = pl.DataFrame({"b": ["y"]})
    whole = profile_of(first, second, third)

    assert (whole.columns["a"].missing, whole.columns["b"].missing) == (1, 2)
    merged = profile_of(first).merge(profile_of(second)).merge(profile_of(third))
    assert exact(merged) == exact(whole)


def test_only_the_columns_asked_for():
    frame = pl.DataFrame({"a": [1], "b": [2], "nested": [[1]]})

    assert list(profile_of(frame, columns={"b": None, "not there": None}).columns) == ["b"]
    with pytest.raises(ReadError, match="column 'nested' holds List"):
        profile_of(frame)


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.floats(allow_nan=False),
    st.sampled_from(["", "NaN", "NA", "null", "true", "False", "007", "inf", "1e3", " 1.0 ", "é"]),
    st.sampled_from(["2026-11-20", "2026-11-20T10:00Z", "2026-02-30"]),
    st.text(max_size=4),
)
columns = st.lists(cells, max_size=40)


def as_text(cell):
    return None if cell is None else str(cell)


@settings(deadline=None, max_examples=60)
@given(columns, st.lists(st.integers(0, 40), max_size=4))
def test_merging_any_split_is_profiling_the_whole(column, cuts):
    frame = pl.DataFrame({"x": pl.Series([as_text(cell) for cell in column], dtype=pl.String)})
    edges = [0, *sorted(cuts), 40]
    merged = Profile()
    batches = Profiler()
    for start, end in pairwise(edges):
        part = frame[start:end]
        batches.add(part)
        merged = merged.merge(Profile.loads(profile_of(part).dumps()))

    whole = profile_of(frame)
    assert exact(merged) == exact(batches.profile()) == exact(whole)
    if whole.columns["x"].numbers:
        ours, theirs = merged.columns["x"].numbers, whole.columns["x"].numbers
        assert ours.mean == pytest.approx(theirs.mean, rel=1e-9, abs=1e-300)
        assert ours.std_dev == pytest.approx(theirs.std_dev, rel=1e-6, abs=1e-300)
        assert ours.sketch.cdf()[0].tolist() == theirs.sketch.cdf()[0].tolist()


tables = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-(2**53), 2**53)),
        st.one_of(st.none(), st.floats(allow_infinity=False, width=64)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.sampled_from(["", "a", "b c", "NA", "null", "é", "x\ny", '"'])),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=40)
@given(tables)
def test_the_same_table_is_the_same_in_every_format(rows):
    frame = pl.DataFrame(
        rows,
        orient="row",
        schema={"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "text": pl.String},
    )
    csv = pl.read_csv(io.BytesIO(frame.write_csv().encode()), infer_schema=False)
    lines = [json.loads(line) for line in frame.write_ndjson().splitlines()]
    texts = {name: [as_text(line[name]) for line in lines] for name in frame.columns}
    jsonl = pl.DataFrame(texts, schema=dict.fromkeys(frame.columns, pl.String))
    whole = frame.with_columns(pl.col("int").cast(pl.Float64))

    expected = exact_but_nans(profile_of(frame))
    for other in (csv, jsonl, whole):
        assert exact_but_nans(profile_of(other)) == expected


def exact_but_nans(profile):
    rows, columns = exact(profile)
    for column in columns.values():
        missing = column["counts"]
        column["counts"] = (*missing[:3], missing[4])
    return rows, columns


def test_a_32_bit_number_is_the_decimal_that_it_shows():
    short = profile_of(pl.DataFrame({"x": pl.Series([0.1, 0.2, 1e10], dtype=pl.Float32)}))
    text = profile_of(pl.DataFrame({"x": ["0.1", "0.2", "10000000000"]}))

    assert exact(short) == exact(text)
    assert short.columns["x"].numbers.sketch.rank(0.1) == pytest.approx(1 / 3)
