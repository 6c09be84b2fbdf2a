"""Many items at once: each is written, however often DynamoDB puts some off."""

import pytest

from tidemill.adapters import state
from tidemill.adapters.state import State


class PuttingOff:
    """A client that takes the first item of each request, so many times, and then all."""

    def __init__(self, times):
        self.times, self.items, self.sizes = times, {}, []

    def batch_write_item(self, *, RequestItems):
        ((table, requests),) = RequestItems.items()
        self.sizes.append(len(requests))
        taken = requests[:1] if self.times else requests
        self.times = max(0, self.times - 1)
        for request in taken:
            item = request["PutRequest"]["Item"]
            self.items[item["fact"]["S"]] = item
        left = requests[len(taken) :]
        return {"UnprocessedItems": {table: left} if left else {}}


@pytest.fixture
def wait(monkeypatch):
    waits = []
    monkeypatch.setattr(state.time, "sleep", waits.append)
    return waits


def documents(count):
    return {f"contents#{n:02}": {"key": f"{n}.csv", "size": n} for n in range(count)}


def test_many_are_written_some_at_a_time(wait):
    client = PuttingOff(0)
    State(client, "state").put_many("flights/delay", documents(60))
    assert (client.sizes, wait) == ([25, 25, 10], [])
    assert sorted(client.items) == sorted(documents(60))
    assert client.items["contents#07"]["owner"] == {"S": "flights/delay"}


def test_what_is_put_off_is_written_later(wait):
    client = PuttingOff(2)
    State(client, "state").put_many("flights/delay", documents(30))
    assert sorted(client.items) == sorted(documents(30))
    assert wait == sorted(wait)
    assert len(wait) == 2


def test_what_is_put_off_for_ever_is_said(wait):
    client = PuttingOff(99)
    with pytest.raises(TimeoutError, match="items of flights/delay are not written"):
        State(client, "state").put_many("flights/delay", documents(60))


def test_none_is_no_request(wait):
    client = PuttingOff(0)
    State(client, "state").put_many("flights/delay", {})
    assert client.sizes == []
