"""Hyperband's rungs and brackets, and who is stopped at them."""

from collections import Counter

import pytest

from tidemill_local.sagemaker.tuning.hyperband import (
    ResourceError,
    Resources,
    first_rung,
    resources,
    unpromising,
)


def config(**given):
    return {"StrategyConfig": {"HyperbandStrategyConfig": given}}


@pytest.mark.parametrize(
    ("given", "statics", "epochs"),
    [
        (config(MinResource=2, MaxResource=9), {"epochs": "50"}, Resources(2, 9)),
        (config(MinResource=2), {"n-epochs": "50"}, Resources(2, 50)),
        ({}, {"num_epochs": "7"}, Resources(1, 7)),
    ],
)
def test_the_most_epochs_are_given_or_told_by_a_hyperparameter(given, statics, epochs):
    assert resources(given, {"StaticHyperParameters": statics}) == epochs


@pytest.mark.parametrize(
    ("given", "statics", "why"),
    [
        ({}, {"epochs": "many"}, "MaxResource is neither given nor told"),
        (config(MinResource=5, MaxResource=4), {}, r"between MinResource \(5\) and 20000"),
        (config(MaxResource=20_001), {}, "not be 20001"),
    ],
)
def test_epochs_that_cannot_be_meant_are_refused(given, statics, why):
    with pytest.raises(ResourceError, match=why):
        resources(given, {"StaticHyperParameters": statics})


def test_earlier_first_rungs_get_more_training_jobs():
    dealt = Counter(first_rung(number, Resources(2, 20)) for number in range(9 + 6 + 3))

    assert list(dealt) == [2, 6, 18]
    assert dealt[2] > dealt[6] >= dealt[18]
    assert first_rung(0, Resources(5, 5)) == first_rung(99, Resources(5, 5)) == 5


@pytest.mark.parametrize(
    ("epochs", "earlier", "stops"),
    [
        ([1.0], [], False),  # nobody to be compared with
        ([1.0], [[2.0]], True),
        ([3.0], [[2.0], [1.0]], False),
        ([2.0], [[3.0], [1.0], [1.0], [1.0], [1.0]], False),  # two of six go on
        ([2.0], [[3.0], [3.0], [1.0], [1.0], [1.0]], True),
        ([3.0, 0.0], [[2.0, 9.0]], False),  # the next rung is the third epoch
        ([3.0, 0.0, 0.0], [[2.0, 9.0, 9.0]], True),
        ([3.0, 0.0, 0.0], [[2.0, 9.0]], False),  # who has not got there does not count
        ([3.0] * 9 + [0.0], [[2.0] * 10], False),  # MaxResource is no rung
        ([], [[2.0]], False),
    ],
)
def test_who_is_not_among_the_best_third_stops_at_the_rung(epochs, earlier, stops):
    assert unpromising(epochs, earlier, 1, most=10, minimize=False) is stops
    mirrored = [[-value for value in job] for job in earlier]
    assert unpromising([-v for v in epochs], mirrored, 1, most=10, minimize=True) is stops
