"""What CloudWatch is told of invocations."""

import pytest

from tidemill_local.sagemaker.hosting.metrics import Measured, metric_data

NOW = 1_000_000.0


def measured(status=200, model=1000.0, overhead=200.0, variant="A", config="c"):
    return Measured("e", config, variant, status, model, overhead)


def told(data, name, *, config=False):
    """Return values and counts of a metric, with or without EndpointConfigName."""
    (found,) = [
        each
        for each in data
        if each["MetricName"] == name and (len(each["Dimensions"]) == 3) == config
    ]
    return dict(zip(found["Values"], found["Counts"], strict=True))


def test_every_metric_comes_by_variant_and_by_configuration():
    data = list(metric_data([measured(), measured(), measured(500)], NOW))

    assert {each["MetricName"] for each in data} == {
        "Invocations",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "InvocationModelErrors",
        "ModelLatency",
        "OverheadLatency",
    }
    names = {tuple(d["Name"] for d in each["Dimensions"]) for each in data}
    assert names == {
        ("EndpointName", "VariantName"),
        ("EndpointName", "VariantName", "EndpointConfigName"),
    }
    for config in (False, True):
        assert told(data, "Invocations", config=config) == {1.0: 3.0}
        assert told(data, "Invocation5XXErrors", config=config) == {0.0: 2.0, 1.0: 1.0}
        assert told(data, "Invocation4XXErrors", config=config) == {0.0: 3.0}
        assert told(data, "InvocationModelErrors", config=config) == {0.0: 2.0, 1.0: 1.0}
    assert {each["Timestamp"] for each in data} == {NOW}


def test_a_container_that_does_not_answer_is_an_error_without_a_latency():
    data = list(metric_data([measured(0)], NOW))

    assert told(data, "Invocation5XXErrors") == {1.0: 1.0}
    assert told(data, "Invocation4XXErrors") == {0.0: 1.0}
    assert told(data, "InvocationModelErrors") == {1.0: 1.0}
    assert not [each for each in data if "Latency" in each["MetricName"]]


def test_many_latencies_are_thinned_out_but_their_ends_and_their_number_stay():
    data = list(metric_data([measured(model=float(value)) for value in range(1, 1001)], NOW))

    latency = told(data, "ModelLatency")
    assert len(latency) == 8
    assert (min(latency), max(latency)) == (1.0, 1000.0)
    assert sum(latency.values()) == 1000
    average = sum(value * count for value, count in latency.items()) / 1000
    assert average == pytest.approx(500.5, rel=0.05)


def test_variants_and_configurations_are_kept_apart():
    data = list(metric_data([measured(), measured(variant="B"), measured(config="d")], NOW))

    assert sum(each["MetricName"] == "Invocations" for each in data) == 6
