"""Events come twice, late, in another order or never, as long as somebody wants it so."""

import json
import time

import pytest

from local_cloud import receive, subscribe, wait_until
from tidemill_local.faults import FaultError, RemoteFaults

from .test_events import create_lake


@pytest.fixture
def faults(cloud):
    found = RemoteFaults(cloud.endpoint)
    yield found
    found.clear()


def lake(cloud, name):
    """Return a function that puts an object, and the URL of the queue that hears of objects."""
    s3 = create_lake(cloud, name)
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [name]}}}
    url, _ = subscribe(cloud, name, pattern)

    def put(*keys):
        for key in keys:
            s3.put_object(Bucket=name, Key=key, Body=b"1")

    return put, url


def keys(cloud, url, count):
    events = [json.loads(each["Body"]) for each in receive(cloud, url, count)]
    assert all(event["detail"]["object"]["version-id"] for event in events)
    return [event["detail"]["object"]["key"] for event in events]


def test_events_are_dropped_and_doubled_by_the_names_of_their_objects(cloud, faults):
    put, url = lake(cloud, "lake-unreliable")
    dropped = faults.add("drop-event", event="Object Created", name="lake-unreliable/lost/*")
    doubled = faults.add("duplicate-event", name="*/twice/*", count=1)

    put("lost/a", "twice/b", "twice/c", "once/d")

    assert sorted(keys(cloud, url, 4)) == ["once/d", "twice/b", "twice/b", "twice/c"]
    assert faults.get(dropped.id).struck == 1
    assert faults.get(doubled.id).seen == 2
    assert "drop-event) strikes Object Created lake-unreliable/lost/a" in cloud.log()
    assert {fault["id"] for fault in cloud.status()["faults"]} == {dropped.id, doubled.id}


def test_events_change_places(cloud, faults):
    put, url = lake(cloud, "lake-reordered")
    fault = faults.add("reorder-event", name="lake-reordered/*", seconds=60)

    for pair, (first, second) in enumerate(["ab", "cd"], start=1):
        put(first)
        wait_until(lambda pair=pair: faults.get(fault.id).struck == pair)
        put(second)
        assert keys(cloud, url, 2) == [second, first]


def test_an_event_that_waits_outlives_a_kill(own_cloud):
    put, url = lake(own_cloud, "lake-late")
    faults = RemoteFaults(own_cloud.endpoint)
    faults.add("delay-event", seconds=2, count=1)
    began = time.time()
    put("late", "prompt")

    assert keys(own_cloud, url, 1) == ["prompt"]
    own_cloud.kill()
    own_cloud.start()

    assert keys(own_cloud, url, 1) == ["late"]
    assert time.time() - began >= 2
    assert [(fault.kind, fault.struck) for fault in faults.list()] == [("delay-event", 1)]


def test_what_cannot_be_meant_is_refused(cloud, faults):
    with pytest.raises(FaultError, match="is no kind of fault"):
        faults.add("flood")
    with pytest.raises(FaultError, match="there is no fault fault-99"):
        faults.remove("fault-99")
    with faults.during("throttle", operation="ListModels", count=9):
        error = cloud.client("sagemaker").exceptions.ClientError
        with pytest.raises(error, match="Rate exceeded"):
            cloud.client("sagemaker").list_models()
    assert "Models" in cloud.client("sagemaker").list_models()
