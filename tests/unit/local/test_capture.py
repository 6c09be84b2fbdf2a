"""What data capture writes, and that it never stands in an answer's way."""

import base64
import json
import threading
import time
import uuid
from datetime import UTC, datetime

import pytest

from tidemill_local.sagemaker.hosting import capture
from tidemill_local.sagemaker.hosting.capture import (
    CaptureWriter,
    Invocation,
    Payload,
    capture_line,
    object_key,
    read_rule,
)

WHEN = datetime(2026, 11, 20, 10, 5, 7, 42_000, tzinfo=UTC)
CONFIG = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://lake/capture/p/m/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json", "application/jsonlines"],
    },
}


def invocation(variant="AllTraffic", when=WHEN, **changes):
    given = {
        "asked": Payload("text/csv", b"1,2,3"),
        "answered": Payload("application/json", b'{"p":0.3}'),
        "inference_id": "id-1",
        "custom_attributes": "team=a",
    }
    return Invocation(variant=variant, time=when, **(given | changes))


def test_line_has_sagemakers_shape():
    line = json.loads(capture_line(read_rule(CONFIG), invocation()))

    event_id = line["eventMetadata"].pop("eventId")
    assert str(uuid.UUID(event_id)) == event_id
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2,3",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": '{"p":0.3}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": {
            "inferenceId": "id-1",
            "customAttributes": ["team=a"],
            "inferenceTime": "2026-11-20T10:05:07Z",
        },
        "eventVersion": "0",
    }


def test_line_without_id_and_attributes_leaves_them_out():
    line = capture_line(read_rule(CONFIG), invocation(inference_id="", custom_attributes=""))

    assert set(json.loads(line)["eventMetadata"]) == {"eventId", "inferenceTime"}


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "data"),
    [
        ("text/csv; charset=utf-8", "ä,1\n2,3".encode(), "CSV", "ä,1\n2,3"),
        ("Application/JSON", b"[1]", "JSON", "[1]"),
        ("image/png", b"\x89PNG", "BASE64", base64.b64encode(b"\x89PNG").decode()),
        ("", b"x", "BASE64", "eA=="),
        ("text/csv", b"\xff\xfe", "BASE64", base64.b64encode(b"\xff\xfe").decode()),
    ],
)
def test_encoding_follows_the_content_type(content_type, body, encoding, data):
    line = capture_line(read_rule(CONFIG), invocation(asked=Payload(content_type, body)))

    captured = json.loads(line)["captureData"]["endpointInput"]
    assert (captured["encoding"], captured["data"]) == (encoding, data)


def test_without_content_type_headers_everything_is_base64():
    config = {key: value for key, value in CONFIG.items() if key != "CaptureContentTypeHeader"}

    assert read_rule(config).encoding("text/csv") == "BASE64"


@pytest.mark.parametrize(
    ("modes", "sides"),
    [
        (["Input"], {"endpointInput"}),
        (["Output"], {"endpointOutput"}),
        (["InputAndOutput"], {"endpointInput", "endpointOutput"}),
    ],
)
def test_capture_options_choose_the_sides(modes, sides):
    rule = read_rule(CONFIG | {"CaptureOptions": [{"CaptureMode": mode} for mode in modes]})

    assert set(json.loads(capture_line(rule, invocation()))["captureData"]) == sides


@pytest.mark.parametrize("config", [None, {}, CONFIG | {"EnableCapture": False}])
def test_capture_that_is_off(config):
    assert read_rule(config) is None


def test_key_is_sagemakers():
    key = object_key("capture/p/m", "e", "AllTraffic", WHEN)

    head, _, name = key.rpartition("/")
    assert head == "capture/p/m/e/AllTraffic/2026/11/20/10"
    assert name.startswith("05-07-042-")
    assert uuid.UUID(name.removeprefix("05-07-042-").removesuffix(".jsonl"))
    assert object_key("", "e", "v", WHEN).startswith("e/v/2026/")


