from dataclasses import replace

import pytest

from tidemill.adapters.deliveries import Arrival, Deliveries
from tidemill.adapters.entries import upload_entry
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


def take(deliveries, item=None, now=100.0):
    return deliveries.add(REF, [Arrival(item or version(), ACCEPT)], now).delivery


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


def test_what_arrived_and_is_no_data_is_counted_apart(deliveries):
    refused = Arrival(version("b.csv"), Verdict("quarantine", "broken", "empty"))
    image = Arrival(version("c.png"), Verdict("accept", "catalogued", catalogued=True))
    deliveries.add(REF, [Arrival(version("a.csv", size=7), ACCEPT), refused, image], 100.0)
    deliveries.add(REF, [Arrival(version("d.csv"), Verdict("duplicate", "same"))], 100.0)
    found = deliveries.open(REF)
    assert (found.uploads, found.others, found.arrived, found.bytes) == (1, 3, 4, 7)


@pytest.mark.parametrize("count", [1, 12])
def test_many_are_added_at_once_and_those_that_were_recorded_left_out(deliveries, count):
    many = [Arrival(version(f"{n}.csv"), ACCEPT) for n in range(count)]
    first = deliveries.add(REF, many[:1], 100.0)
    again = deliveries.add(REF, many, 101.0)
    assert again.known == tuple(many[:1])
    assert again.delivery == (first.delivery if count > 1 else None)
    assert (deliveries.open(REF).uploads, deliveries.open(REF).bytes) == (count, 10 * count)


def test_no_item_grows_with_the_number_of_files(deliveries, stores):
    def size():
        (item,) = stores.state.under(REF, "delivery#open")
        return len(repr(item))

    take(deliveries, version("first.csv"))
    before = size()
    for part in range(4):
        many = [Arrival(version(f"{part}-{n}.csv"), ACCEPT) for n in range(10)]
        deliveries.add(REF, many, 100.0)
    assert deliveries.open(REF).uploads == 41
    assert size() < before + 20


def arrived(stores, delivery, count):
    found = stores.ledger.arrived_in(REF, delivery, since=100.0, count=count)
    return sorted((item.key.rpartition("/")[2], verdict) for item, verdict in found)


def test_the_uploads_of_a_delivery_are_found_by_their_time(deliveries, stores):
    first = take(deliveries, version("a.csv"))
    deliveries.close(REF, deliveries.open(REF), "quiet", 200.0)
    second = take(deliveries, version("b.csv"), 201.0)
    refused = Verdict("quarantine", "broken", "empty")
    deliveries.add(REF, [Arrival(version("c.csv"), refused)], 202.0)
    later = upload_entry(REF, version("b.csv"), refused, 203.0, delivery=second, stage="check")
    stores.ledger.append(later)
    assert arrived(stores, first, 1) == [("a.csv", "accept")]
    assert arrived(stores, second, 2) == [("b.csv", "accept"), ("c.csv", "quarantine")]


def test_where_the_index_is_behind_the_table_itself_is_asked(deliveries, stores, monkeypatch):
    opened = take(deliveries)
    monkeypatch.setattr(stores.ledger, "_by_time", lambda *_: iter(()))
    assert arrived(stores, opened, 1) == [("a.csv", "accept")]


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
    assert not deliveries.standing(REF).armed
    deliveries.set_armed(REF, opened)
    deliveries.set_armed(REF, opened)
    assert deliveries.standing(REF).armed

    deliveries.close(REF, deliveries.open(REF), "quiet", 200.0)
    assert deliveries.standing(REF) is None
    deliveries.set_armed(REF, opened)
    assert deliveries.open(REF) is None, "arming must not bring it back"


def test_arming_does_not_hinder_closing(deliveries):
    opened = take(deliveries)
    read = deliveries.open(REF)
    deliveries.set_armed(REF, opened)
    assert deliveries.close(REF, read, "quiet", 200.0)


def mark(deliveries, opened, named=None, item=None):
    marker = item or version("_SUCCESS", "m1", 0)
    return deliveries.mark(REF, opened, marker, MARKER, 150.0, named=named)


@pytest.mark.parametrize("named", [None, 0, 2])
def test_a_marker_is_kept_and_the_place_of_a_manifest(deliveries, named):
    opened = take(deliveries)
    read = deliveries.open(REF)
    assert mark(deliveries, opened, named)

    found = deliveries.open(REF)
    assert (found.marker_at, found.named) == (150.0, named)
    assert len(found.manifests) == (named is not None)
    assert not deliveries.close(REF, read, "quiet", 200.0), "it must be judged again"


def test_a_manifest_that_is_written_again_replaces_the_one_before(deliveries):
    opened = take(deliveries)
    for number, folder in enumerate(("dt=1/", "dt=2/", "dt=1/")):
        marker = replace(version(f"{folder}_SUCCESS", f"m{number}"), uploaded=float(number))
        mark(deliveries, opened, number + 1, marker)
    found = deliveries.open(REF)
    assert [manifest.version.version_id for manifest in found.manifests] == ["m2", "m1"]
    assert found.named == 5


def test_a_marker_disarms_since_the_delivery_may_close_sooner(deliveries):
    opened = take(deliveries)
    deliveries.set_armed(REF, opened)
    mark(deliveries, opened)
    assert not deliveries.standing(REF).armed


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
