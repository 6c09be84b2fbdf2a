import datetime as dt
import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs import features as module
from tidemill_jobs.errors import JobError, RefusedError, ValueRefusedError
from tidemill_jobs.features import Dropped, Features, Target, time_part, transform_rows
from tidemill_jobs.fit import CATEGORIES, fit, transform_frame
from tidemill_jobs.reader import RawFile
from tidemill_jobs.schema import typed
from tidemill_jobs.values import is_missing

KINDS = {"wind": "number", "night": "boolean", "left": "time", "origin": "category"}


def frame(**columns):
    columns = {
        name: pl.Series([None if is_missing(c) else c for c in cells], dtype=pl.String)
        for name, cells in columns.items()
    }
    return RawFile(pl.DataFrame(columns), str, typed=False)


RAW = {
    "wind": ["1.5", "NA", "3", "16777217"],
    "night": ["true", "false", "", "true"],
    "left": ["2026-11-20T10:30Z", "2026-11-21T10:30Z", "", "2026-12-24T23:59Z"],
    "origin": ["Oslo", "Rome", "Oslo", ""],
}
TRAINING = frame(**RAW)


def fitted(raw=TRAINING, kinds=KINDS, **changes):
    parts = {
        "problem": "binary",
        "target": Target("late", ("no", "yes")),
        "header": ("id", *kinds),
        **changes,
    }
    return fit(typed(raw, kinds).lazy(), kinds, **parts)


def test_the_state_survives_json():
    features = fitted(dropped=[Dropped("id", "it identifies the row")])

    assert Features.parse(features.to_json()) == features
    assert Features.parse(features.to_json()).to_json() == features.to_json()


def test_numbers_booleans_time_parts_and_categories_are_the_input():
    features = fitted()
    found = transform_frame(features, typed(TRAINING, KINDS))

    assert features.numeric == (
        "wind",
        "night",
        "left.hour",
        "left.minute_of_day",
        "left.weekday",
        "left.month",
        "left.days",
    )
    assert found.numeric.dtype == np.float32
    np.testing.assert_array_equal(found.numeric[0], np.float32([1.5, 1, 10, 630, 4, 11, 0]))
    np.testing.assert_array_equal(found.numeric[3], np.float32([16777216, 1, 23, 1439, 3, 12, 34]))
    assert np.isnan(found.numeric[2]).tolist() == [False, True] + [True] * 5
    assert found.categories.tolist() == [["Oslo"], ["Rome"], ["Oslo"], [""]]


def test_a_number_that_is_rounded_is_noted():
    assert fitted().notes == (
        "column 'wind' has whole numbers beyond 16,777,216; the model reads them rounded",
    )


def test_time_parts_that_never_change_are_left_out():
    raw = frame(left=["2026-11-20", "2026-11-27"])
    assert fitted(raw, {"left": "time"}).numeric == ("left.days",)


def test_a_single_moment_still_tells_whether_there_is_one():
    assert fitted(frame(left=["2026-11-20", ""]), {"left": "time"}).numeric == ("left.days",)


def test_columns_that_tell_nothing_are_dropped_with_the_reason():
    rows = CATEGORIES + 1
    raw = frame(
        same=["x"] * rows,
        gone=[""] * rows,
        name=[f"n{number}" for number in range(rows)],
        flag=["y", *[""] * (rows - 1)],
    )
    features = fitted(raw, dict.fromkeys(("same", "gone", "name", "flag"), "category"))

    assert features.names == ("flag",)
    assert {entry.name: entry.reason for entry in features.dropped} == {
        "same": "it has the same value in every training row",
        "gone": "every training row lacks it",
        "name": "every value is different, as in an identifier",
    }


def test_data_without_any_telling_column_is_refused():
    with pytest.raises(RefusedError, match="no column but the target"):
        fitted(frame(a=["1", "1"]), {"a": "number"})


def test_the_most_frequent_categories_are_kept_and_the_rest_are_other():
    cells = [f"c{number:03d}" for number in range(CATEGORIES + 20)] + [
        "c270",
        "c270",
        "other",
        "other",
    ]
    features = fitted(frame(a=cells), {"a": "category"})
    known = features.columns[0].categories

    assert len(known) == CATEGORIES
    assert known[:2] == ("c270", "c000")  # by rows, then by name
    assert "other" not in known  # the file's own "other" belongs to the rest
    assert "276 different values" in features.notes[0]
    assert transform_rows(
        features, [{"a": v} for v in ("c274", "new", "c270", "other", None)]
    ).categories[:, 0].tolist() == ["other", "other", "c270", "other", ""]


def test_two_inputs_never_share_a_name():
    raw = frame(
        left=["2026-11-20", "2026-11-21"], **{"left.days": ["1", "2"], "__target__": ["1", "3"]}
    )
    features = fitted(raw, {"left.days": "number", "__target__": "number", "left": "time"})
    assert features.numeric == ("left.days", "__target___", "left.weekday", "left.days_")


