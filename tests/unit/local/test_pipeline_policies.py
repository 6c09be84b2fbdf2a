"""Retry policies, cache configurations and typed outputs of pipeline steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.sagemaker.pipelines.outputs import Output, OutputError, as_texts, read_outputs
from tidemill_local.sagemaker.pipelines.policies import (
    PolicyError,
    read_cache,
    read_retries,
    seconds_of,
)

THROTTLED = {"ExceptionType": ["Step.THROTTLING"]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P30D", 30 * 86_400),
        ("PT1H", 3600),
        ("p30d", 30 * 86_400),
        ("30d", 30 * 86_400),
        ("5y", 5 * 365 * 86_400),
        ("T16m", 16 * 60),
        ("30dT5h", 30 * 86_400 + 5 * 3600),
        ("P1M", 30 * 86_400),
        ("P2W", 14 * 86_400),
        ("PT90S", 90),
    ],
)
def test_duration(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "T", "1", "d", "P1.5D", "-P1D", 30, None, "P1D2H"])
def test_what_is_no_duration(text):
    with pytest.raises(PolicyError, match="ISO 8601"):
        seconds_of(text)


def test_cache():
    assert read_cache(None) is None
    assert read_cache({"Enabled": False}).enabled is False
    assert read_cache({"Enabled": True, "ExpireAfter": "PT1M"}).expires == 60
    for wrong in ([], {"Enabled": "yes"}, {"Enabled": True}, {"Enabled": True, "Until": "P1D"}):
        with pytest.raises(PolicyError):
            read_cache(wrong)


def test_policy_ends_by_attempts_or_by_time():
    (counted,) = read_retries([THROTTLED | {"MaxAttempts": 2, "IntervalSeconds": 3}])
    (timed,) = read_retries([THROTTLED | {"ExpireAfterMin": 1, "BackoffRate": 1}])
    (plain,) = read_retries([THROTTLED])

    assert counted.covers("Step.THROTTLING", 2, elapsed=1e6)
    assert not counted.covers("Step.THROTTLING", 3, elapsed=0)
    assert not counted.covers("Step.SERVICE_FAULT", 1, elapsed=0)
    assert timed.covers("Step.THROTTLING", 99, elapsed=59)
    assert not timed.covers("Step.THROTTLING", 1, elapsed=60)
    assert [counted.pause(n) for n in (1, 2, 3)] == [3, 6, 12]
    assert timed.pause(9) == 1
    assert plain.attempts == 5


@pytest.mark.parametrize(
    "policy",
    [
        "retry",
        {},
        {"ExceptionType": []},
        {"ExceptionType": ["Odd"]},
        {"ExceptionType": [["Step.THROTTLING"]]},
        THROTTLED | {"MaxAttempts": 0},
        THROTTLED | {"MaxAttempts": 21},
        THROTTLED | {"MaxAttempts": True},
        THROTTLED | {"MaxAttempts": 1, "ExpireAfterMin": 1},
        THROTTLED | {"IntervalSeconds": 43_201},
        THROTTLED | {"IntervalSeconds": 1.5},
        THROTTLED | {"BackoffRate": -1},
        THROTTLED | {"BackoffRate": "2"},
        THROTTLED | {"Forever": True},
    ],
)
def test_policy_that_is_refused(policy):
    with pytest.raises(PolicyError):
        list(read_retries([policy]))


@given(
    st.one_of(
        st.tuples(st.just("Integer"), st.integers()),
        st.tuples(st.just("Float"), st.floats(allow_nan=False)),
        st.tuples(st.just("Boolean"), st.booleans()),
        st.tuples(st.just("String"), st.text(max_size=100)),
    )
)
def test_outputs_keep_their_values_on_the_way_through_texts(typed):
    kind, value = typed
    outputs = [Output("x", kind)]

    assert read_outputs(outputs, as_texts(outputs, {"x": value, "y": []})) == {"x": value}


def test_outputs_that_are_refused():
    outputs = [Output("x", "Integer")]
    for answer in (7, "x", [1], None, {"x": {}}, {"x": [1]}):
        with pytest.raises(OutputError, match="x"):
            as_texts(outputs, answer)
    for given_ in ({}, {"x": "1.0"}, {"x": ""}, {"x": "1" * 1025}):
        with pytest.raises(OutputError, match=r"\[x\]"):
            read_outputs(outputs, given_)
    assert as_texts([], "anything") == {}
