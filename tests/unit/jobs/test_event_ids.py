"""A set of event ids, bounded in bytes, the same in every process."""

import gzip
import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.capture import event_ids
from tidemill_jobs.capture.event_ids import EventIds, counted_twice, known_from
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.profile import Profile
from tidemill_jobs.windows import look_at


@given(st.lists(st.lists(st.text(max_size=3)), max_size=5))
def test_each_event_counts_once_whoever_read_it_before(readers):
    parts, counted = [], 0
    for ids in readers:
        seen = EventIds(known_from(parts))
        counted += sum(seen.add(one) for one in ids)
        parts.append(seen.to_bytes())
    assert counted == len({one for ids in readers for one in ids})
    assert sum(map(len, parts)) == 8 * counted
    assert counted_twice(parts) == 0


@given(st.lists(st.sets(st.integers(0, 9).map(str)), min_size=1, max_size=4))
def test_readers_side_by_side_count_twice_and_that_is_told(readers):
    parts = []
    for ids in readers:
        seen = EventIds()
        assert all(seen.add(one) for one in ids)
        parts.append(seen.to_bytes())
    assert counted_twice(parts) == sum(map(len, readers)) - len(set().union(*readers))


def test_a_window_tells_what_its_partials_counted_twice():
    seen = EventIds()
    assert all(seen.add(one) for one in "abc")
    profile, tally = Profile(3).dumps(), Tally(events=3).document()
    said = look_at("{}", None, [profile] * 2, [tally] * 2, events=[seen.to_bytes()] * 2)
    assert json.loads(said["documents"]["traffic.json"])["counted_twice"] == 3


def test_a_partial_of_another_release_is_left_out_and_told():
    tally = Tally().document()
    broken = gzip.compress(b'{"version": 99}')
    said = look_at("{}", None, [Profile(3).dumps(), broken], [tally] * 2)
    assert said["rows"] == 3
    assert json.loads(said["documents"]["traffic.json"])["partials_unread"] == 1


def test_many_events_are_settled_as_they_come(monkeypatch):
    monkeypatch.setattr(event_ids, "_RECENT", 16)
    seen = EventIds()
    assert all(seen.add(f"e{number}") for number in range(1_000))
    assert not any(seen.add(f"e{number}") for number in range(1_000))
    assert len(seen.to_bytes()) == 8_000


def test_digests_are_those_of_another_process():
    seen = EventIds()
    seen.add("0a1b2c3d")
    told = """
from tidemill_jobs.capture.event_ids import EventIds
seen = EventIds()
seen.add("0a1b2c3d")
print(seen.to_bytes().hex())"""
    said = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == seen.to_bytes().hex()


def test_half_of_a_digest_is_left_out():
    seen = EventIds()
    seen.add("a")
    assert len(known_from([seen.to_bytes() + b"xyz"])) == 1