def test_a_request_names_what_it_lacks_and_may_bring_more():
    features = fitted()
    row = {"wind": 1, "night": True, "left": None, "origin": "Oslo"}

    assert len(transform_rows(features, [{**row, "extra": object()}])) == 1
    with pytest.raises(ValueRefusedError, match="Row 2 lacks the columns 'wind', 'left'"):
        transform_rows(features, [row, {"night": True, "origin": "x"}])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("wind", "windy", "Row 2: column 'wind' is 'windy'; send a number"),
        ("wind", True, "Row 2: column 'wind' is True"),
        ("night", 1, "Row 2: column 'night' is 1; send true or false"),
        ("left", 1763, "Row 2: column 'left' is 1763; send a time"),
        ("origin", 7, "Row 2: column 'origin' is 7; this column holds text"),
    ],
)
def test_a_wrong_type_is_named_by_row_column_and_value(column, value, said):
    row = {"wind": 1, "night": True, "left": None, "origin": "Oslo"}
    with pytest.raises(ValueRefusedError, match=said):
        transform_rows(fitted(), [row, {**row, column: value}])


def test_many_missing_columns_are_counted():
    kinds = {f"c{number}": "number" for number in range(12)}
    features = fitted(frame(**{name: ["1", "2"] for name in kinds}), kinds)
    with pytest.raises(ValueRefusedError, match="and 4 more"):
        transform_rows(features, [{}])


@pytest.mark.parametrize("text", ["{", '{"version": 2}', '{"version": 1}', "[]"])
def test_a_damaged_or_foreign_state_is_refused(text):
    with pytest.raises(JobError, match=r"features\.json"):
        Features.parse(text)


def test_weekdays_and_months_agree_with_the_calendar():
    days = pl.date_range(pl.date(1969, 1, 1), pl.date(2030, 12, 31), eager=True)
    minutes = days.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy() / 60e6 + 61.0

    assert (time_part(minutes, "weekday", 0) == days.dt.weekday().to_numpy() - 1).all()
    assert (time_part(minutes, "month", 0) == days.dt.month().to_numpy()).all()
    assert (time_part(minutes, "hour", 0) == 1).all()
    assert time_part(np.array([math.nan]), "month", 0).tolist() == [
        pytest.approx(math.nan, nan_ok=True)
    ]


numbers = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from(["", "NA", "NaN", " 7 ", "1e-50", "-0.0"]),
)
times = st.one_of(
    st.datetimes(
        min_value=dt.datetime.fromisoformat("1000-01-01"),
        max_value=dt.datetime.fromisoformat("2999-12-31"),
    ).map(lambda d: d.isoformat()),
    st.sampled_from(["", "null", "2026-11-20", "2026-11-20 10:00+05:30", "1950-03-01T00:00-14:00"]),
)
booleans = st.sampled_from(["true", "False", "", "NA", " TRUE"])
texts = st.one_of(st.text(max_size=4), st.sampled_from(["a", "b", "other", "NA", "null", " "]))
raw_rows = st.lists(st.tuples(numbers, booleans, times, texts), min_size=4, max_size=25)


@given(raw_rows)
def test_serving_transforms_a_row_as_prepare_does(rows):
    columns = dict(zip(KINDS, map(list, zip(*rows, strict=True)), strict=True))
    raw = frame(**columns)
    try:
        features = fitted(raw)
    except RefusedError:
        return
    in_prepare = transform_frame(features, typed(raw, KINDS))

    in_serving = transform_rows(
        Features.parse(features.to_json()), [dict(zip(KINDS, row, strict=True)) for row in rows]
    )

    np.testing.assert_array_equal(in_prepare.numeric, in_serving.numeric)
    assert in_prepare.categories.tolist() == in_serving.categories.tolist()


OTHER_NUMBERS = [None, True, "7", 3.4028234663852886e38, 1e39, -1e39, 10**400, -(10**30), 16777217]
typed_rows = st.lists(
    st.fixed_dictionaries(
        {
            "wind": st.one_of(st.floats(), st.integers(), st.sampled_from(OTHER_NUMBERS)),
            "gust": st.one_of(st.floats(width=32), st.sampled_from([math.nan, -1e39, 0])),
            "night": st.sampled_from([True, False, None, "maybe"]),
            "left": st.sampled_from(["2026-11-20", None, "2026-11-22T10:30Z"]),
            "origin": st.sampled_from(["Oslo", "Rome", "", None, "new", " ", 7, ["Oslo"]]),
        }
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("kinds", [KINDS | {"gust": "number"}, {"wind": "number"}, KINDS])
def test_rows_read_at_once_are_read_as_each_value_alone(kinds):
    features = fitted(frame(**{name: RAW.get(name, ["1", "2", "3", ""]) for name in kinds}), kinds)

    def attempt(transform, rows):
        try:
            found = transform(features, rows)
        except ValueRefusedError as exc:
            return str(exc)
        return found.numeric.dtype, found.numeric.tobytes(), found.categories.tolist()

    @settings(max_examples=40)
    @given(typed_rows)
    def same(rows):
        assert attempt(transform_rows, rows) == attempt(module._careful, rows)

    same()
    row = {"wind": 1, "gust": 2.5, "night": True, "left": None, "origin": "Oslo"}
    assert module._plain(features, [row]) is not None


def test_the_state_is_plain_json():
    document = json.loads(fitted().to_json())
    assert document["version"] == module.VERSION
    assert document["target"] == {"name": "late", "classes": ["no", "yes"]}
