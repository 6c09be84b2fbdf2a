"""The store: transactions, durability, and waiting for a change."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError, Store

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    yield store
    store.close()


def test_records_come_back_in_the_order_of_creation(store):
    for name in ("b", "a", "c"):
        store.insert("Model", name, {"ModelName": name})
    store.delete("Model", "a")
    store.insert("Model", "a", {"ModelName": "a"})
    store.insert("Endpoint", "e", {})

    assert [body["ModelName"] for body in store.rows("Model")] == ["b", "c", "a"]


def test_times_are_set_on_insert_and_the_last_moves_on_update(store):
    created = store.insert("Model", "m", {"CreationTime": 5.0})
    updated = store.update("Model", "m", Color="red")

    assert updated["CreationTime"] == 5.0
    assert updated["LastModifiedTime"] >= created["LastModifiedTime"]
    assert store.get("Model", "m") == updated


def test_none_removes_a_field(store):
    store.insert("Model", "m", {"Color": "red"})
    store.update("Model", "m", Color=None)

    assert "Color" not in store.get("Model", "m")


def test_a_body_is_a_copy(store):
    store.insert("Model", "m", {"Tags": []})
    store.get("Model", "m")["Tags"].append("mine")

    assert store.get("Model", "m")["Tags"] == []


def test_a_second_insert_loses_and_sees_the_first(store):
    store.insert("Model", "m", {"Color": "red"})

    with pytest.raises(DuplicateRecordError) as caught:
        store.insert("Model", "m", {"Color": "blue"})

    assert caught.value.body["Color"] == "red"


def test_what_does_not_exist_cannot_be_changed(store):
    assert store.get("Model", "m") is None
    with pytest.raises(MissingRecordError, match="there is no Model 'm'"):
        store.update("Model", "m", Color="red")
    with pytest.raises(MissingRecordError):
        store.delete("Model", "m")


def test_a_change_that_raises_is_undone_with_all_it_wrote(store):
    store.insert("Endpoint", "e", {"EndpointArn": ARN, "Count": 1})

    def change(body):
        body["Count"] = 2
        store.add_tags(ARN, [{"Key": "a", "Value": "b"}])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.edit("Endpoint", "e", change)

    assert store.get("Endpoint", "e")["Count"] == 1
    assert store.tags(ARN) == []


def test_edits_from_many_threads_are_all_kept(store):
    store.insert("Model", "m", {"Count": 0})

    def count():
        for _ in range(25):
            store.edit("Model", "m", lambda body: body.update(Count=body["Count"] + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.get("Model", "m")["Count"] == 100


def test_tags_belong_to_an_arn_and_go_with_it(store):
    store.insert("Endpoint", "e", {"EndpointArn": ARN}, [{"Key": "b", "Value": "2"}])
    store.add_tags(ARN.upper(), [{"Key": "a", "Value": "1"}])

    assert store.tags(ARN) == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert store.tag_map(ARN) == {"a": "1", "b": "2"}
    assert store.find_arn(ARN.upper()) == ("Endpoint", "e")
    store.delete("Endpoint", "e")
    assert store.tags(ARN) == []
    assert store.find_arn(ARN) is None


def test_waiting_ends_when_the_record_is_as_hoped(store):
    store.insert("Model", "m", {"Status": "Creating"})
    timer = threading.Timer(0.05, lambda: store.update("Model", "m", Status="Ready"))
    timer.start()

    body = store.wait_for("Model", "m", lambda body: body["Status"] == "Ready", timeout=10)

    assert body["Status"] == "Ready"
    timer.join()


def test_waiting_ends_with_patience(store):
    store.insert("Model", "m", {"Status": "Creating"})

    body = store.wait_for("Model", "m", lambda body: body["Status"] == "Ready", timeout=0.05)

    assert body["Status"] == "Creating"


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    writer = textwrap.dedent("""
        import pathlib, sys
        from tidemill_local.sagemaker.store import Store
        store = Store(pathlib.Path(sys.argv[1]))
        for number in range(10**6):
            store.insert("Model", str(number), {"Number": number})
            print(number, flush=True)
    """)
    path = tmp_path / "s.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(path)], stdout=subprocess.PIPE, text=True
    )
    acknowledged = [int(process.stdout.readline()) for _ in range(50)][-1]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    store = Store(path)
    numbers = [body["Number"] for body in store.rows("Model")]
    store.close()
    assert numbers[: acknowledged + 1] == list(range(acknowledged + 1))
