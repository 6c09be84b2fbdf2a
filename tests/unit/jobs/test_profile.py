import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.profile import columns as module
from tidemill_jobs.profile.columns import ColumnProfile


def test_a_numbers_profile():
    profile = ColumnProfile.of(pl.Series([1.0, 2.0, None, 6.0]), "number").document()

    assert profile == {
        "kind": "number",
        "inferred_type": "Integral",
        "num_present": 3,
        "num_missing": 1,
        "mean": 3.0,
        "sum": 9.0,
        "std_dev": pytest.approx(math.sqrt(14 / 3)),
        "min": 1.0,
        "max": 6.0,
    }
    assert ColumnProfile.of(pl.Series([0.5]), "number").document()["inferred_type"] == "Fractional"


def test_a_categorys_profile_orders_ties_by_name():
    profile = ColumnProfile.of(pl.Series(["b", "a", "c", "c", None]), "category").document()

    assert profile["distinct_count"] == 3
    assert profile["top"] == [
        {"value": "c", "count": 2},
        {"value": "a", "count": 1},
        {"value": "b", "count": 1},
    ]


def test_booleans_are_counted_by_name():
    profile = ColumnProfile.of(pl.Series([True, False, True]), "boolean").document()
    assert profile["top"][0] == {"value": "true", "count": 2}


def test_an_empty_column_has_an_unknown_type():
    profile = ColumnProfile.of(pl.Series([None], dtype=pl.Float64), "number").document()
    assert (profile["inferred_type"], profile["num_missing"]) == ("Unknown", 1)
    assert "mean" not in profile


def test_a_large_mean_cancels_nothing():
    values = [1e9 + (number % 3 - 1) for number in range(3_000)]
    merged = ColumnProfile.of(pl.Series(values[:7]), "number")
    for start in range(7, 3_000, 1_000):
        merged = merged.merge(ColumnProfile.of(pl.Series(values[start : start + 1_000]), "number"))

    assert merged.moments.std_dev == pytest.approx(math.sqrt(2 / 3), rel=1e-6)


def test_too_many_categories_are_cut_and_the_count_is_not_claimed(monkeypatch):
    monkeypatch.setattr(module, "DISTINCT", 2)
    profile = ColumnProfile.of(pl.Series(["a", "a", "b", "b", "c"]), "category")
    assert profile.document()["distinct_count"] is None
    merged = ColumnProfile.of(pl.Series(["a"]), "category").merge(
        ColumnProfile.of(pl.Series(["b", "c", "c"]), "category")
    )
    assert dict(merged.counts) == {"c": 2, "a": 1}
    assert not merged.complete


floats = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=30)


@given(floats, floats)
def test_merging_is_profiling_the_whole(left, right):
    def of(cells):
        return ColumnProfile.of(pl.Series(cells, dtype=pl.Float64), "number")

    merged, whole = of(left).merge(of(right)), of(left + right)

    assert (merged.present, merged.missing, merged.low, merged.high, merged.integral) == (
        whole.present,
        whole.missing,
        whole.low,
        whole.high,
        whole.integral,
    )
    assert merged.moments.mean == pytest.approx(whole.moments.mean, rel=1e-9, abs=1e-6)
    assert merged.moments.std_dev == pytest.approx(whole.moments.std_dev, rel=1e-6, abs=1e-3)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("cde")))
def test_merging_counts_adds_them(left, right):
    def of(cells):
        return ColumnProfile.of(pl.Series(cells, dtype=pl.String), "category")

    assert of(left).merge(of(right)).document() == of(left + right).document()