class FakeBucket:
    """Keeps objects; refuses as often as it is told; can hold a writer up."""

    def __init__(self):
        self.objects = {}
        self.refusals = 0
        self.open = threading.Event()
        self.open.set()

    def put(self, bucket, key, body):
        self.open.wait(10)
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("S3 is away")
        self.objects[f"{bucket}/{key}"] = body.decode()

    def lines(self):
        return [line for body in self.objects.values() for line in body.splitlines()]


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_arrive_within_the_flush_time_grouped_by_variant_and_hour():
    bucket = FakeBucket()
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=0.05)
    writer.record(invocation())
    writer.record(invocation())
    writer.record(invocation(variant="B"))
    writer.record(invocation(when=WHEN.replace(hour=11)))

    until(lambda: len(bucket.lines()) == 4)
    writer.close()

    folders = sorted({key.rpartition("/")[0] for key in bucket.objects})
    assert folders == [
        "lake/capture/p/m/e/AllTraffic/2026/11/20/10",
        "lake/capture/p/m/e/AllTraffic/2026/11/20/11",
        "lake/capture/p/m/e/B/2026/11/20/10",
    ]


def test_many_lines_are_written_before_the_flush_time():
    bucket = FakeBucket()
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=60, flush_lines=3)
    for _ in range(3):
        writer.record(invocation())

    until(lambda: len(bucket.lines()) == 3)
    writer.close()


def test_close_writes_what_is_pending_and_nothing_when_there_is_nothing():
    bucket = FakeBucket()
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=60)
    writer.record(invocation())
    writer.close()
    idle = FakeBucket()
    CaptureWriter("e", read_rule(CONFIG), idle.put, flush_seconds=60).close()

    assert len(bucket.lines()) == 1
    assert idle.objects == {}


def test_recording_does_not_wait_for_s3():
    bucket = FakeBucket()
    bucket.open.clear()
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=0.01, flush_lines=1)
    began = time.monotonic()
    for _ in range(200):
        writer.record(invocation())
    took = time.monotonic() - began
    bucket.open.set()
    writer.close()

    assert took < 1
    assert len(bucket.lines()) == 200


@pytest.mark.filterwarnings("ignore")
def test_lines_wait_while_s3_is_away(caplog):
    bucket = FakeBucket()
    bucket.refusals = 2
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=0.02)
    writer.record(invocation())

    until(lambda: len(bucket.lines()) == 1)
    writer.close()

    assert "could not write" in caplog.text


def test_lines_that_cannot_be_written_at_the_end_are_logged(caplog):
    bucket = FakeBucket()
    bucket.refusals = 9
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=60)
    writer.record(invocation())
    writer.close()

    assert "lost 1 lines" in caplog.text


def test_memory_is_bounded(monkeypatch, caplog):
    monkeypatch.setattr(capture, "MAX_PENDING_BYTES", 20)
    bucket = FakeBucket()
    writer = CaptureWriter("e", read_rule(CONFIG), bucket.put, flush_seconds=60)
    writer.record(invocation())
    writer.record(invocation())
    writer.close()

    assert len(bucket.lines()) == 1
    assert "lost a line" in caplog.text


def test_sampling_keeps_a_share():
    bucket = FakeBucket()
    rule = read_rule(CONFIG | {"InitialSamplingPercentage": 30})
    writer = CaptureWriter("e", rule, bucket.put, flush_seconds=60, flush_lines=10**6)
    for _ in range(2000):
        writer.record(invocation())
    writer.close()

    assert 480 < len(bucket.lines()) < 720  # 30 % of 2000, six standard deviations either side


def test_sampling_of_zero_keeps_nothing():
    bucket = FakeBucket()
    rule = read_rule(CONFIG | {"InitialSamplingPercentage": 0})
    writer = CaptureWriter("e", rule, bucket.put, flush_seconds=60)
    for _ in range(100):
        writer.record(invocation())
    writer.close()

    assert bucket.objects == {}
