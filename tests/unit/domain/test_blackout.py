from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.blackout import blackout_at
from tidemill.spec.compiled import Blackout

EVERY_DAY = tuple(range(7))
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]


def hours(start, end, days=EVERY_DAY):
    return Blackout(f"{start}-{end}", days, _minutes(start), _minutes(end))


def _minutes(text):
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def when(text, zone="Europe/Berlin", fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def ends(window, text, zone="Europe/Berlin", fold=0):
    windows = window if isinstance(window, list) else [window]
    found = blackout_at(windows, zone, when(text, zone, fold))
    if found is None or found.until is None:
        return found and "never"
    return f"{datetime.fromtimestamp(found.until, ZoneInfo(zone)):%a %d %H:%M %z}"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-11-20T07:59:59", None),
        ("2026-11-20T08:00:00", "Fri 20 18:00 +0100"),
        ("2026-11-20T17:59:59", "Fri 20 18:00 +0100"),
        ("2026-11-20T18:00:00", None),
        ("2026-11-21T12:00:00", None),
    ],
)
def test_it_lasts_on_its_days_from_its_first_minute_to_before_its_last(text, end):
    assert ends(hours("08:00", "18:00", (0, 1, 2, 3, 4)), text) == end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-11-20T21:59:00", None),
        ("2026-11-20T22:00:00", "Sat 21 06:00 +0100"),
        ("2026-11-21T05:59:00", "Sat 21 06:00 +0100"),
        ("2026-11-21T06:00:00", None),
        ("2026-11-20T05:00:00", None),
        ("2026-11-21T23:00:00", None),
    ],
)
def test_one_over_midnight_belongs_to_the_day_it_begins_on(text, end):
    assert ends(hours("22:00", "06:00", (4,)), text) == end


def test_blackouts_that_touch_are_one():
    windows = [hours("08:00", "12:00"), hours("11:00", "14:00"), hours("14:00", "14:30")]
    assert ends(windows, "2026-11-20T09:00:00") == "Fri 20 14:30 +0100"
    found = blackout_at(windows, "UTC", when("2026-11-20T09:00:00", "UTC"))
    assert found.written == "08:00-12:00 and 11:00-14:00 and 14:00-14:30"
    assert ends(hours("00:00", "24:00", (5, 6)), "2026-11-21T10:00:00") == "Mon 23 00:00 +0100"


def test_the_whole_week_never_ends():
    assert ends(hours("00:00", "24:00"), "2026-11-20T09:00:00") == "never"
    assert ends(hours("06:00", "06:00"), "2026-11-20T09:00:00") == "never"


def test_clocks_put_forward_end_it_when_its_end_is_skipped():
    """On 2026-03-29 in Berlin, 02:00 is 03:00."""
    assert ends(hours("01:00", "02:30"), "2026-03-29T01:30:00") == "Sun 29 03:00 +0200"
    assert ends(hours("01:00", "05:00"), "2026-03-29T01:30:00") == "Sun 29 05:00 +0200"
    assert ends(hours("02:15", "02:45"), "2026-03-29T01:59:00") is None
    assert ends(hours("02:15", "02:45"), "2026-03-29T03:00:00") is None


def test_clocks_put_back_hold_it_in_both_hours():
    """On 2026-10-25 in Berlin, 03:00 is 02:00 again."""
    window = hours("01:00", "02:30")
    assert ends(window, "2026-10-25T02:15:00", fold=0) == "Sun 25 02:30 +0200"
    assert ends(window, "2026-10-25T02:45:00", fold=0) is None
    assert ends(window, "2026-10-25T02:15:00", fold=1) == "Sun 25 02:30 +0100"
    assert ends(hours("01:00", "04:00"), "2026-10-25T01:30:00") == "Sun 25 04:00 +0100"


def test_a_zone_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="Mars"):
        blackout_at([hours("08:00", "18:00")], "Mars/Phobos", 0.0)


def member(windows, zone, at):
    """The definition: does the clock on the wall show a minute of a window?"""
    shown = datetime.fromtimestamp(at, ZoneInfo(zone))
    day, minute = shown.weekday(), shown.hour * 60 + shown.minute
    for window in windows:
        if window.start < window.end:
            inside = day in window.days and window.start <= minute < window.end
        else:
            inside = (day in window.days and minute >= window.start) or (
                (day - 1) % 7 in window.days and minute < window.end
            )
        if inside:
            return True
    return False


windows = st.builds(
    Blackout,
    st.just("w"),
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(tuple),
    st.integers(0, 1439),
    st.integers(0, 1440),
)
# Around the changes of clocks, and anywhere.
moments = st.one_of(
    st.integers(-2000, 2000).map(lambda m: when("2026-03-29T01:00:00", "UTC") + m * 60.0),
    st.integers(-2000, 2000).map(lambda m: when("2026-10-25T01:00:00", "UTC") + m * 60.0),
    st.floats(1_700_000_000, 1_900_000_000),
)


@given(st.lists(windows, max_size=3), st.sampled_from(ZONES), moments)
def test_it_ends_at_the_first_minute_that_no_window_holds(windows, zone, at):
    found = blackout_at(windows, zone, at)
    assert (found is not None) == member(windows, zone, at)
    if found is None or found.until is None:
        return
    assert found.until > at
    assert not member(windows, zone, found.until)
    steps = int((found.until - at) // 60)
    probes = range(steps) if steps < 300 else range(0, steps, steps // 300)
    assert all(member(windows, zone, at + 60.0 * step) for step in probes)
