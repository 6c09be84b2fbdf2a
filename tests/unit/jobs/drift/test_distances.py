import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.drift.distances import (
    FLOOR,
    Cdf,
    Counts,
    Distances,
    categorical,
    numeric,
    robust,
    share_changes,
)
from tidemill_jobs.drift.significance import (
    adjusted,
    chi_squared_tail,
    homogeneity,
    kolmogorov_tail,
    upper_gamma,
)
from tidemill_jobs.drift.undo import outside

SCIPY = json.loads(Path(__file__).with_name("scipy.json").read_text())  # tests/oracles made it

numbers = st.lists(
    st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-5, 5).map(float), min_size=1, max_size=60
)
counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 1_000), min_size=1)


def cdf(values):
    return Cdf(np.sort(np.array(values, float)), np.arange(1.0, len(values) + 1))


@pytest.mark.parametrize("case", SCIPY["gammas"])
def test_the_incomplete_gamma_function_is_scipys(case):
    assert upper_gamma(case["a"], case["x"]) == pytest.approx(case["upper"], rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("case", SCIPY["numbers"], ids=lambda case: case["name"])
def test_distances_of_numbers_are_scipys(case):
    found = numeric(cdf(case["was"]), cdf(case["now"]))

    assert found.ks == found.linf_simple == pytest.approx(case["ks"])
    assert found.wasserstein == pytest.approx(case["wasserstein"])
    if case["js"] is not None:
        assert found.js == pytest.approx(case["js"])


@pytest.mark.parametrize("case", SCIPY["tails"])
def test_the_tail_of_the_largest_difference_is_scipys(case):
    found = kolmogorov_tail(case["distance"], case["n"], case["m"])

    assert found == pytest.approx(case["p"], rel=0.15, abs=0.005)  # asymptotic


@pytest.mark.parametrize("case", SCIPY["counts"])
def test_chi_squared_of_two_samples_is_scipys(case):
    found = homogeneity(np.array(case["was"], float), np.array(case["now"], float))

    assert found == pytest.approx((case["chi2"], case["p"]), rel=1e-9)


@pytest.mark.parametrize("case", SCIPY["adjusted"])
def test_adjusted_p_values_are_scipys(case):
    found = adjusted({f"f{n}": p for n, p in enumerate(case["p"])})

    assert list(found.values()) == pytest.approx(case["adjusted"])


def test_a_feature_without_a_test_is_not_counted():
    assert adjusted({"a": 0.01, "b": math.nan}) == pytest.approx(
        {"a": 0.01, "b": math.nan}, nan_ok=True
    )


def test_a_p_value_of_more_than_two_degrees_of_freedom():
    """Deequ's newest takes exp(-x/2), which is right for two degrees of freedom only."""
    assert chi_squared_tail(5.991, 2) == pytest.approx(math.exp(-5.991 / 2))
    assert chi_squared_tail(18.307, 10) == pytest.approx(0.05, abs=1e-5)
    assert chi_squared_tail(math.inf, 3) == 0.0


def test_small_categories_are_merged_for_the_test():
    """Two rows in each second of 40 categories say nothing of any one of them."""
    sparse, even = np.repeat([[2.0, 0.0]], 20, axis=0).ravel(), np.full(40, 1.0)

    assert homogeneity(1_000 * even, sparse)[1] > 0.1
    assert homogeneity(1_000 * even, np.full(40, 10.0)) == pytest.approx((0, 1), abs=1e-9)


@pytest.mark.parametrize(
    ("was", "now"), [([100], [50]), ([95, 5], [19, 1]), ([0, 0], [5, 5]), ([], [])]
)
def test_no_test_without_two_categories_that_have_rows(was, now):
    assert all(map(math.isnan, homogeneity(np.array(was, float), np.array(now, float))))


@given(numbers)
def test_numbers_are_at_no_distance_from_themselves(values):
    found = numeric(cdf(values), cdf(values))

    assert found.ks == found.linf_robust == found.wasserstein == 0
    assert found.psi == found.js == pytest.approx(0, abs=1e-7)
    assert found.p_value == 1


@given(numbers, numbers)
def test_distances_of_numbers_keep_their_bounds_and_are_symmetric(was, now):
    one, other = numeric(cdf(was), cdf(now)), numeric(cdf(now), cdf(was))

    assert one.ks == pytest.approx(other.ks)
    assert one.wasserstein == pytest.approx(other.wasserstein)
    assert 0 <= one.linf_robust <= one.linf_simple <= 1
    assert 0 <= one.js <= 1
    assert 0 <= one.psi < math.inf
    assert 0 <= one.p_value <= 1


@given(numbers, numbers)
def test_a_repeated_value_is_as_good_as_its_weight(was, now):
    values, rows = np.unique(np.array(now, float), return_counts=True)

    weighted = numeric(cdf(was), Cdf(values, np.cumsum(rows).astype(float)))

    assert weighted.document() == pytest.approx(numeric(cdf(was), cdf(now)).document())


@given(counts)
def test_categories_are_at_no_distance_from_themselves(rows):
    found = categorical(Counts(rows), Counts(rows))

    assert found.linf_simple == found.linf_robust == 0
    assert found.psi == found.js == pytest.approx(0, abs=1e-7)
    assert math.isnan(found.chi2) or found.chi2 == pytest.approx(0, abs=1e-7)


@given(counts, counts)
def test_distances_of_categories_keep_their_bounds_and_are_symmetric(was, now):
    one, other = categorical(Counts(was), Counts(now)), categorical(Counts(now), Counts(was))

    assert one.document() == pytest.approx(other.document())
    assert 0 <= one.linf_robust <= one.linf_simple <= 1
    assert 0 <= one.js <= 1
    assert math.isnan(one.p_value) or 0 <= one.p_value <= 1


@given(counts, counts, st.integers(1, 8), st.integers(1, 8))
def test_what_a_list_leaves_out_never_adds_to_the_distance(was, now, kept, kept_now):
    def shortened(rows, length):
        ordered = sorted(rows.items(), key=lambda item: -item[1])
        left = [count for _, count in ordered[length:]]
        return Counts(dict(ordered[:length]), sum(left), max(left, default=0))

    found = categorical(shortened(was, kept), shortened(now, kept_now))

    assert found.linf_simple <= categorical(Counts(was), Counts(now)).linf_simple + 1e-12


def test_share_changes_have_their_direction():
    changes = share_changes(Counts({"a": 50, "b": 50}), Counts({"a": 75, "c": 25}))

    assert changes == pytest.approx({"a": 0.25, "b": -0.5, "c": 0.25})


def test_by_hand():
    """CDFs 1/2, 1 at 0 and 1 against 1/4, 1: a quarter apart, over a width of one."""
    found = numeric(cdf([0, 1]), cdf([0, 1, 1, 1]))

    assert (found.ks, found.wasserstein) == (0.25, 0.25)
    assert found.wasserstein_std == pytest.approx(0.5)
    assert found.linf_robust == 0

    lost = categorical(Counts({"a": 900, "b": 100}), Counts({"a": 1_000}))
    assert lost.linf_simple == pytest.approx(0.1)
    assert lost.linf_robust == pytest.approx(0.1 - 1.8 * math.sqrt(2_000 / 1e6))
    assert lost.psi == pytest.approx(
        0.1 * math.log(1 / 0.9) + (FLOOR - 0.1) * math.log(FLOOR / 0.1)
    )


def test_the_robust_distance_is_deequs():
    assert robust(0.5, 100, 400) == pytest.approx(0.5 - 1.8 * math.sqrt(500 / 40_000))


def test_a_constant_has_cells_below_and_above():
    """Deciles of a constant are one edge; a value below it must not fall into the same cell."""
    found = numeric(cdf([5] * 40), cdf([4] * 10 + [5] * 20 + [6] * 10))

    divergence = (math.log2(4 / 3) + 0.5 + 0.5 * math.log2(2 / 3)) / 2  # (0, 1, 0), (1, 2, 1) / 4
    assert found.js == pytest.approx(math.sqrt(divergence))
    assert found.wasserstein == pytest.approx(0.5)
    assert math.isnan(found.wasserstein_std)


def test_no_rows_no_distance():
    empty = Cdf(np.array([]), np.array([]))

    assert numeric(empty, cdf([1])).document() == {}
    assert categorical(Counts(), Counts({"a": 1})).document() == {}


def test_distances_are_read_as_they_were_written():
    found = numeric(cdf([1, 2, 3]), cdf([2, 3, 4]))

    assert Distances.parse(found.document()).document() == found.document()


def test_what_a_sketch_left_out_of_the_baseline_s_ends_is_inside():
    was, now = cdf(np.arange(10, 90)), cdf(np.linspace(200, 240, 100))
    assert outside(was, now, (10.0, 89.0)).low == 200
    assert outside(was, now, (0.0, 150.0)) is None
