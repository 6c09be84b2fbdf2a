"""A table's stream is heard after a kill -9 too, and apart from the queues."""

import threading
from typing import Any

from ministack.services import dynamodb, lambda_svc

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.surroundings import Surroundings

_STORE = "stream"
_KEPT = 1000  # records that a stream's readers have taken, for those who look at it
_GATHER = 0.2  # seconds between a write and the batch that tells of it
_IDLE = 1.0


def check() -> None:
    """Require where records are made, where readers stand, and who reads."""
    expect(
        dynamodb, "_emit_stream_event",
        "(table_name, event_name, old_item, new_item, replicate=True)",
    )  # fmt: skip
    expect(lambda_svc, "_poll_dynamodb_streams", "()")
    expect(lambda_svc, "_iter_all_esms", "()")
    for module, name in (
        (dynamodb, "_stream_records"),
        (dynamodb, "_stream_trimmed"),
        (dynamodb, "_tables"),
        (lambda_svc, "_dynamodb_stream_positions"),
    ):
        expect_value(module, name, dynamodb.AccountRegionScopedDict)


def apply(surroundings: Surroundings) -> None:
    """Write each record down until its readers have it; read in a thread of our own."""
    streams = _Streams(surroundings)
    dynamodb._emit_stream_event = streams.emit
    # ministack reads streams between two looks at its queues: a batch would hold up all uploads.
    lambda_svc._poll_dynamodb_streams = lambda: False
    surroundings.on_restored.append(streams.restore)
    surroundings.on_ready.append(streams.start)
    surroundings.on_stop.append(streams.stop)


class _Streams:
    def __init__(self, surroundings: Surroundings) -> None:
        self._records = surroundings.records
        self._emit, self._poll = dynamodb._emit_stream_event, lambda_svc._poll_dynamodb_streams
        self._order = threading.RLock()
        self._written: dict[str, int] = {}  # by table id: up to which position nothing is on disk
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._something.set()

    def emit(self, table_name: str, *arguments: Any, **named: Any) -> None:
        """Make the record as ministack does, and write it down."""
        with self._order:
            before = dynamodb.stream_end_position(table_name)
            self._emit(table_name, *arguments, **named)
            if dynamodb.stream_end_position(table_name) == before:
                return  # no stream, or nothing changed
            record = dynamodb._stream_records[table_name][-1]
            self._records.put(_STORE, dynamodb._tables[table_name]["TableId"], _key(record), record)
        self._something.set()

    def restore(self) -> None:
        """Put back what the readers had not taken; durable_code has them begin there."""
        tables = {table["TableId"]: scope for scope, table in dynamodb._tables.all_items()}
        self._records.keep_parents(_STORE, set(tables))
        for table_id, _, record in self._records.rows(_STORE):
            account, region, name = tables[table_id]
            held = dynamodb._stream_records.get_scoped(account, region, name)
            if held is None:
                held = []
                dynamodb._stream_records.set_scoped(account, region, name, held)
            held.append(record)
        self._something.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._something.wait(_IDLE)
            self._something.clear()
            self._stopped.wait(_GATHER)
            while not self._stopped.is_set() and self._poll():
                self._forget()
            self._forget()

    def _forget(self) -> None:
        """Take off the disk what every reader of a stream has taken."""
        with self._order:
            for (account, region, name), table in dynamodb._tables.all_items():
                read = _read_by_all(table.get("LatestStreamArn"))
                if read is not None:
                    self._forget_until(read, account, region, name, table["TableId"])

    def _forget_until(self, read: int, account: str, region: str, name: str, table_id: str) -> None:
        held = dynamodb._stream_records.get_scoped(account, region, name) or []
        trimmed = dynamodb._stream_trimmed.get_scoped(account, region, name, 0)
        for position in range(max(self._written.get(table_id, 0), trimmed), read):
            self._records.delete(_STORE, table_id, _key(held[position - trimmed]))
        self._written[table_id] = max(read, self._written.get(table_id, 0))
        old = read - trimmed - _KEPT
        if old > 0:
            del held[:old]
            dynamodb._stream_trimmed.set_scoped(account, region, name, trimmed + old)


def _read_by_all(stream: str | None) -> int | None:
    """Return up to which position all of a stream's readers are; None without any."""
    if not stream:
        return None
    positions = [
        lambda_svc._dynamodb_stream_positions.get_scoped(account, region, mapping["UUID"], 0)
        for account, region, mapping in lambda_svc._iter_all_esms()
        if mapping.get("EventSourceArn") == stream
    ]
    return min(positions, default=None)


def _key(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])
