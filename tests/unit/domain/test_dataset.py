from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.dataset import Dataset, age, newest_of_each_key

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
