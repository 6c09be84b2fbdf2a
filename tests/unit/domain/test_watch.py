"""Windows of traffic: which a look concludes, and which files it still has to read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.drift import LATE_WINDOWS, History, Window
from tidemill.domain.watch import (
    DAY,
    HOUR,
    Partial,
    captured_at,
    chosen,
    digest,
    hours,
    is_silent,
    lateness,
    reach,
    stamp,
    uncovered,
    window_of,
    window_seconds,
)
from tidemill.spec.compiled import Drift

NOW = 1_795_168_800.0  # 2026-11-20T10:00:00Z, a full hour
DRIFT = Drift(windows=2, of=3)
KEPT = DRIFT.of + LATE_WINDOWS


def looks(**changes):
    given = {"watermark": None, "since": NOW - 10 * HOUR, "now": NOW + 120, "asked": False}
    begin, end = reach(3_600, DRIFT, **given | changes)
    return (begin - NOW) / HOUR, (end - NOW) / HOUR


def test_the_first_look_begins_where_the_version_came():
    assert looks() == (-10, 0)


def test_a_look_goes_on_where_the_last_one_ended():
    assert looks(watermark=NOW - HOUR) == (-1, 0)
    assert looks(watermark=NOW) == (0, 0), "nothing is over that was not concluded"


def test_a_person_s_look_takes_in_the_window_that_goes_on():
    assert looks(watermark=NOW, asked=True) == (0, 1)


def test_a_new_version_s_windows_are_its_own():
    assert looks(since=NOW + 60, watermark=NOW - HOUR) == (0, 0)
    assert looks(since=NOW - 90, watermark=NOW - 3 * HOUR) == (-1, 0), "from within a window on"


def test_a_watch_that_stood_still_for_long_takes_up_no_more_than_is_kept():
    assert looks(since=NOW - 300 * DAY, watermark=NOW - 200 * DAY) == (-KEPT, 0)


@given(
    st.integers(60, 7 * 86_400), st.floats(0, 4e9), st.floats(0, 4e9),
    st.none() | st.integers(0, 60_000), st.booleans(),
)  # fmt: skip
def test_a_look_never_ends_before_it_begins(every, since, now, watermark, asked):
    mark = None if watermark is None else watermark * float(every)
    begin, end = reach(every, DRIFT, watermark=mark, since=min(since, now), now=now, asked=asked)
    assert begin <= end <= window_of(now, every) + every
    assert begin % every == end % every == 0


def test_a_model_that_is_looked_at_on_request_has_windows_of_an_hour():
    assert (window_seconds(0), window_seconds(60)) == (3_600, 60)


@pytest.mark.parametrize(("every", "late"), [(60, 24 * 60), (3_600, DAY), (7 * 86_400, DAY)])
def test_files_may_be_a_day_late_and_not_more_than_some_windows(every, late):
    assert lateness(every) == late


@pytest.mark.parametrize(
    ("key", "at"),
    [
        ("capture/p/m/e/champion/2026/11/20/10/02-03-456-0a1b.jsonl", NOW + 123.456),
        ("capture/p/m/e/champion/2026/11/20/10/anything.jsonl", NOW),
        ("capture/p/m/e/champion/2026/13/20/10/02-03-456-0a1b.jsonl", None),
        ("capture/p/m/e/champion/2026/11/20/10/99-03-456-0a1b.jsonl", None),
        ("capture/p/m/a.jsonl", None),
    ],
)
def test_a_file_s_time_is_in_its_key(key, at):
    assert captured_at(key) == at


def test_the_hours_of_a_stretch_are_folders():
    assert list(hours(NOW + 1, NOW + 2 * HOUR)) == ["2026/11/20/10", "2026/11/20/11"]
    assert list(hours(NOW + 14 * HOUR - 1, NOW + 14 * HOUR + 1)) == [
        "2026/11/20/23",
        "2026/11/21/00",
    ]
    assert list(hours(NOW, NOW)) == []


def test_a_stamp_is_a_name():
    assert stamp(NOW) == "20261120t100000"


# ── partials ─────────────────────────────────────────────────────────────────


def file(name, version="v1", uploaded=NOW):
    return ObjectVersion("lake", name, version, "e", 10, uploaded, "")


def partial(name, *files, window=NOW):
    return Partial(name, window, 3_600, 1, frozenset((one, "v1") for one in files))


def test_what_a_partial_covers_is_not_read_again():
    left = uncovered([file("a"), file("b"), file("c")], [partial("p", "a", "c")])
    assert [item.key for item in left] == ["b"]


def test_of_a_key_that_was_written_twice_the_newest_version_counts():
    left = uncovered([file("a", "v2", NOW + 1), file("a")], [partial("p", "a")])
    assert [(item.key, item.version_id) for item in left] == [("a", "v2")]


def test_partials_that_overlap_do_not_both_count_and_what_is_lost_is_read_again():
    one, other = partial("p", "a", "b"), partial("q", "b", "c", "d")
    assert chosen([one, other]) == [other]
    left = uncovered([file(name) for name in "abcd"], [one, other])
    assert [item.key for item in left] == ["a"]


FILES = st.frozensets(st.sampled_from("abcdef"), min_size=1)


@given(st.lists(FILES, max_size=6), st.data())
def test_whoever_asks_the_same_partials_count_and_no_file_twice(covers, data):
    some = [partial(f"p{n}", *sorted(each)) for n, each in enumerate(covers)]
    shuffled = data.draw(st.permutations(some))
    taken = chosen(some)
    assert chosen(shuffled) == taken
    assert digest(chosen(shuffled)) == digest(taken)
    counted = [name for one in taken for name in one.covers]
    assert len(counted) == len(set(counted))


@given(st.lists(FILES, max_size=6))
def test_reading_what_is_uncovered_covers_everything(covers):
    """However looks overlapped before: one more look, and each file counts once."""
    some = [partial(f"p{n}", *sorted(each)) for n, each in enumerate(covers)]
    files = [file(name) for name in "abcdef"]
    rest = [item.key for item in uncovered(files, some)]
    assert uncovered(files, [*some, partial("rest", *rest)] if rest else some) == []


def test_a_digest_tells_partials_apart():
    assert digest([]) == ""
    assert digest([partial("p", "a")]) != digest([partial("q", "a")])


# ── silence ──────────────────────────────────────────────────────────────────


def history(*rows):
    return History(windows=tuple(Window(NOW + n * HOUR, count) for n, count in enumerate(rows)))


@pytest.mark.parametrize(
    ("rows", "silent"),
    [((), False), ((0, 0), False), ((0, 0, 0), True), ((5, 0, 0, 0), True), ((0, 0, 1), False)],
)
def test_an_endpoint_is_silent_when_no_window_of_a_verdict_has_traffic(rows, silent):
    assert is_silent(history(*rows), DRIFT) is silent
