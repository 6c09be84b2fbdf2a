"""What a tuning job makes of its training jobs' objectives."""

import pytest

from tidemill_local.sagemaker.tuning.rules import (
    better,
    comparable,
    hopeless,
    not_improving,
    objective_value,
    unpromising,
)


@pytest.mark.parametrize(
    ("values", "minimize", "count"),
    [
        ([], False, 0),
        ([1.0], False, 0),
        ([1.0, 2.0, 2.01, 2.0], False, 2),  # 2.01 is no percent better than 2
        ([1.0, 2.0, 2.02], False, 0),
        ([2.0, 1.0, 1.5, 0.995], True, 2),
        ([2.0, 1.0, 0.5], True, 0),
        ([0.0, 0.0, 0.0], False, 2),
        ([-2.0, -1.0, -1.0], False, 1),
    ],
)
def test_what_does_not_improve_by_a_percent_is_counted(values, minimize, count):
    assert not_improving(values, minimize=minimize) == count


def test_better_is_less_or_more():
    assert better(1, 2, minimize=True)
    assert better(2, 1, minimize=False)
    assert not better(1, 1, minimize=True)


@pytest.mark.parametrize(
    ("epochs", "minimize", "stops"),
    [
        ([], True, False),
        ([0.5], True, False),  # the median of 1.0, 0.8, 0.9 is 0.9
        ([0.95], True, True),
        ([0.95], False, False),
        ([0.85], False, True),
        ([0.9], True, False),
        ([2.0, 0.95], True, True),  # running averages of two epochs: 0.75, 0.6, 0.85
        ([2.0, 0.7], True, False),
        ([1.0, 1.0, 1.0], True, False),  # only two came so far
    ],
)
def test_a_job_worse_than_the_median_of_earlier_averages_stops(epochs, minimize, stops):
    earlier = [[1.0, 0.5, 0.3], [0.8, 0.4], [0.9, 0.8, 0.7]]

    assert unpromising(epochs, earlier, minimize=minimize) is stops


def test_two_earlier_jobs_are_too_few_to_judge_by():
    assert not unpromising([9.0], [[1.0], [1.0]], minimize=True)


def test_five_failures_and_no_success_are_enough():
    assert not hopeless(4, 0, 10)
    assert hopeless(5, 0, 10)
    assert not hopeless(5, 1, 10)
    assert hopeless(2, 0, 2)


def test_the_objective_is_the_last_value_of_its_metric():
    job = {
        "FinalMetricDataList": [
            {"MetricName": "loss", "Value": 3.0},
            {"MetricName": "auc", "Value": 0.5},
            {"MetricName": "broken", "Value": float("nan")},
        ]
    }
    assert objective_value(job, "auc") == 0.5
    assert objective_value(job, "broken") is None
    assert objective_value(job, "other") is None
    assert objective_value({}, "auc") is None


def test_values_of_other_sizes_are_made_comparable():
    assert comparable([1.0, 3.0]) == comparable([100.0, 300.0]) == [-1.0, 1.0]
    assert comparable([5.0, 5.0]) == [0.0, 0.0]
    assert comparable([]) == []
