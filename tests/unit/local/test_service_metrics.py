import json

import pytest

from tidemill_local.engine.service_metrics import embedded

DIRECTIVE = {
    "Namespace": "Tidemill",
    "Dimensions": [["stack"], ["stack", "verdict"]],
    "Metrics": [{"Name": "Uploads", "Unit": "Count"}],
}


def line(directive=DIRECTIVE, **values):
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **values})


def test_each_value_and_each_set_of_dimensions_is_a_datapoint():
    found = list(embedded(line(stack="s", verdict="accept", Uploads=[2, 3])))
    assert found == [
        ("Tidemill", "Uploads", 2, "Count", {"stack": "s"}),
        ("Tidemill", "Uploads", 3, "Count", {"stack": "s"}),
        ("Tidemill", "Uploads", 2, "Count", {"stack": "s", "verdict": "accept"}),
        ("Tidemill", "Uploads", 3, "Count", {"stack": "s", "verdict": "accept"}),
    ]


def test_a_metric_without_dimensions_or_unit_has_none():
    bare = {"Namespace": "N", "Metrics": [{"Name": "M"}]}
    assert list(embedded(line(bare, M=1))) == [("N", "M", 1, "None", {})]


@pytest.mark.parametrize(
    "text",
    [
        "no JSON: CloudWatchMetrics",
        '["CloudWatchMetrics"]',
        '{"_aws": {"CloudWatchMetrics": [{"Metrics": 1}]}}',
        line(),  # names a metric that it does not have
    ],
)
def test_any_other_line_is_a_line(text):
    assert list(embedded(text)) == []
