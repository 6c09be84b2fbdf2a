"""An SQS message is on disk before its sender hears of it, and stays until it is deleted."""

import contextlib
import copy
import itertools
import threading
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from ministack.services import sqs

from tidemill_local.engine.hooks import expect, expect_saved, expect_value
from tidemill_local.engine.records import Records
from tidemill_local.engine.surroundings import Surroundings

_STORE = "message"
_ID = "_tidemill_id"


def check() -> None:
    """Require that queues are dicts in one scoped dict, and messages a list with ids."""
    expect(sqs, "_collect_msgs", "(q, max_n, vis_timeout)")
    expect_value(sqs, "_queues", sqs.AccountRegionScopedDict)
    expect_saved(sqs, {"queues", "queue_name_to_url"})


def apply(surroundings: Surroundings) -> None:
    """Make the queues write their messages through; leave messages out of the snapshots."""
    records = surroundings.records
    queues = _durable_queues(records)()
    sqs._queues = queues

    def state() -> dict[str, Any]:
        bare = sqs.AccountRegionScopedDict()
        for (account, region, url), queue in queues.all_items():
            bare.set_scoped(account, region, url, {**queue, "messages": []})
        return {"queues": bare, "queue_name_to_url": copy.deepcopy(sqs._queue_name_to_url)}

    def restore() -> None:
        by_id = {queue[_ID]: queue for queue in queues.all_values()}
        records.keep_parents(_STORE, set(by_id))
        for queue_id, queue in by_id.items():
            found = [message for _, _, message in records.rows(_STORE, queue_id)]
            queue.restore(sorted(found, key=_order))

    sqs.get_state = state
    surroundings.on_restored.append(restore)


class Messages(list[Any]):
    """
    The messages of one queue; what joins or leaves the list joins or leaves the disk.

    ministack deletes by walking the list and putting a shorter one in its place, without a lock:
    what another thread appends in between would vanish. So the list remembers, per thread, what
    had arrived when a walk began.
    """

    def __init__(self, records: Records, queue_id: str, messages: Iterable[Any]) -> None:
        super().__init__(messages)
        self._records = records
        self._queue_id = queue_id
        self._arrivals = itertools.count(1)
        self._arrived: dict[str, int] = {}
        self._last = 0
        self._walk = threading.local()

    def __iter__(self) -> Iterator[Any]:
        self._walk.began = self._last
        return iter(list.__getitem__(self, slice(None)))

    def append(self, message: Any) -> None:
        """Add a message, on disk first."""
        self._records.put(_STORE, self._queue_id, message["id"], message)
        super().append(message)
        self._last = self._arrived[message["id"]] = next(self._arrivals)

    def remove(self, message: Any) -> None:
        """Delete a message."""
        super().remove(message)
        self._forget(message["id"])

    def clear(self) -> None:
        """Delete all messages."""
        super().clear()
        self._arrived.clear()
        self._records.clear(_STORE, self._queue_id)

    def keep(self, messages: Iterable[Any]) -> None:
        """Delete all but *messages* and what arrived since this thread last walked the list."""
        began = getattr(self._walk, "began", self._last)
        wanted = {message["id"] for message in messages}
        for message in list.__getitem__(self, slice(None)):
            key = message["id"]
            if key not in wanted and self._arrived.get(key, 0) <= began:
                with contextlib.suppress(ValueError):  # someone else was first
                    super().remove(message)
                self._forget(key)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(message, memo) for message in self]

    def _forget(self, key: str) -> None:
        self._arrived.pop(key, None)
        self._records.delete(_STORE, self._queue_id, key)


class DurableQueue(dict[str, Any]):
    """A queue's record; a new list of messages put into it deletes those it lacks."""

    def __init__(self, records: Records, queue: dict[str, Any]) -> None:
        super().__init__(queue)
        self.setdefault(_ID, str(uuid.uuid4()))
        self._records = records
        super().__setitem__("messages", Messages(records, self[_ID], []))
        for message in queue.get("messages", ()):
            self["messages"].append(message)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "messages":
            self["messages"].keep(value)
        else:
            super().__setitem__(name, value)

    def restore(self, messages: list[Any]) -> None:
        """Take messages back from disk; those in flight are visible again."""
        for message in messages:
            if message.get("receive_count"):
                message["visible_at"] = message["sent_at"]
        super().__setitem__("messages", Messages(self._records, self[_ID], messages))

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {name: copy.deepcopy(value, memo) for name, value in self.items()}


def _order(message: dict[str, Any]) -> tuple[float, str]:
    return float(message["sent_at"]), message.get("seq") or ""


def _durable_queues(records: Records) -> Any:
    class Queues(sqs.AccountRegionScopedDict):  # type: ignore[misc]  # ministack has no types
        """ministack's scoped dict, whose queues are durable however they get in."""

        __slots__ = ()

        def __setitem__(self, url: str, queue: dict[str, Any]) -> None:
            super().__setitem__(url, DurableQueue(records, queue))

        def set_scoped(self, account: str, region: str, url: str, queue: Any) -> None:
            super().set_scoped(account, region, url, DurableQueue(records, queue))

        def update(self, other: Any) -> None:
            super().update(other)
            for key, queue in list(self._data.items()):
                if not isinstance(queue, DurableQueue):
                    self._data[key] = DurableQueue(records, queue)

    return Queues
