"""Logs on their way to CloudWatch: batched, bounded, and never in anybody's way."""

import time
import uuid

import pytest

from tidemill_local.sagemaker import logs as logs_module
from tidemill_local.sagemaker.logs import JobLogs, LogStream

from .conftest import client_of, eventually, log_lines

GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture
def job_logs(aws):
    sender = JobLogs(client_of("logs", aws))
    yield sender
    sender.close()


@pytest.fixture
def silent_logs():
    """Logs whose CloudWatch is a port where nobody listens."""
    sender = JobLogs(client_of("logs", "http://127.0.0.1:9"))
    yield sender
    sender.close()


def test_lines_arrive_in_order_whatever_the_batches(job_logs, logs):
    job = uuid.uuid4().hex
    stream = job_logs.open(GROUP, f"{job}/algo-1-0")
    count = 6_000
    for number in range(count):
        stream.write(b"line %d\n" % number)
    job_logs.finish(stream, timeout=20)

    streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=job)["logStreams"]
    assert [item["logStreamName"] for item in streams] == [f"{job}/algo-1-0"]
    token, lines = None, []
    while True:
        page = logs.get_log_events(
            logGroupName=GROUP,
            logStreamName=f"{job}/algo-1-0",
            startFromHead=True,
            **({"nextToken": token} if token else {}),
        )
        if not page["events"]:
            break
        lines += [event["message"] for event in page["events"]]
        token = page["nextForwardToken"]
    assert lines == [f"line {number}" for number in range(count)]


def test_two_streams_share_a_group(job_logs, logs):
    jobs = [uuid.uuid4().hex for _ in range(2)]
    streams = [job_logs.open(GROUP, f"{job}/algo-1-0") for job in jobs]
    for job, stream in zip(jobs, streams, strict=True):
        stream.write(f"{job}\n".encode())
        job_logs.finish(stream, timeout=20)

    assert [log_lines(logs, GROUP, job) for job in jobs] == [[job] for job in jobs]


def test_a_stream_that_somebody_deletes_is_made_again(job_logs, logs):
    job = uuid.uuid4().hex
    stream = job_logs.open(GROUP, f"{job}/algo-1-0")
    stream.write(b"before\n")
    eventually(lambda: log_lines(logs, GROUP, job) == ["before"], "the first line")
    logs.delete_log_stream(logGroupName=GROUP, logStreamName=f"{job}/algo-1-0")

    stream.write(b"after\n")

    eventually(lambda: log_lines(logs, GROUP, job) == ["after"], "the line after the deletion")


def test_lines_arrive_while_a_job_runs_after_a_time_without_any(job_logs, logs):
    first = job_logs.open(GROUP, f"{uuid.uuid4().hex}/algo-1-0")
    first.write(b"first\n")
    job_logs.finish(first, timeout=20)
    time.sleep(0.1)  # what sends them sleeps by now
    job = uuid.uuid4().hex

    job_logs.open(GROUP, f"{job}/algo-1-0").write(b"second\n")

    eventually(lambda: log_lines(logs, GROUP, job) == ["second"], "the second job's line, live")


def test_a_cloudwatch_that_does_not_answer_costs_a_job_at_most_its_patience(silent_logs):
    stream = silent_logs.open(GROUP, "job/algo-1-0")
    before = time.monotonic()
    for _ in range(1_000):
        stream.write(b"x" * 1_000 + b"\n")
    silent_logs.finish(stream, timeout=0.2)

    assert time.monotonic() - before < 2


def test_a_stream_that_cannot_be_sent_is_given_up_in_the_end(silent_logs, caplog):
    stream = silent_logs.open(GROUP, "job/algo-1-0")
    stream.write(b"lost\n")

    silent_logs.finish(stream, timeout=20)

    assert stream.drained.is_set()
    assert "lost the log /aws/sagemaker/ProcessingJobs/job/algo-1-0" in caplog.text


def test_the_backlog_is_bounded_and_says_what_it_dropped():
    stream = LogStream(GROUP, "job")
    stream.write(b"".join(b"%d\n" % number for number in range(50_003)))

    first = stream.take()
    assert "[3 lines were dropped here" in first[0]["message"]
    assert first[1]["message"] == "3"


def test_a_batch_keeps_to_what_one_call_may_carry():
    stream = LogStream(GROUP, "job")
    for _ in range(40):
        stream.write(b"y" * 59_000 + b"\n")

    sizes = []
    while batch := stream.take():
        sizes.append(sum(len(event["message"]) + 26 for event in batch))
    assert len(sizes) > 1
    assert all(size <= 1_048_576 for size in sizes)


def test_a_line_without_end_is_split():
    stream = LogStream(GROUP, "job")

    lines = stream.write(b"z" * 200_000)
    lines += stream.finish()

    assert "".join(lines) == "z" * 200_000
    assert max(map(len, lines)) <= 60_000


def test_a_batch_that_failed_goes_first_again():
    stream = LogStream(GROUP, "job")
    stream.write(b"a\nb\n")
    stream.give_back(stream.take())
    stream.write(b"c\n")

    assert [event["message"] for event in stream.take()] == ["a", "b", "c"]


def test_what_waits_is_bounded_however_long_its_lines_are(monkeypatch):
    monkeypatch.setattr(logs_module, "_BACKLOG_CHARACTERS", 100)
    stream = LogStream("group", "stream")
    stream.write(b"".join(b"%d" % digit * 30 + b"\n" for digit in range(9)))

    messages = [event["message"] for event in stream.take()]

    assert messages[0] == "[6 lines were dropped here: CloudWatch Logs did not answer]"
    assert [message[0] for message in messages[1:]] == ["6", "7", "8"]


def test_a_stream_without_end_keeps_its_beginning_and_its_last_words(monkeypatch):
    monkeypatch.setattr(logs_module, "_MOST_EVENTS", 3)
    monkeypatch.setattr(logs_module, "_LAST_LINES", 2)
    stream = LogStream("group", "stream")
    stream.write(b"1\n2\n3\n")
    assert [event["message"] for event in stream.take()] == ["1", "2", "3"]
    stream.write(b"4\n5\n6\n7\n")
    assert stream.take() == []
    stream.write(b"8\nlast")
    assert stream.take() == []

    stream.finish()

    assert [event["message"] for event in stream.take()] == [
        "[3 lines were dropped here: the stream is full]",
        "7",
        "8",
        "last",
    ]
