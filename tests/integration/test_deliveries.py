from dataclasses import replace

import pytest

from tidemill.adapters.deliveries import Arrival, Deliveries
from tidemill.domain.admission import ObjectVersion, Verdict

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)
REF = "flights/delay"
ACCEPT = Verdict("accept", "new")
MARKER = Verdict("ignore", "the marker")


def version(name="a.csv", version_id="v1", size=10):
    return ObjectVersion("lake", f"raw/{REF}/{name}", version_id, "etag", size, 1.0, "0A")


@pytest.fixture
def deliveries(stores):
    return stores.deliveries


def take(deliveries, item=None, now=100.0, name=None):
    return deliveries.add(REF, [Arrival(item or version(), ACCEPT, name)], now).delivery


def checks(stores):
    return [delivery for ref, delivery in stores.checks.unfinished() if ref == REF]


def test_the_first_upload_opens_a_delivery_and_others_join(deliveries):
    first = take(deliveries, version("a.csv", size=10), 100.0)
    assert take(deliveries, version("b.csv", size=5), 130.0) == first

    found = deliveries.open(REF)
    assert (found.id, found.uploads, found.bytes) == (first, 2, 15)
    assert (found.opened_at, found.last_arrival) == (100.0, 130.0)


def test_an_upload_is_taken_once(deliveries, stores):
    first = take(deliveries)
    assert take(deliveries, now=160.0) is None
    assert deliveries.open(REF).uploads == 1
    assert stores.ledger.upload(REF, version().key, "v1")["facts"]["delivery"] == first


def test_names_are_kept_where_a_manifest_will_ask_for_them(deliveries):
    take(deliveries, version("a.csv"), name="a.csv")
    take(deliveries, version("b.csv"), name="b.csv")
    assert deliveries.open(REF).names == {"a.csv", "b.csv"}


def test_closing_leaves_a_record_a_check_and_a_ledger_entry(cloud, deliveries, stores):
    opened = take(deliveries)
    assert deliveries.closed(REF, opened) is None
    assert deliveries.close(REF, deliveries.open(REF), "quiet", 200.0)

    assert deliveries.open(REF) is None
    closed = deliveries.closed(REF, opened)
    assert (closed["reason"], closed["stands"], closed["attempt"]) == ("quiet", "checking", 1)
    assert checks(stores) == [opened]
    assert stores.triggers.pending(REF) == [], "only a check says what is new"
    (entry,) = cloud.entries(REF, "delivery")
    assert (entry["subject"], entry["verdict"]) == (opened, "close")


def test_a_delivery_that_changed_since_it_was_read_stays_open(deliveries, stores):
    take(deliveries, version("a.csv"))
    read = deliveries.open(REF)
    take(deliveries, version("b.csv"))

    assert not deliveries.close(REF, read, "quiet", 200.0)
    assert deliveries.open(REF).uploads == 2
    assert checks(stores) == []


def test_a_delivery_is_closed_once(deliveries, stores):
    take(deliveries)
    read = deliveries.open(REF)
    assert deliveries.close(REF, read, "quiet", 200.0)
    assert not deliveries.close(REF, read, "quiet", 201.0)
    assert len(checks(stores)) == 1


def test_an_upload_after_the_close_opens_the_next(deliveries):
    first = take(deliveries, version("a.csv"))
    deliveries.close(REF, deliveries.open(REF), "quiet", 200.0)
    assert take(deliveries, version("b.csv"), 201.0) != first


def test_a_close_between_reading_and_taking_is_survived(deliveries, stores):
    """`take` reads the open delivery, which is then closed under it."""
    first = take(deliveries, version("a.csv"))
    stale = deliveries.open(REF)

    class ClosesFirst(type(stores.state)):
        closed = False

        def get(self, owner, fact):
            found = super().get(owner, fact)
            if not self.closed:
                self.closed = True
                assert deliveries.close(REF, stale, "quiet", 200.0)
            return found

    racing = Deliveries(
        ClosesFirst(stores.state.client, stores.state.table), stores.ledger, stores.checks
    )
    second = take(racing, version("b.csv"), 201.0)
    assert second not in (None, first)
    assert deliveries.open(REF).id == second


def test_one_that_loses_every_race_says_so(deliveries, stores):
    class Blind(type(stores.state)):
        def get(self, owner, fact):
            return None

    take(deliveries, version("a.csv"))
    blind = Deliveries(Blind(stores.state.client, stores.state.table), stores.ledger, stores.checks)
    with pytest.raises(TimeoutError, match="try again"):
        take(blind, version("b.csv"), 1.0)


def test_arming_is_remembered_for_the_open_delivery_only(deliveries):
    opened = take(deliveries)
    assert not deliveries.armed(REF, opened)
    deliveries.set_armed(REF, opened)
    deliveries.set_armed(REF, opened)
    assert deliveries.armed(REF, opened)

    deliveries.close(REF, deliveries.open(REF), "quiet", 200.0)
    assert deliveries.armed(REF, opened), "nothing to send for a closed delivery"
    deliveries.set_armed(REF, opened)
    assert deliveries.open(REF) is None, "arming must not bring it back"


def test_arming_does_not_hinder_closing(deliveries):
    opened = take(deliveries)
    read = deliveries.open(REF)
    deliveries.set_armed(REF, opened)
    assert deliveries.close(REF, read, "quiet", 200.0)


def mark(deliveries, opened, expected=None, item=None):
    marker = item or version("_SUCCESS", "m1", 0)
    return deliveries.mark(REF, opened, marker, MARKER, 150.0, expected=expected)


@pytest.mark.parametrize("expected", [None, (), ("a.csv", "b.csv")])
def test_a_marker_is_kept_with_what_it_names(deliveries, expected):
    opened = take(deliveries)
    read = deliveries.open(REF)
    assert mark(deliveries, opened, expected)

    found = deliveries.open(REF)
    assert (found.marker_at, found.expected) == (150.0, expected)
    assert not deliveries.close(REF, read, "quiet", 200.0), "it must be judged again"


def test_a_marker_disarms_since_the_delivery_may_close_sooner(deliveries):
    opened = take(deliveries)
    deliveries.set_armed(REF, opened)
    mark(deliveries, opened)
    assert not deliveries.armed(REF, opened)


def test_a_marker_counts_once_and_for_one_delivery(deliveries):
    """An attempt died after writing it; by its retry the delivery is closed, another open."""
    first = take(deliveries, version("a.csv"))
    mark(deliveries, first)
    deliveries.close(REF, deliveries.open(REF), "the marker", 160.0)
    second = take(deliveries, version("b.csv"), 170.0)

    assert mark(deliveries, second), "recorded before: nothing to say against it"
    assert deliveries.open(REF).marker_at is None


def test_a_marker_of_a_closed_delivery_is_not_recorded(deliveries, stores):
    opened = take(deliveries)
    deliveries.close(REF, deliveries.open(REF), "quiet", 160.0)
    assert not mark(deliveries, opened)
    assert stores.ledger.upload(REF, version("_SUCCESS").key, "m1") is None


def test_models_do_not_share_deliveries(deliveries):
    take(deliveries)
    other = replace(version(), key="raw/flights/other/a.csv")
    assert deliveries.add("flights/other", [Arrival(other, ACCEPT)], 100.0)
    assert deliveries.open(REF).uploads == 1
