import concurrent.futures
import sqlite3

import pytest

from tidemill_local.engine.records import Records


@pytest.fixture
def records(tmp_path):
    opened = Records(tmp_path / "records.sqlite")
    yield opened
    opened.close()


def test_what_was_put_is_read_by_another_process_at_once(records, tmp_path):
    records.put("item", "table", "a", {"n": 1})

    with sqlite3.connect(tmp_path / "records.sqlite") as other:
        found = other.execute("SELECT body FROM record").fetchall()
    other.close()

    assert found == [('{"n":1}',)]


def test_rows_come_by_parent_and_in_key_order(records):
    for parent, key in (("t2", "a"), ("t1", "b"), ("t1", "a")):
        records.put("item", parent, key, [parent, key])
    records.put("other", "t1", "c", None)

    assert [row[:2] for row in records.rows("item")] == [("t1", "a"), ("t1", "b"), ("t2", "a")]
    assert [body for _, _, body in records.rows("item", "t1")] == [["t1", "a"], ["t1", "b"]]


def test_a_put_replaces_and_a_delete_forgets(records):
    records.put("item", "t", "a", 1)
    records.put("item", "t", "a", 2)
    records.put("item", "t", "b", 3)

    records.delete("item", "t", "b")
    records.delete("item", "t", "never there")

    assert list(records.rows("item")) == [("t", "a", 2)]


def test_parents_that_are_gone_lose_their_rows(records):
    for parent in ("kept", "dropped"):
        records.put("item", parent, "a", 1)
    records.put("other", "dropped", "a", 1)

    records.keep_parents("item", {"kept"})

    assert [row[0] for row in records.rows("item")] == ["kept"]
    assert [row[0] for row in records.rows("other")] == ["dropped"]


def test_a_parent_is_replaced_as_a_whole_or_not_at_all(records):
    records.put("item", "t", "old", 1)

    with pytest.raises(TypeError):
        records.replace("item", "t", {"new": object()})
    assert [row[1] for row in records.rows("item")] == ["old"]
    records.replace("item", "t", {"x": 1, "y": 2})

    assert [row[1] for row in records.rows("item")] == ["x", "y"]


def test_bodies_may_hold_what_the_encoder_knows(tmp_path):
    records = Records(tmp_path / "r.sqlite", encode=lambda value: value.hex())
    records.put("item", "t", "a", {"blob": b"\x01"})

    assert [body for _, _, body in records.rows("item")] == [{"blob": "01"}]
    records.close()


def test_threads_may_write_together(records):
    with concurrent.futures.ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda n: records.put("item", "t", f"{n:04}", n), range(400)))

    assert [body for _, _, body in records.rows("item")] == list(range(400))
