import pytest

from tidemill.adapters.entries import UNPLACED, Entry, upload_entry
from tidemill.adapters.ledger import Ledger
from tidemill.domain.admission import ObjectVersion, Verdict

from .. import stack as deployed
from .memory_tables import MemoryTables

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)
REF = "flights/delay"
ACCEPT = Verdict("accept", "new")


def version(
    key="raw/flights/delay/a.csv", version_id="v1", uploaded=100.0, sequencer="0A", etag="e"
):
    return ObjectVersion("lake", key, version_id, etag, 10, uploaded, sequencer)


def admit(ledger, item, verdict=ACCEPT, **more):
    return ledger.append(upload_entry(REF, item, verdict, 200.0, **more))


@pytest.fixture
def ledger(stores):
    return stores.ledger


def test_an_entry_that_exists_is_never_replaced(ledger):
    first = Entry(REF, "model#x", 1.0, "model", "delay", "delete", "because")
    assert ledger.append(first)
    assert not ledger.append(Entry(REF, "model#x", 2.0, "model", "delay", "delete", "another"))

    (entry,) = ledger.entries(REF)
    assert entry["reason"] == "because"


def test_entries_come_in_the_order_of_time_not_of_keys(ledger):
    for key, at in (("b", 1.0), ("a", 3.0), ("c", 2.0)):
        ledger.append(Entry(REF, key, at, "model", key, "delete", ""))
    assert [e["subject"] for e in ledger.entries(REF)] == ["b", "c", "a"]
    assert [e["subject"] for e in ledger.entries(REF, since=2.0)] == ["c", "a"]
    assert next(e["at"] for e in ledger.entries(REF)) == "1970-01-01T00:00:01.000Z"


def test_two_entries_of_one_moment_are_both_kept(ledger):
    for key in "ab":
        ledger.append(Entry(REF, key, 1.0, "model", key, "delete", ""))
    assert len(list(ledger.entries(REF))) == 2


def test_entries_of_one_model_are_not_another_s(ledger):
    ledger.append(Entry(UNPLACED, "a", 1.0, "model", "a", "delete", ""))
    assert list(ledger.entries(REF)) == []


def at_each_second(ledger, count, ref=REF):
    for n in range(count):
        ledger.append(Entry(ref, f"model#{9 - n}", float(n), "model", f"m{n}", "delete", ""))


def subjects(entries):
    return [entry["subject"] for entry in entries]


def test_the_newest_come_first_and_no_more_than_asked(ledger):
    at_each_second(ledger, 5)
    assert subjects(ledger.newest(REF)) == ["m4", "m3", "m2", "m1", "m0"]
    assert subjects(ledger.newest(REF, 2)) == ["m4", "m3"]
    assert subjects(ledger.newest(REF, 9)) == ["m4", "m3", "m2", "m1", "m0"]
    assert subjects(ledger.newest("flights/other", 2)) == []
    assert next(iter(ledger.newest(REF)))["at"] == "1970-01-01T00:00:04.000Z"


def test_the_newest_since_a_moment(ledger):
    at_each_second(ledger, 5)
    assert subjects(ledger.newest(REF, since=3.0)) == ["m4", "m3"]
    assert subjects(ledger.newest(REF, 1, since=3.0)) == ["m4"]
    assert subjects(ledger.newest(REF, since=5.0)) == []


def test_for_the_newest_few_no_more_is_read_than_they_are(cloud, ledger):
    if not isinstance(cloud.dynamodb, MemoryTables):  # whose calls no hook sees
        at_each_second(ledger, 5)
        cloud.calls.clear()
        list(ledger.newest(REF, 2))
        assert [request["Limit"] for _, _, request in cloud.calls] == [2]


def test_entries_under_a_prefix_come_oldest_first_by_time_not_by_key(ledger):
    at_each_second(ledger, 3)
    ledger.append(Entry(REF, "rollout#x", 1.0, "rollout", "version 1", "fail", ""))
    at_each_second(ledger, 1, "flights/other")
    found = ledger.under(REF, "model#")
    assert subjects(found) == ["m0", "m1", "m2"]
    assert found[1]["at"] == "1970-01-01T00:00:01.000Z"
    assert subjects(ledger.under(REF, "rollout#")) == ["version 1"]
    assert ledger.under(REF, "approval#") == []


def test_an_upload_is_found_by_key_and_version(ledger):
    admit(ledger, version(), delivery="d-1")
    found = ledger.upload(REF, version().key, "v1")
    assert found["verdict"] == "accept"
    assert found["facts"]["delivery"] == "d-1"
    assert ledger.upload(REF, version().key, "v2") is None
    assert ledger.upload(REF, "raw/flights/delay/b.csv", "v1") is None


def test_what_was_accepted_comes_back_as_it_was(ledger):
    admit(ledger, version(uploaded=1795168800.25))
    assert ledger.accepted(REF) == [version(uploaded=1795168800.25)]


def test_a_later_quarantine_takes_an_accepted_upload_out(ledger):
    admit(ledger, version())
    admit(ledger, version(version_id="v2", uploaded=101.0))
    admit(
        ledger,
        version(version_id="v2", uploaded=101.0),
        Verdict("quarantine", "ragged"),
        stage="prepare",
    )

    assert [item.version_id for item in ledger.accepted(REF)] == ["v1"]
    assert ledger.newest_accepted(REF, version().key).version_id == "v1"
    assert ledger.upload(REF, version().key, "v2")["verdict"] == "accept", "admission's own"


def test_duplicates_and_ignored_uploads_are_not_data(ledger):
    admit(ledger, version(), Verdict("duplicate", "same"))
    admit(ledger, version(version_id="v2"), Verdict("ignore", "a marker"))
    assert ledger.accepted(REF) == []
    assert ledger.newest_accepted(REF, version().key) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_within_one_second_the_sequencer_says_which_version_is_newest(ledger, order):
    """Sequencers are hex of varying width: 0F1 is newer than A2, though it sorts before."""
    both = (version(version_id="old", sequencer="A2"), version(version_id="new", sequencer="0F1"))
    for index in order:
        admit(ledger, both[index])
    assert ledger.newest_accepted(REF, version().key).version_id == "new"


def test_the_newest_version_of_one_key_is_not_another_key_s(ledger):
    admit(ledger, version())
    assert ledger.newest_accepted(REF, "raw/flights/delay/a.csv2") is None


@pytest.mark.parametrize(
    ("kind", "expires"), [("run", 86_400 * 30 + 5), ("upload", None), ("approval", None)]
)
def test_only_what_nothing_rests_on_expires(cloud, kind, expires):
    ledger = Ledger(cloud.dynamodb, deployed.LEDGER, days=30)
    item = ledger.put(Entry(REF, "x", 5.5, kind, "s", "v", ""))["Put"]["Item"]
    assert item.get("expires") == (None if expires is None else {"N": str(expires)})


def test_without_a_retention_nothing_expires(ledger):
    assert "expires" not in ledger.put(Entry(REF, "x", 5.5, "run", "s", "v", ""))["Put"]["Item"]
