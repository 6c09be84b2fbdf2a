import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs.drift import Comparison, ComparisonError, DriftSettings, compare
from tidemill_jobs.profile import Profile, Profiler

ALL = DriftSettings()
ROWS = 2_000


def profile(frame, *more):
    profiler = Profiler()
    for batch in (pl.DataFrame(frame), *map(pl.DataFrame, more)):
        profiler.add(batch)
    return profiler.profile()


def rows(seed=1, count=ROWS):
    """Every kind of column there is."""
    random = np.random.default_rng(seed)
    return {
        "fare": random.gamma(2.0, 20.0, count),
        "seats": random.integers(1, 6, count),
        "plan": random.choice(["basic", "plus", "pro"], count, p=[0.6, 0.3, 0.1]),
        "member": random.choice([True, False], count),
    }


def feature(comparison, name):
    return next(one for one in comparison.features if one.feature == name)


def changed(**columns):
    return profile({**rows(2), **columns})


BASELINE = profile(rows(1, 20_000))


def found(current, name, baseline=BASELINE, settings=ALL):
    return {one.check: one for one in feature(compare(baseline, current, settings), name).findings}


def test_another_sample_of_the_same_has_not_drifted():
    comparison = compare(BASELINE, changed(), ALL)

    assert comparison.verdict == "same"
    assert {one.verdict for one in comparison.features} == {"same"}
    assert comparison.unclear(0.05) == ()


def test_a_distribution_that_moved_is_found_with_its_distances():
    comparison = compare(BASELINE, changed(fare=np.random.default_rng(3).gamma(4, 20, ROWS)), ALL)

    fare = feature(comparison, "fare")
    (finding,) = fare.findings
    assert finding.check == "baseline_drift_check"
    assert finding.value == fare.distance == fare.distances.linf_robust
    assert 0.1 < fare.distance < fare.distances.ks < 1
    assert fare.distances.p_value < 1e-9
    assert finding.sentence.startswith("'fare' is 0.4")
    assert comparison.drifted == {"fare": fare.distance}


def test_a_wasserstein_distance_is_in_the_deviation_of_the_rows_and_not_of_their_sketch():
    far_out = np.random.default_rng(4).standard_t(2.2, 100_000)  # a few rows make its deviation
    was, now = (profile(pl.DataFrame({"x": values})) for values in (far_out, far_out + 1))
    distances = feature(compare(was, now, ALL), "x").distances
    assert distances.wasserstein_std == pytest.approx(distances.wasserstein / far_out.std())


@pytest.mark.parametrize("distance", ["simple", "robust"])
def test_the_distance_of_the_settings_decides(distance):
    settings = DriftSettings(distance=distance)

    fare = feature(compare(BASELINE, changed(), settings), "fare")

    assert fare.distance == getattr(fare.distances, f"linf_{distance}")


def test_shares_of_categories_that_moved_are_found():
    plan = np.random.default_rng(3).choice(["basic", "plus", "pro"], ROWS, p=[0.3, 0.3, 0.4])

    findings = found(changed(plan=plan), "plan")

    assert set(findings) == {"baseline_drift_check"}
    assert findings["baseline_drift_check"].value == pytest.approx(0.3 - 0.04, abs=0.03)


def test_unknown_categories_are_found_by_their_share_and_gone_ones_are_named():
    plan = np.random.default_rng(3).choice(["basic", "plus", "free", "Pro"], ROWS)
    comparison = compare(BASELINE, changed(plan=plan), ALL)

    one = feature(comparison, "plan")
    assert one.new.keys() == {"free", "Pro"}
    assert one.gone == pytest.approx({"pro": 0.1}, abs=0.01)
    finding = next(one for one in one.findings if one.check == "categorical_values_check")
    assert finding.value == pytest.approx(0.5, abs=0.05)
    assert "'free'" in finding.sentence


def test_by_chi_squared_a_small_change_of_shares_is_drift_and_noise_is_none():
    settings = DriftSettings(categorical="ChiSquared")
    plan = np.random.default_rng(3).choice(["basic", "plus", "pro"], ROWS, p=[0.5, 0.4, 0.1])

    assert found(changed(), "plan", settings=settings) == {}
    assert (
        "chi-squared"
        in found(changed(plan=plan), "plan", settings=settings)["baseline_drift_check"].sentence
    )


