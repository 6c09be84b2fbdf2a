from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.dataset import Arrival, Dataset, age, newest_of_each_key, within
from tidemill.domain.size import text_bytes, total_text_bytes
from tidemill.spec.compiled import Window

A1 = ObjectVersion("lake", "raw/f/d/a.csv", "v1", "e1", 10, 1.0, "0A")
A2 = replace(A1, version_id="v2", uploaded=2.0, size=12)
B1 = replace(A1, key="raw/f/d/b.csv")


def dataset(*objects):
    return Dataset("f", "d", objects)


def test_the_newest_version_of_each_key_in_key_order():
    assert newest_of_each_key([B1, A2, A1]) == (A2, B1)
    assert newest_of_each_key([]) == ()


def test_sequencers_break_ties_of_time_whatever_their_width():
    later = replace(A1, version_id="v9", sequencer="0F1")
    assert newest_of_each_key([later, replace(A1, sequencer="A2")]) == (later,)
    assert age(later) > age(replace(A1, sequencer="A2"))


@given(st.permutations([A1, A2, B1, replace(B1, version_id="v2"), replace(A1, sequencer="0B")]))
def test_the_order_in_which_they_are_found_does_not_matter(found):
    assert newest_of_each_key(found) == newest_of_each_key(sorted(found, key=age))


def test_a_dataset_is_named_by_keys_and_versions_alone():
    name = dataset(A1, B1).hash
    assert len(name) == 16
    assert dataset(replace(A1, etag="e9", sequencer=""), B1).hash == name
    assert len({dataset(A2, B1).hash, dataset(A1).hash, dataset().hash, name}) == 4


def test_its_size_is_what_is_stored():
    assert dataset(A2, B1).bytes == 22


def test_its_document_names_each_version():
    document = dataset(A2).to_document()
    assert document["hash"] == dataset(A2).hash
    assert document["objects"] == [
        {"uri": "s3://lake/raw/f/d/a.csv", "version_id": "v2", "etag": "e1", "size": 12,
         "uploaded": 2.0},
    ]  # fmt: skip


# ── windows ──────────────────────────────────────────────────────────────────

FIRST, SECOND, THIRD = "d-20261101t100000-aa", "d-20261102t090000-00", "d-20261102t100000-ff"
C1 = replace(A1, key="raw/f/d/c.csv", uploaded=3.0)
CAME = [Arrival(A1, FIRST), Arrival(B1, FIRST), Arrival(A2, SECOND), Arrival(C1, THIRD)]


def test_no_window_takes_the_newest_of_all():
    assert within(Window(), CAME, now=9.0) == (A2, B1, C1)
    assert within(Window(deliveries=2), [], now=9.0) == ()


def test_the_last_deliveries_are_counted_by_when_they_were_opened():
    assert within(Window(deliveries=1), CAME, now=9.0) == (C1,)
    assert within(Window(deliveries=2), CAME, now=9.0) == (A2, C1)
    assert within(Window(deliveries=9), CAME, now=9.0) == (A2, B1, C1)


def test_age_is_counted_from_the_runs_beginning():
    assert within(Window(age_seconds=7), CAME, now=9.0) == (A2, C1)
    assert within(Window(age_seconds=6), CAME, now=9.0) == (C1,)
    assert within(Window(age_seconds=5), CAME, now=9.0) == ()


def test_both_windows_hold():
    assert within(Window(deliveries=2, age_seconds=6), CAME, now=9.0) == (C1,)


def test_an_older_version_never_stands_in_for_a_newer_one():
    """A late event may put the newer version into an earlier delivery."""
    crossed = [Arrival(A2, FIRST), Arrival(A1, SECOND)]
    assert within(Window(deliveries=1), crossed, now=9.0) == ()


@given(
    st.permutations(CAME),
    st.none() | st.integers(1, 4),
    st.none() | st.integers(0, 10),
)
def test_a_window_takes_a_part_of_all_whatever_the_order(came, deliveries, age_seconds):
    window = Window(deliveries=deliveries, age_seconds=age_seconds)
    took = within(window, came, now=9.0)
    assert set(took) <= set(within(Window(), came, now=9.0))
    assert took == within(window, CAME, now=9.0)


# ── sizes ────────────────────────────────────────────────────────────────────


def test_compressed_files_are_counted_as_what_they_unpack_to():
    assert text_bytes("raw/f/d/a.csv", 100) == 100
    assert text_bytes("raw/f/d/noending", 100) == 100
    assert {text_bytes(f"a{end}", 100) for end in (".csv.gz", ".jsonl.zst", ".PARQUET")} == {800}
    assert total_text_bytes([A1, replace(B1, key="raw/f/d/b.csv.gz")]) == 90
