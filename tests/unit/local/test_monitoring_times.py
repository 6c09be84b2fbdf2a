"""When monitoring schedules run, and what of the traffic is of which run."""

from datetime import UTC, datetime

import pytest

from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.monitoring.times import folders, hours_of, next_time, period

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
HOUR = 3_600


def schedule(expression, **offsets):
    return {"ScheduleExpression": expression, **offsets}


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("cron(0 * ? * * *)", set(range(24))),
        ("cron(0 12 ? * * *)", {12}),
        ("cron(0 00 ? * * *)", {0}),
        ("cron(0 17/12 ? * * *)", {5, 17}),
        ("cron(0 0/2 ? * * *)", set(range(0, 24, 2))),
        ("cron(0 0/24 ? * * *)", {0}),
    ],
)
def test_the_expressions_that_the_documentation_names_are_understood(expression, hours):
    assert hours_of(schedule(expression)) == hours


@pytest.mark.parametrize(
    "expression",
    ["cron(30 * ? * * *)", "cron(0 24 ? * * *)", "cron(0 12 * * ? *)", "rate(1 hour)", "now", ""],
)
def test_others_are_refused_by_name(expression):
    with pytest.raises(ValidationError, match="Invalid ScheduleExpression"):
        hours_of(schedule(expression))


def test_now_needs_its_window():
    with pytest.raises(ValidationError, match="must be given with"):
        hours_of(schedule("NOW"))
    with pytest.raises(ValidationError, match="no ISO 8601 duration"):
        hours_of(schedule("NOW", DataAnalysisStartTime="an hour", DataAnalysisEndTime="-PT0H"))

    window = schedule("NOW", DataAnalysisStartTime="-PT1H30M", DataAnalysisEndTime="-PT0H")
    assert hours_of(window) == set()
    assert period(window, NOON) == (NOON - 1.5 * HOUR, NOON)


def test_a_schedule_is_next_due_at_the_hour_after():
    assert next_time(frozenset(range(24)), NOON) == NOON + HOUR
    assert next_time(frozenset({11}), NOON) == NOON + 23 * HOUR
    assert next_time(frozenset({13}), NOON + 1) == NOON + HOUR


def test_a_run_looks_at_the_time_since_the_run_before():
    assert period(schedule("cron(0 * ? * * *)"), NOON) == (NOON - HOUR, NOON)
    assert period(schedule("cron(0 0/6 ? * * *)"), NOON) == (NOON - 6 * HOUR, NOON)
    assert period(schedule("cron(0 12 ? * * *)"), NOON) == (NOON - 24 * HOUR, NOON)
    more = schedule("cron(0 * ? * * *)", DataAnalysisStartTime="-PT5H")
    assert period(more, NOON) == (NOON - 5 * HOUR, NOON)


def test_traffic_lies_in_the_folders_of_its_hours():
    assert list(folders(NOON - HOUR, NOON)) == ["2026/11/25/11"]
    assert list(folders(NOON - HOUR - 1, NOON + 1)) == [
        "2026/11/25/10",
        "2026/11/25/11",
        "2026/11/25/12",
    ]
