"""What is tried next: ranges and their scales, Random, Grid and Bayesian search."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.sagemaker.tuning.bayesian import Trial, suggest
from tidemill_local.sagemaker.tuning.search import (
    RangeError,
    at_random,
    combinations,
    from_grid,
    parameters,
)

SHARES = st.floats(0, 1, exclude_max=True)


def integer(name="n", low=1, high=10, scale="Linear"):
    item = {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
    return {"IntegerParameterRanges": [item]}


def continuous(name="x", low=0.0, high=1.0, scale="Linear"):
    item = {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
    return {"ContinuousParameterRanges": [item]}


def categorical(name="c", values=("a", "b")):
    return {"CategoricalParameterRanges": [{"Name": name, "Values": list(values)}]}


@given(
    SHARES,
    st.tuples(st.integers(1, 1000), st.integers(0, 1000)),
    st.sampled_from(["Auto", "Linear", "Logarithmic"]),
)
def test_an_integer_stays_in_its_range(share, ends, scale):
    low, high = ends[0], sum(ends)
    (parameter,) = parameters(integer(low=low, high=high, scale=scale))

    assert low <= int(parameter.at(share)) <= high
    assert parameter.fits(parameter.at(share))


@given(
    SHARES,
    st.tuples(st.floats(1e-9, 0.9), st.floats(0, 0.09)),
    st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]),
)
def test_a_number_stays_in_its_range(share, ends, scale):
    low, high = ends[0], sum(ends)
    (parameter,) = parameters(continuous(low=low, high=high, scale=scale))

    assert low <= float(parameter.at(share)) <= high
    assert parameter.fits(parameter.at(share))


def test_each_integer_and_category_has_its_share():
    (number,) = parameters(integer(low=-1, high=2))
    (category,) = parameters(categorical(values=["a", "b", "a"]))

    assert [number.at(share / 8) for share in range(8)] == [
        *("-1", "-1", "0", "0", "1", "1", "2", "2"),
    ]
    assert [category.at(share / 4) for share in range(4)] == ["a", "a", "b", "b"]


def test_half_of_a_scale_is_where_the_scale_says():
    assert float(parameters(continuous(low=0, high=10))[0].at(0.5)) == 5
    (logarithmic,) = parameters(continuous(low=1e-4, high=1, scale="Logarithmic"))
    assert float(logarithmic.at(0.5)) == pytest.approx(1e-2)
    (reverse,) = parameters(continuous(low=0, high=0.9999, scale="ReverseLogarithmic"))
    assert float(reverse.at(0.5)) == pytest.approx(0.99)
    (auto,) = parameters(continuous(low=1e-4, high=1, scale="Auto"))
    assert auto.scale == "Logarithmic"


@pytest.mark.parametrize(
    ("ranges", "why"),
    [
        ({}, "at least one range"),
        (integer(low=5, high=4), "the range of n is empty"),
        (integer(low="a"), "not of integer numbers"),
        (integer(low="1.5"), "not of integer numbers"),
        (continuous(low="nan"), "is empty"),
        (continuous(high="inf"), "is empty"),
        (continuous(scale="Logarithmic"), "only values greater than 0"),
        (integer(low=0, scale="Logarithmic"), "only values greater than 0"),
        (continuous(scale="ReverseLogarithmic"), "entirely within"),
        (integer(low=0, high=0, scale="ReverseLogarithmic"), "continuous ranges"),
        (integer("a") | continuous("a"), "repeated: a"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(ranges, why):
    with pytest.raises(RangeError, match=why):
        parameters(ranges)


def test_a_grid_has_each_combination_once():
    ranges = parameters(
        {
            "CategoricalParameterRanges": [
                {"Name": "a", "Values": ["1", "2"]},
                {"Name": "b", "Values": ["x", "y", "z"]},
            ]
        }
    )
    assert combinations(ranges) == 6
    grid = [from_grid(ranges, number) for number in range(6)]
    assert {(values["a"], values["b"]) for values in grid} == {(a, b) for a in "12" for b in "xyz"}


def test_random_draws_repeat_by_seed_and_do_not_repeat_within_a_search():
    ranges = parameters(integer(low=1, high=3) | categorical())
    assert combinations(ranges) == 6
    assert math.isinf(combinations(parameters(continuous())))

    def search():
        tried = []
        for number in range(6):
            tried.append(at_random(ranges, tried, f"7/{number}"))
        return tried

    first = search()
    assert first == search()
    assert len({tuple(values.items()) for values in first}) == 6


def bowl(values):
    return (float(values["x"]) - 0.3) ** 2 + 0.1 * abs(math.log10(float(values["y"])) + 2)


def test_bayesian_search_learns_where_the_best_lies():
    y = continuous("y", 1e-4, 1, "Logarithmic")["ContinuousParameterRanges"]
    ranges = parameters(
        {"ContinuousParameterRanges": continuous()["ContinuousParameterRanges"] + y}
    )
    trials = []
    for number in range(20):
        values = suggest(ranges, trials, minimize=True, seed=f"1/{number}")
        assert values == suggest(ranges, trials, minimize=True, seed=f"1/{number}")
        trials.append(Trial(values, bowl(values)))

    found = [trial.objective for trial in trials]
    assert sorted(found[10:])[5] < sorted(found[:5])[2]
    assert min(found) < 0.06


def test_bayesian_search_takes_all_kinds_and_does_not_repeat_itself():
    ranges = parameters(
        integer(low=1, high=2, scale="Logarithmic")
        | categorical()
        | continuous(low=0, high=0, scale="ReverseLogarithmic")
    )
    trials = [
        Trial({"n": "9", "c": "a", "x": "0.0"}, 0.0),  # of a parent's wider range
        Trial({"n": "1", "c": "a", "x": "0.0"}, 1.0),
        Trial({"n": "2", "c": "a", "x": "0.0"}, 2.0),
        Trial({"n": "1", "c": "a", "x": "0.0"}, 3.0),
        Trial({"n": "1", "c": "b", "x": "0.0"}, failed=True),
    ]

    found = suggest(ranges, trials, minimize=False, seed="1")

    assert found == {"n": "2", "c": "b", "x": "0.0"}
    running = [*trials, Trial(found)]
    assert all(p.fits(suggest(ranges, running, minimize=False, seed="1")[p.name]) for p in ranges)
