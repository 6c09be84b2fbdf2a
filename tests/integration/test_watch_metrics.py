"""A watch's metrics: names that Model Monitor documents, and no more of them than asked for."""

import pytest

from tidemill.adapters.analyst import FeatureSeen, WindowSeen
from tidemill.adapters.watch_metrics import WORST, WatchMetrics

NOW = 1_795_168_800.0


class CloudWatch:
    """Takes metrics as CloudWatch does: no more than 1,000 at a time."""

    def __init__(self):
        self.requests = []

    def put_metric_data(self, *, Namespace, MetricData):
        assert len(MetricData) <= 1_000
        assert all(len(datum["MetricName"]) <= 255 for datum in MetricData)
        self.requests.append((Namespace, MetricData))


def feature(name, distance=0.1, **more):
    return FeatureSeen(name, 90, 100, distance, **more)


def window(*features, rows=100):
    return WindowSeen(rows, {}, (), {}, features)


def put(*seen, reported="worst", start=NOW):
    client = CloudWatch()
    windows = [(start + 3_600 * n, one) for n, one in enumerate(seen)]
    WatchMetrics(client).put(windows, endpoint="e", schedule="s", reported=reported, now=NOW)
    return [datum for _, data in client.requests for datum in data]


def names(data, prefix):
    return [
        d["MetricName"].removeprefix(prefix) for d in data if d["MetricName"].startswith(prefix)
    ]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [("worst", ["c9", "c8", "c7", "c6", "c5"]), ("all", [f"c{n}" for n in range(9, -1, -1)]),
     ("none", [])],
)  # fmt: skip
def test_the_farthest_features_have_metrics_of_their_own(reported, expected):
    data = put(window(*(feature(f"c{n}", n / 10) for n in range(10))), reported=reported)
    assert names(data, "feature_baseline_drift_") == expected
    assert names(data, "feature_non_null_") == expected
    (largest,) = (datum for datum in data if datum["MetricName"] == "baseline_drift_max")
    assert largest["Value"] == 0.9


def test_numbers_have_a_sum_and_text_has_none():
    numbers = {"low": -1.0, "high": 9.0, "sum": 360.0}
    data = put(window(feature("x", data=numbers), feature("colour")))
    (told,) = (datum for datum in data if datum["MetricName"] == "feature_data_x")
    assert told["StatisticValues"] == {
        "SampleCount": 90.0, "Sum": 360.0, "Minimum": -1.0, "Maximum": 9.0,
    }  # fmt: skip
    assert names(data, "feature_data_") == ["x"]


def test_what_cloudwatch_does_not_take_is_left_out():
    infinite = {"low": 0.0, "high": float("inf"), "sum": 1.0}
    data = put(window(feature("x", data=infinite), feature("y" * 300)))
    assert names(data, "feature_data_") == []
    assert put(window(feature("x")), start=NOW - 14 * 86_400) == [], "two weeks ago"


def test_a_feature_without_a_distance_comes_last():
    some = [feature(f"c{n}") for n in range(WORST)]
    data = put(window(feature("new", None), *some))
    assert "new" not in names(data, "feature_non_null_")


def test_a_window_without_rows_says_that_and_nothing_else():
    assert [datum["MetricName"] for datum in put(window(rows=0))] == ["rows", "drifted_features"]


def test_many_are_put_in_several_requests():
    wide = window(*(feature(f"c{n}") for n in range(1_200)))
    assert len(put(wide, reported="all")) == 3 + 2 * 1_200
