"""Model Monitor's three files, written from profiles."""

import itertools
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.drift.findings import DriftSettings, Finding
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text, violations
from tidemill_jobs.monitor.constraints import DOMAIN
from tidemill_jobs.monitor.statistics import buckets
from tidemill_jobs.profile import Kll, Profiler

CONFIG = monitoring_config(DriftSettings())


def profiled(frame, **kinds):
    profiler = Profiler(kinds or None)
    profiler.add(pl.DataFrame(frame))
    return profiler.profile()


def feature(document, name):
    (found,) = [entry for entry in document["features"] if entry["name"] == name]
    return found


def test_numbers_have_moments_ten_buckets_and_the_sketch():
    document = statistics(profiled({"age": [0, 1, 2, 3, 3, 10, None, None]}))

    assert (document["version"], document["dataset"]) == (0.0, {"item_count": 8})
    age = feature(document, "age")
    assert age["inferred_type"] == "Integral"
    numbers = age["numerical_statistics"]
    assert numbers["common"] == {"num_present": 6, "num_missing": 2}
    assert (numbers["mean"], numbers["sum"]) == (pytest.approx(19 / 6), 19.0)
    assert numbers["std_dev"] == pytest.approx(np.std([0, 1, 2, 3, 3, 10]))
    assert (numbers["min"], numbers["max"]) == (0, 10)
    kll = numbers["distribution"]["kll"]
    assert [entry["count"] for entry in kll["buckets"]] == [1, 1, 1, 2, 0, 0, 0, 0, 0, 1]
    assert kll["buckets"][3] == {"lower_bound": 3.0, "upper_bound": 4.0, "count": 2.0}
    assert kll["sketch"] == {
        "parameters": {"c": 0.64, "k": 2048.0},
        "data": [[0.0, 1.0, 2.0, 3.0, 3.0, 10.0]],
    }


def test_text_has_the_rows_of_each_category():
    document = statistics(profiled({"plan": ["b", "a", "b", "", None, "b"]}))

    plan = feature(document, "plan")
    assert plan["inferred_type"] == "String"
    assert plan["string_statistics"] == {
        "common": {"num_present": 4, "num_missing": 2},
        "distinct_count": 2.0,
        "distribution": {
            "categorical": {"buckets": [{"value": "b", "count": 3}, {"value": "a", "count": 1}]}
        },
    }


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([None, None], "Unknown"),
        ([True, False], "String"),
        (["2026-01-01", "2026-01-02"], "String"),
        (["1", "2"], "Integral"),
        ([1.0, 2.0], "Integral"),
        ([1.0, 2.5], "Fractional"),
    ],
)
def test_every_kind_of_column_can_be_written(cells, expected):
    profile = profiled({"a": cells})

    for document in (statistics(profile), constraints(profile, CONFIG)):
        assert feature(document, "a")["inferred_type"] == expected
        assert json.loads(to_text(document)) == document


def test_a_declared_category_is_text_even_if_its_cells_are_numbers():
    profile = profiled({"zip": ["10115", "20095", "10115"]}, zip="category")

    found = feature(statistics(profile), "zip")["string_statistics"]
    assert found["distribution"]["categorical"]["buckets"][0] == {"value": "10115", "count": 2}


def test_a_column_of_infinities_only_has_no_moments():
    found = feature(statistics(profiled({"a": [np.inf, -np.inf]})), "a")

    assert found["numerical_statistics"] == {"common": {"num_present": 2, "num_missing": 0}}


@given(
    st.lists(st.floats(-3e38, 3e38), min_size=1, max_size=200),
    st.sampled_from([8, 2048]),
)
def test_buckets_are_ten_side_by_side_and_hold_every_value(values, k):
    ordered = np.sort(np.array(values))
    found = buckets(Kll.of(ordered, k), float(ordered[0]), float(ordered[-1]))

    assert len(found) == 10
    assert sum(entry["count"] for entry in found) == pytest.approx(len(values))
    assert all(entry["count"] >= 0 for entry in found)
    assert found[0]["lower_bound"] == ordered[0]
    assert found[-1]["upper_bound"] == ordered[-1]
    for one, other in itertools.pairwise(found):
        assert one["upper_bound"] == other["lower_bound"]


