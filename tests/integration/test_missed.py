"""The sweep's walk through the lake: bounded, resumed, and not in the way of a storm."""

import pytest

from tidemill.adapters import missed
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.missed import LONG_WALK_SECONDS, Missed
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion, Verdict

from ..stack import LAKE
from .functions.scenes import REF

PAGE = 2


class Lake:
    """So many object versions, two a page; *asked* are the places where a page began."""

    def __init__(self, count):
        self.found = [ObjectCreated(LAKE, f"raw/{REF}/{n:04d}.csv", "v", "") for n in range(count)]
        self.asked = []

    def versions(self, bucket, prefix, after):
        self.asked.append(after)
        first = int(after[0]) if after else 0
        more = (str(first + PAGE), "") if first + PAGE < len(self.found) else None
        return self.found[first : first + PAGE], more


class Queue:
    def __init__(self):
        self.messages, self.backlog = [], 0

    def waiting(self):
        return self.backlog

    def send_all(self, messages):
        self.messages += messages


@pytest.fixture
def walk(cloud, spec, monkeypatch):
    """Return a walk through *lake* in calls of three pages."""
    monkeypatch.setattr(missed, "MOST_PAGES", 3)
    cloud.apply(spec)
    queue = Queue()

    def walk(lake, later=0.0):
        cloud.now += later
        sent = Missed(cloud.stores, lake, queue).walk(LAKE, cloud.now)
        return sent, queue

    walk.queue = queue
    return walk


def test_a_walk_goes_on_where_the_last_one_stopped(walk):
    lake = Lake(13)
    assert [walk(lake)[0] for _ in range(3)] == [6, 6, 1]
    assert len({message["detail"]["object"]["key"] for message in walk.queue.messages}) == 13


def test_a_short_walk_is_made_by_every_sweep(walk):
    lake = Lake(3)
    assert [walk(lake)[0] for _ in range(2)] == [3, 3], "nobody admitted them"


def test_a_long_one_begins_again_after_some_hours(walk):
    lake = Lake(7)
    walk(lake, 1)
    walk(lake, 300)
    assert walk(lake, 300)[0] == 0
    assert len(lake.asked) == 4
    assert walk(lake, LONG_WALK_SECONDS)[0] == 6


def test_and_at_once_when_a_model_is_new(walk, cloud, make_spec):
    lake = Lake(7)
    walk(lake)
    walk(lake)
    cloud.now += 60
    cloud.apply(make_spec(model="other"))
    assert walk(lake, 60)[0] == 6


def test_while_a_storm_is_worked_off_nothing_is_sent_again(walk):
    lake = Lake(3)
    walk.queue.backlog = missed.BACKLOG
    assert walk(lake)[0] == 0
    assert lake.asked == []


def test_a_page_whose_hints_could_not_be_sent_is_walked_again(walk, monkeypatch):
    lake = Lake(3)
    with monkeypatch.context() as patch:
        patch.setattr(walk.queue, "send_all", lambda _: (_ for _ in ()).throw(ConnectionError))
        with pytest.raises(ConnectionError):
            walk(lake)
    assert walk(lake)[0] == 3


def test_what_has_an_entry_is_left_alone(walk, cloud):
    lake = Lake(5)
    for found in lake.found[:3]:
        version = ObjectVersion(LAKE, found.key, "v", "e", 1, 1.0, "")
        cloud.stores.ledger.append(upload_entry(REF, version, Verdict("ignore", ""), cloud.now))
    assert walk(lake)[0] == 2
