"""What jobs and endpoints print, on its way to CloudWatch Logs."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:  # the stubs are a development dependency
    from mypy_boto3_logs import CloudWatchLogsClient

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.25
_EVENTS_PER_CALL = 5_000  # the API allows 10,000 events and 1 MiB
_BYTES_PER_CALL = 900_000
_EVENT_OVERHEAD = 26  # bytes that CloudWatch counts per event
_LONGEST_LINE = 60_000  # bytes of a line; longer ones are split (an event may have 256 KiB)
_BACKLOG = 50_000  # lines kept per stream while CloudWatch does not answer
_BACKLOG_CHARACTERS = 32_000_000  # and how long they may be together
_MOST_EVENTS = 500_000  # of a stream, before only its last lines are kept
_LAST_LINES = 1_000
_ATTEMPTS = 3
_CONTROL = {code: f"#{code:03o}" for code in (*range(0x20), 0x7F)}


class LogStream:
    """
    One stream of a log group: takes bytes, never blocks, never raises.

    Lines are split at newlines and decoded as UTF-8 with replacement marks; control characters
    read as SageMaker's log agent writes them, `#011` for a tab: metric patterns rely on it. While
    CloudWatch Logs does not answer, at most 50,000 lines or 32 million characters wait; the oldest
    are dropped, and a line says how many. After 500,000 events only the last 1,000 lines are kept,
    and sent at the end: a program that prints without end must not fill the local cloud.
    """

    def __init__(self, group: str, name: str) -> None:
        self.group = group
        self.name = name
        self.lock = threading.Lock()
        self.closed = False
        self.drained = threading.Event()
        self.created = False
        self.failures = 0
        self._partial = b""
        self._waiting: deque[tuple[int, str]] = deque()
        self._dropped = 0
        self._size = 0
        self._taken = 0

    def write(self, data: bytes) -> list[str]:
        """Take what a process printed; return the lines that this completed."""
        with self.lock:
            *lines, self._partial = (self._partial + data).split(b"\n")
            while len(self._partial) > _LONGEST_LINE:
                lines.append(self._partial[:_LONGEST_LINE])
                self._partial = self._partial[_LONGEST_LINE:]
            return self._append(lines)

    def finish(self) -> list[str]:
        """Take a last line that no newline ended; the stream closes once all is sent."""
        with self.lock:
            lines, self._partial = ([self._partial] if self._partial else []), b""
            completed = self._append(lines)
            self.closed = True
            return completed

    def _append(self, lines: list[bytes]) -> list[str]:
        now = int(time.time() * 1000)
        decoded = [_readable(line) for line in lines]
        for line in decoded:
            for start in range(0, len(line), _LONGEST_LINE) or [0]:
                self._waiting.append((now, line[start : start + _LONGEST_LINE]))
                self._size += len(self._waiting[-1][1])
        self._drop(_BACKLOG)
        return decoded

    def _drop(self, most: int) -> None:
        """Keep so many lines, the last ones."""
        while len(self._waiting) > most or self._size > _BACKLOG_CHARACTERS:
            self._size -= len(self._waiting.popleft()[1])
            self._dropped += 1

    def take(self) -> list[dict[str, Any]]:
        """Remove and return the next batch of events; CloudWatch refuses empty messages."""
        with self.lock:
            full = self._taken >= _MOST_EVENTS
            if full and not self.closed:
                self._drop(_LAST_LINES)
                return []
            if self._dropped:
                why = "the stream is full" if full else "CloudWatch Logs did not answer"
                text = f"[{self._dropped} lines were dropped here: {why}]"
                moment = self._waiting[0][0] if self._waiting else int(time.time() * 1000)
                self._waiting.appendleft((moment, text))
                self._size += len(text)
                self._dropped = 0
            batch: list[dict[str, Any]] = []
            size = 0
            while self._waiting and len(batch) < _EVENTS_PER_CALL:
                moment, line = self._waiting[0]
                size += len(line.encode("utf-8", errors="replace")) + _EVENT_OVERHEAD
                if batch and size > _BYTES_PER_CALL:
                    break
                self._waiting.popleft()
                self._size -= len(line)
                batch.append({"timestamp": moment, "message": line or " "})
            batch.sort(key=lambda event: event["timestamp"])
            self._taken += len(batch)
            return batch

    def give_back(self, batch: list[dict[str, Any]]) -> None:
        """Put a batch that could not be sent back in front."""
        with self.lock:
            self._waiting.extendleft(
                (event["timestamp"], event["message"]) for event in reversed(batch)
            )
            self._size += sum(len(event["message"]) for event in batch)
            self._taken -= len(batch)

    def give_up(self) -> None:
        """Drop what waits, counting it."""
        with self.lock:
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._size = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send."""
        with self.lock:
            return not self._waiting