@pytest.mark.parametrize("value", [7.0, -7.0, 0.1, 1e-320])
def test_one_value_is_in_the_last_bucket_as_in_deequ(value):
    found = buckets(Kll.of(np.full(5, value)), value, value)

    assert [entry["count"] for entry in found] == [0.0] * 9 + [5.0]


def test_the_sketch_as_data_has_the_quantiles_of_the_numbers():
    values = np.random.default_rng(1).normal(size=100_000)
    kll = feature(statistics(profiled({"a": values})), "a")["numerical_statistics"]["distribution"]

    data = kll["kll"]["sketch"]["data"]
    weights = np.concatenate([np.full(len(kept), 2**at) for at, kept in enumerate(data)])
    kept = np.concatenate([np.array(part) for part in data])
    assert weights.sum() == len(values)
    for at in (0.05, 0.5, 0.95):
        bound = np.quantile(values, at)
        assert weights[kept <= bound].sum() / len(values) == pytest.approx(at, abs=0.002)


def test_constraints_are_suggested_from_what_was_seen():
    profile = profiled(
        {
            "wind": [0.0, 1.5, None, 3.0],
            "delta": [-1, 0, 1, 2],
            "plan": ["b", "a", "b", "a"],
            "empty": [None] * 4,
        }
    )

    document = constraints(profile, CONFIG)

    assert document["features"] == [
        {
            "name": "wind",
            "inferred_type": "Fractional",
            "completeness": 0.75,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "delta",
            "inferred_type": "Integral",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": False},
        },
        {
            "name": "plan",
            "inferred_type": "String",
            "completeness": 1.0,
            "string_constraints": {"domains": ["a", "b"]},
        },
        {"name": "empty", "inferred_type": "Unknown", "completeness": 0.0},
    ]


@pytest.mark.parametrize(("categories", "listed"), [(DOMAIN, True), (DOMAIN + 1, False)])
def test_only_few_categories_are_a_domain(categories, listed):
    profile = profiled({"plan": [f"p{number}" for number in range(categories)]})

    found = feature(constraints(profile, CONFIG), "plan")
    assert ("string_constraints" in found) is listed


def test_a_profile_without_rows_can_be_written():
    profile = profiled({"a": pl.Series([], dtype=pl.String)})

    assert feature(constraints(profile, {}), "a")["completeness"] == 0.0
    assert statistics(profile)["dataset"] == {"item_count": 0}


def test_the_thresholds_are_the_specs_and_our_comparisons():
    settings = DriftSettings(distance="simple", threshold=0.25, type_share=0.25)

    assert monitoring_config(settings, emits_metrics=False) == {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Disabled",
        "datatype_check_threshold": 0.75,
        "domain_content_threshold": 0.9,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.25,
            "comparison_method": "Simple",
            "categorical_comparison_threshold": 0.25,
            "categorical_drift_method": "LInfinity",
        },
    }


def test_violations_are_the_findings_in_their_order():
    findings = [
        Finding("fare", "baseline_drift_check", 0.4, 0.1, "the distance 0.4 is above 0.1"),
        Finding("plan", "categorical_values_check", 0.12, 0.1, "12 % of the rows are others"),
    ]

    assert violations(findings) == {
        "violations": [
            {
                "feature_name": "fare",
                "constraint_check_type": "baseline_drift_check",
                "description": "the distance 0.4 is above 0.1",
            },
            {
                "feature_name": "plan",
                "constraint_check_type": "categorical_values_check",
                "description": "12 % of the rows are others",
            },
        ]
    }
    assert violations([]) == {"violations": []}


def test_nan_never_reaches_a_file():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_text({"value": float("nan")})
