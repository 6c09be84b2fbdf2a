"""An endpoint's own capture: in SageMaker's layout, bounded, and in nobody's way."""

import io
import json
import re
import threading
import time

import pytest

from tidemill_jobs.capture import writer as module
from tidemill_jobs.capture.layout import hour_of
from tidemill_jobs.capture.reader import CaptureReader
from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.writer import Answered, CaptureWriter
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Column, Features, Target

NOON = 1_795_262_400.25
FEATURES = Features(
    problem="regression",
    target=Target("delay", ()),
    header=("id", "wind", "origin"),
    columns=(
        Column("wind", "number", ("wind",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)
KEY_URI = "s3://artifacts/keys/p/m/capture"
RULE = {
    "uri": "s3://lake/capture/p/m",
    "endpoint": "tm--p--m",
    "variant": "champion",
    "percent": 100,
    "redact": {},
    "flush_seconds": 0.01,
}
HASHED = {"redact": {"origin": "hash", "wind": "drop"}, "key_uri": KEY_URI}


class Store:
    """S3; `refuses` makes it fail, `open` holds it up."""

    def __init__(self):
        self.objects = {KEY_URI: "ab" * 32}
        self.refuses = False
        self.open = threading.Event()
        self.open.set()
        self.puts = 0

    def find_text(self, uri):
        return self.objects.get(uri)

    def put_text(self, text, uri):
        self.puts += 1
        self.open.wait(10)
        if self.refuses:
            raise ConnectionError("S3 is away")
        self.objects[uri] = text

    @property
    def captured(self):
        return {uri: text for uri, text in list(self.objects.items()) if uri.endswith(".jsonl")}

    @property
    def events(self):
        return [json.loads(x) for text in self.captured.values() for x in text.splitlines()]


def answered(body=b"x1,7,Oslo", kind="text/csv", rows=None, when=NOON, **more):
    rows = rows or [{"id": "x1", "wind": "7", "origin": "Oslo"}]
    return Answered(kind, kind, body, rows, "text/csv; charset=utf-8", b"7.0\n", when, **more)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def make(store):
    writers = []

    def make(**changes):
        rule = Rule.parse(json.dumps(RULE | changes))
        writers.append(CaptureWriter(rule, FEATURES, lambda: store))
        return writers[-1]

    yield make
    store.open.set()
    for writer in writers:
        writer.close()


def eventually(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_without_redaction_bodies_are_as_they_came(make, store):
    writer = make()
    writer.record(answered(inference_id="order-1", custom_attributes="a=b"))
    writer.close()

    ((uri, text),) = store.captured.items()
    assert re.fullmatch(
        r"s3://lake/capture/p/m/tm--p--m/champion/2026/11/21/12/00-00-250-[0-9a-f-]{36}\.jsonl", uri
    )
    event = json.loads(text)
    event_id = event["eventMetadata"].pop("eventId")
    assert len(event_id) == 36
    assert event == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "x1,7,Oslo",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "7.0\n",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {
            "inferenceId": "order-1",
            "customAttributes": ["a=b"],
            "inferenceTime": "2026-11-21T12:00:00Z",
        },
        "eventVersion": "0",
    }


@pytest.mark.parametrize(
    ("body", "kind", "rows"),
    [
        (b"x1,7,Oslo", "text/csv", [{"id": "x1", "wind": "7", "origin": "Oslo"}]),
        (b'{"wind":7,"origin":"Oslo","name":"Ada"}', "application/json", None),
        (b'{"wind":7,"origin":"Oslo"}\n', "application/jsonlines", None),
    ],
)
def test_redacted_columns_leave_nothing_of_themselves(make, store, body, kind, rows):
    writer = make(**HASHED)
    rows = rows or [json.loads(body)]
    writer.record(answered(body, kind, rows, custom_attributes="name=Ada", inference_id="o1"))
    writer.close()

    (text,) = store.captured.values()
    assert "Oslo" not in text
    assert "Ada" not in text
    assert "wind" not in text
    row = json.loads(store.events[0]["captureData"]["endpointInput"]["data"])[0]
    assert re.fullmatch("h[0-9a-f]{16}", row["origin"])
    assert store.events[0]["eventMetadata"]["inferenceId"] == "o1"


def test_what_is_redacted_can_be_read_and_compared(make, store):
    writer = make(**HASHED)
    for origin in ("Oslo", "Rome", "Oslo", None):
        writer.record(answered(rows=[{"id": "x", "wind": "7", "origin": origin}]))
    writer.close()

    reader = CaptureReader(Schema.of(FEATURES).without(["wind"]))
    (batch,) = (
        batch
        for uri, text in store.captured.items()
        for batch in reader.read(io.BytesIO(text.encode()), uri)
    )
    first, second, third, missing = batch.inputs["origin"]
    assert first == third != second
    assert missing is None
    assert batch.inputs.columns == ["origin"]
    assert batch.predictions["prediction"].to_list() == [7.0] * 4
    assert not reader.tally.unreadable.counts
    assert not reader.tally.absent
    assert not reader.tally.extra


def test_an_hour_has_its_own_objects(make, store):
    writer = make(flush_seconds=60)
    for when in (NOON + 3_599, NOON + 3_600, NOON + 3_601):
        writer.record(answered(when=when))
    writer.close()

    assert sorted((hour_of(uri), text.count("\n")) for uri, text in store.captured.items()) == [
        (1_795_262_400, 1),
        (1_795_266_000, 2),
    ]


def test_many_events_are_few_objects(make, store):
    writer = make(flush_seconds=60)
    for _ in range(900):
        writer.record(answered())
    writer.close()

    assert len(store.captured) == 1
    assert len({event["eventMetadata"]["eventId"] for event in store.events}) == 900


def test_a_full_batch_does_not_wait_for_its_time(make, store, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_EVENTS", 5)
    writer = make(flush_seconds=60)
    for _ in range(5):
        writer.record(answered())

    eventually(lambda: len(store.events) == 5)


def test_sampling_keeps_a_share(make, store, monkeypatch):
    draws = iter([0.0, 0.099, 0.1, 0.5, 0.999])
    monkeypatch.setattr(module.random, "random", lambda: next(draws))
    writer = make(percent=10)
    for _ in range(5):
        writer.record(answered())
    writer.close()

    assert len(store.events) == 2


def test_what_s3_refuses_is_written_later_and_once(make, store):
    store.refuses = True
    writer = make()
    writer.record(answered())
    eventually(lambda: store.puts >= 3)
    store.refuses = False
    writer.record(answered())

    eventually(lambda: len(store.events) == 2)
    assert writer.dropped == 0


def test_a_full_queue_drops_and_counts_and_never_waits(make, store, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    store.open.clear()
    writer = make()
    for _ in range(50):  # 13 bytes each
        writer.record(answered())
    store.open.set()
    writer.close()

    assert len(store.events) + writer.dropped == 50
    assert writer.written == len(store.events) >= 7


def test_nothing_is_written_while_there_is_no_key(make, store, caplog):
    key = store.objects.pop(KEY_URI)
    writer = make(**HASHED)
    writer.record(answered())
    eventually(lambda: "there is no key at" in caplog.text)
    assert not store.captured
    store.objects[KEY_URI] = key

    eventually(lambda: len(store.events) == 1)


def test_closing_counts_what_is_lost(make, store):
    store.refuses = True
    writer = make()
    for _ in range(3):
        writer.record(answered())
    writer.close()
    writer.record(answered())

    assert (writer.written, writer.dropped) == (0, 4)


def test_an_event_that_cannot_be_written_costs_no_other(make, store):
    writer = make(flush_seconds=60)
    writer.record(answered(b"\xff"))
    writer.record(answered())
    writer.close()

    assert (len(store.events), writer.dropped) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps(RULE | {"redact": {"a": "blur"}}),
        json.dumps(RULE | {"redact": {"a": "hash"}}),  # without its key
        json.dumps(RULE | {"uri": "capture/p/m"}),
        json.dumps(RULE | {"unknown": 1}),
    ],
)
def test_a_damaged_rule_is_refused(text):
    with pytest.raises(JobError, match="roll out again"):
        Rule.parse(text)