def test_of_many_features_none_drifts_by_chance():
    """Of 60 features without drift some have p < 0.05; adjusted, none has."""
    random = np.random.default_rng(5)

    def many(count):
        return profile({f"c{n}": random.choice(list("abcd"), count) for n in range(60)})

    comparison = compare(many(2_000), many(600), DriftSettings(categorical="ChiSquared"))

    assert min(one.distances.p_value for one in comparison.features) < 0.05
    assert comparison.findings == ()


@pytest.mark.parametrize(("missing", "violated"), [(0.03, False), (0.2, True), (1.0, True)])
def test_values_that_are_missing_are_found(missing, violated):
    fare = np.where(np.random.default_rng(4).random(ROWS) < missing, np.nan, rows(2)["fare"])

    findings = found(changed(fare=fare), "fare")

    assert ("completeness_check" in findings) is violated
    if violated:
        assert findings["completeness_check"].value == pytest.approx(1 - missing, abs=0.05)
        assert "is missing in" in findings["completeness_check"].sentence


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("fare", [f"{n},5" for n in range(ROWS)], "100 % are text"),
        ("seats", np.arange(ROWS) + 0.5, "100 % are fractions"),
        ("seats", [True, False] * (ROWS // 2), "100 % are true or false"),
        ("plan", np.arange(ROWS) % 3, "100 % are whole numbers"),
        ("member", ["yes", "no"] * (ROWS // 2), "100 % are text"),
        ("fare", [math.inf] * ROWS, "100 % are infinite or too large numbers"),
    ],
)
def test_a_type_that_changed_is_found(column, values, words):
    finding = found(changed(**{column: values}), column)["data_type_check"]

    assert finding.value == pytest.approx(1)
    assert words in finding.sentence


def test_a_fraction_that_is_whole_is_no_other_type():
    assert "data_type_check" not in found(changed(fare=np.arange(ROWS)), "fare")


def test_columns_come_and_go():
    frame = rows(2)
    frame["fee"] = frame.pop("fare")

    comparison = compare(BASELINE, profile(frame), ALL)

    assert feature(comparison, "fare").verdict == "missing"
    assert feature(comparison, "fee").verdict == "extra"
    assert [one.check for one in comparison.findings] == [
        "missing_column_check",
        "extra_column_check",
    ]
    assert comparison.drifted == {"fare": 1.0}


def test_a_column_more_is_no_drift():
    comparison = compare(BASELINE, changed(fee=[1] * ROWS), ALL)

    assert comparison.verdict == "same"
    assert [one.check for one in comparison.findings] == ["extra_column_check"]


def test_ignored_features_are_not_looked_at():
    settings = DriftSettings(ignore=("fare", "fee"))

    comparison = compare(BASELINE, changed(fare=[1.0] * ROWS, fee=[1] * ROWS), settings)

    assert {one.feature for one in comparison.features} == {"seats", "plan", "member"}
    assert comparison.findings == ()


@pytest.mark.parametrize("count", [0, 1, 499])
def test_too_few_rows_are_a_verdict(count):
    comparison = compare(BASELINE, profile({**rows(2, count), "fare": [9e9] * count}), ALL)

    assert comparison.verdict == "too_few_rows"
    assert {one.verdict for one in comparison.features} == {"too_few_rows"}
    assert feature(comparison, "fare").note == f"there are {count} rows, and a verdict takes 500"
    assert set(comparison.unclear(0.05)) == {"fare", "seats", "plan", "member"}


def test_no_rows_at_all_lack_no_column():
    assert compare(BASELINE, Profile(), ALL).verdict == "too_few_rows"


def test_a_column_missing_in_few_rows_is_missing():
    comparison = compare(BASELINE, profile({"fare": [1.0]}), ALL)

    assert [one.check for one in comparison.findings] == ["missing_column_check"] * 3


def test_a_baseline_of_few_rows_gives_no_verdict():
    comparison = compare(profile(rows(1, 100)), changed(), ALL)

    assert comparison.verdict == "too_few_rows"
    assert "the baseline has 100 rows" in comparison.features[0].note


def test_a_feature_present_in_few_rows_has_no_verdict_of_its_own():
    fare = [1e9] * 20 + [None] * (ROWS - 20)
    baseline = profile({**rows(1), "fare": [1.0, None] * (ROWS // 2)})

    one = feature(compare(baseline, changed(fare=fare), DriftSettings(completeness_drop=1)), "fare")

    assert one.verdict == "too_few_rows"


def test_constants():
    constant = profile({**rows(1), "fare": [7.5] * ROWS, "plan": ["pro"] * ROWS})

    same = compare(constant, changed(fare=[7.5] * ROWS, plan=["pro"] * ROWS), ALL)
    assert feature(same, "fare").verdict == feature(same, "plan").verdict == "constant"
    assert same.unclear(0.05) == ()
    other = compare(constant, changed(fare=[8.5] * ROWS), ALL)
    assert feature(other, "fare").distance > 0.9
    assert feature(other, "plan").verdict == "drifted"


def test_a_feature_that_was_empty():
    empty = profile({**rows(1), "fare": pl.Series([None] * ROWS, dtype=pl.Float64)})

    assert "was empty" in found(changed(), "fare", empty)["baseline_drift_check"].sentence
    assert found(changed(fare=[None] * ROWS), "fare", empty) == {}


def test_times_move_on_and_are_no_drift():
    def at(year):
        return [f"{year}-01-{1 + n % 28:02}T10:00:00Z" for n in range(ROWS)]

    baseline = profile({"at": at(2025), **rows(1)})

    one = feature(compare(baseline, changed(at=at(2026)), ALL), "at")

    assert one.verdict == "not_judged"
    assert "times" in one.note


def test_names_of_single_rows_are_no_categories():
    baseline = profile({"id": [f"a{n}" for n in range(ROWS)], **rows(1)})

    one = feature(compare(baseline, changed(id=[f"b{n}" for n in range(ROWS)]), ALL), "id")

    assert one.verdict == "not_judged"


def test_a_feature_of_more_categories_than_are_counted():
    """Their list is cut: what is not listed is no new category, and no distance either."""
    named = pl.Series(range(200_000)).cast(pl.String) + "p"
    often = pl.Series(["front page"] * 50_000)
    baseline = profile({"page": pl.concat([named, named, often])})
    window = pl.concat([named.sample(4_000, seed=1), often.head(500)])

    same = feature(compare(baseline, profile({"page": window}), ALL), "page")
    moved = pl.concat([window, pl.Series(["landing"] * 4_500)])
    new = feature(compare(baseline, profile({"page": moved}), ALL), "page")

    assert (same.verdict, same.new) == ("same", {})
    assert same.distance < 0.02
    assert new.new == pytest.approx({"landing": 0.5}, abs=1e-3)


@settings(max_examples=5)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_in_which_parts_merge_does_not_matter(order, other):
    parts = [profile(rows(seed, 700)) for seed in range(4)]
    one, same = Profile(), Profile()
    for place, other_place in zip(order, other, strict=True):
        one, same = one.merge(parts[place]), same.merge(parts[other_place])

    first, second = (compare(BASELINE, merged, ALL) for merged in (one, same))

    for feature_of, feature_in in zip(
        first.features, sorted(second.features, key=lambda f: f.feature), strict=False
    ):
        pair = feature(second, feature_of.feature)
        assert feature_of.verdict == pair.verdict
        assert feature_of.distances.ks == pytest.approx(pair.distances.ks, abs=0.002, nan_ok=True)
        assert feature_in.verdict == "same"


def test_a_comparison_is_read_as_it_was_written():
    comparison = compare(BASELINE, changed(plan=["x"] * ROWS, fare=[None] * ROWS), ALL)

    text = json.dumps(comparison.document(), allow_nan=False)

    assert json.dumps(Comparison.parse(json.loads(text)).document()) == text
    assert Comparison.parse(json.loads(text)).drifted == comparison.drifted


@pytest.mark.parametrize("document", [None, [], {}, {"version": 2}, {"version": 1, "rows": 3}])
def test_what_is_no_comparison_is_said(document):
    with pytest.raises(ComparisonError, match="compar"):
        Comparison.parse(document)


def test_settings_are_those_of_the_spec():
    """What the compiled spec says beside them is the watch's own."""
    document = {"distance": "simple", "threshold": 0.2, "cooldown_seconds": 5, "ignore": ["a"]}

    assert DriftSettings.of(document) == DriftSettings("simple", 0.2, ignore=("a",))


def test_nothing_of_a_window_is_in_its_baseline():
    """A baseline of an older schema: every column is gone or extra, and it is all said."""
    comparison = compare(profile({"old": [1] * ROWS}), changed(), ALL)

    assert {one.verdict for one in comparison.features} == {"missing", "extra"}
    assert comparison.verdict == "drifted"
