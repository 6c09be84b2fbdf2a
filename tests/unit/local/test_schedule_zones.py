"""Schedules are read by the clocks of their own zone, as EventBridge Scheduler reads them."""

import json
import time
from datetime import UTC, datetime

import pytest
from ministack.services import eventbridge, scheduler

from tidemill_local.engine import schedule_zones
from tidemill_local.engine.schedule_zones import Expression


@pytest.fixture
def zoned(monkeypatch):
    """The hook in force, undone afterwards."""
    for module, name in (
        (scheduler, "_tick_schedules"),
        (scheduler, "_at_time_epoch"),
        (eventbridge, "_parse_cron_fields"),
        (eventbridge, "_cron_next_fire"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    schedule_zones.check()
    schedule_zones.apply(None)


def expression(text, zone):
    return Expression.of({"ScheduleExpression": text, "ScheduleExpressionTimezone": zone})


def following(text, zone, after):
    fields = eventbridge._parse_cron_fields(expression(text, zone))
    found = eventbridge._cron_next_fire(fields, datetime.fromisoformat(after))
    return found.astimezone(UTC).isoformat()


@pytest.mark.parametrize(
    ("zone", "after", "found"),
    [
        ("UTC", "2026-11-20T00:00:00+00:00", "2026-11-20T03:30:00+00:00"),
        ("Europe/Berlin", "2026-11-20T00:00:00+00:00", "2026-11-20T02:30:00+00:00"),
        ("Europe/Berlin", "2026-07-20T00:00:00+00:00", "2026-07-20T01:30:00+00:00"),
        ("America/New_York", "2026-11-20T10:00:00+00:00", "2026-11-21T08:30:00+00:00"),
    ],
)
def test_cron_is_a_time_of_the_zone_summer_and_winter(zoned, zone, after, found):
    assert following("cron(30 3 * * ? *)", zone, after) == found


def test_an_hour_that_clocks_leave_out_has_no_turn(zoned):
    """Berlin, 2026-03-29: 02:00 is 03:00."""
    found = following("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-29T00:00:00+00:00")
    assert found == "2026-03-30T00:30:00+00:00"


def test_an_hour_that_clocks_show_twice_has_one_turn(zoned):
    """Berlin, 2026-10-25: 03:00 is 02:00 again."""
    first = following("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00+00:00")
    assert first == "2026-10-25T00:30:00+00:00"
    again = following("cron(30 2 * * ? *)", "Europe/Berlin", first)
    assert again == "2026-10-26T01:30:00+00:00"


def test_at_is_a_time_of_the_zone(zoned):
    text = "at(2026-11-20T10:00:00)"
    utc = scheduler._at_time_epoch(expression(text, "UTC"))
    assert utc - scheduler._at_time_epoch(expression(text, "Europe/Berlin")) == 3600
    assert scheduler._at_time_epoch(expression(text, "Nowhere/Land")) == utc
    assert scheduler._at_time_epoch(expression("rate(5 minutes)", "Europe/Berlin")) is None


def test_a_tick_reads_each_schedule_in_its_zone(zoned, monkeypatch):
    """One that is due at ten in Tokyo is not due at ten in New York."""
    called = []
    monkeypatch.setattr(
        eventbridge, "_invoke_target", lambda target, *_: called.append(target["Arn"])
    )
    monkeypatch.setattr(scheduler, "_schedule_last_fired", {})
    now = datetime(2026, 11, 20, 2, 0, 5, tzinfo=UTC).timestamp()
    monkeypatch.setattr(time, "time", lambda: now)
    kept = {
        ("0", "us-east-1", zone): {
            "State": "ENABLED", "Arn": zone, "Target": {"Arn": zone},
            "ScheduleExpression": "at(2026-11-20T10:00:00)", "ScheduleExpressionTimezone": zone,
        }
        for zone in ("Asia/Tokyo", "America/New_York", "UTC")
    }  # fmt: skip
    monkeypatch.setattr(scheduler._schedules, "_data", kept)
    scheduler._tick_schedules()
    assert called == ["Asia/Tokyo"]
    assert json.dumps(kept["0", "us-east-1", "Asia/Tokyo"]["ScheduleExpression"]) == (
        '"at(2026-11-20T10:00:00)"'
    )