def _readable(line: bytes) -> str:
    text = line.rstrip(b"\r").decode("utf-8", errors="replace")
    return text if text.isprintable() else text.translate(_CONTROL)


class JobLogs:
    """
    Sends every open stream's lines to CloudWatch Logs, a few times a second, from one thread.

    Use: `stream = logs.open("/aws/sagemaker/TrainingJobs", "my-job/algo-1-1700000000")`, then
    `stream.write(bytes)`, and at the end `logs.finish(stream)`.
    """

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self._client = client
        self._streams: list[LogStream] = []
        self._groups: set[str] = set()
        self._wake = threading.Condition()
        self._urgent = False
        self._closing = False
        self._thread: threading.Thread | None = None

    def open(self, group: str, name: str) -> LogStream:
        """Return a new stream; group and stream appear in CloudWatch with the first lines."""
        stream = LogStream(group, name)
        with self._wake:
            self._streams.append(stream)
            self._wake.notify_all()  # it sleeps for good while there is no stream
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
                self._thread.start()
        return stream

    def finish(self, stream: LogStream, timeout: float = 1.0) -> list[str]:
        """
        Close a stream, waiting at most *timeout* seconds for its lines to arrive.

        Returns:
            The last line, if no newline ended it.
        """
        lines = stream.finish()
        with self._wake:
            self._urgent = True
            self._wake.notify_all()
        stream.drained.wait(timeout)
        return lines

    def close(self) -> None:
        """Send what waits, once, and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._client.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._closing and not self._urgent:
                    self._wake.wait(_FLUSH_SECONDS if self._streams else None)
                self._urgent = False
                streams = list(self._streams)
                closing = self._closing
            for stream in streams:
                self._send(stream)
                if stream.closed and stream.idle:
                    stream.drained.set()
                    with self._wake:
                        self._streams.remove(stream)
            if closing:
                return

    def _send(self, stream: LogStream) -> None:
        while batch := stream.take():
            try:
                self._create(stream)
                self._client.put_log_events(
                    logGroupName=stream.group,
                    logStreamName=stream.name,
                    logEvents=batch,  # type: ignore[arg-type]  # the stub wants its own TypedDict
                )
                stream.failures = 0
            except (BotoCoreError, ClientError) as error:
                stream.give_back(batch)
                stream.failures += 1
                stream.created = False  # someone may have deleted it
                self._groups.discard(stream.group)
                if stream.closed and stream.failures >= _ATTEMPTS:
                    logger.warning("lost the log %s/%s: %s", stream.group, stream.name, error)
                    stream.give_up()
                return

    def _create(self, stream: LogStream) -> None:
        if stream.group not in self._groups:
            self._exists(self._client.create_log_group, logGroupName=stream.group)
            self._groups.add(stream.group)
        if not stream.created:
            self._exists(
                self._client.create_log_stream,
                logGroupName=stream.group,
                logStreamName=stream.name,
            )
            stream.created = True

    def _exists(self, create: Any, **names: str) -> None:
        try:
            create(**names)
        except self._client.exceptions.ResourceAlreadyExistsException:
            return
