"""
An endpoint's own capture, in SageMaker's layout: for serverless endpoints, and for redaction.

SageMaker captures nothing of a serverless endpoint, and knows no redaction. Answers never wait: a
request's thread appends to a bounded queue, or counts a loss; a thread of its own redacts, encodes
and writes. S3's errors are this thread's alone.
"""

import json
import logging
import random
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tidemill_jobs.capture.layout import HOUR_SECONDS, line, object_key, payload
from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Features
from tidemill_jobs.payload import CSV, JSON
from tidemill_jobs.redaction import Redaction, read_key

log = logging.getLogger(__name__)

MOST_BYTES: Final = 16 * 1_048_576  # of bodies and answers that wait
FLUSH_BYTES: Final = 4 * 1_048_576  # that are written before their time
FLUSH_EVENTS: Final = 1_000
CLOSE_SECONDS: Final = 20.0  # SageMaker waits 30 between SIGTERM and SIGKILL


class Store(Protocol):
    """S3, as the lake module offers it; may raise anything."""

    def find_text(self, uri: str) -> str | None:
        """Return a document, None where there is none."""

    def put_text(self, text: str, uri: str) -> None:
        """Write a document."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request that was answered; `time` in seconds since 1970 UTC."""

    content_type: str
    kind: str  # the content type without its parameters, by its one name
    body: bytes
    rows: list[dict[str, Any]]
    answer_type: str
    answer: bytes
    time: float
    inference_id: str = ""
    custom_attributes: str = ""

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.body) + len(self.answer)


class CaptureWriter:
    """
    Gathers what was asked and answered, and writes it in batches.

    Args:
        rule: What the rollout said.
        features: The model's columns.
        connect: Makes the store, in the writer's thread: boto3 takes a while to load.
    """

    def __init__(self, rule: Rule, features: Features, connect: Callable[[], Store]) -> None:
        self._rule = rule
        self._features = features
        self._connect = connect
        self._store: Store | None = None
        self._redaction: Redaction | None = None
        self._waiting: list[Answered] = []
        self._unsent: deque[tuple[str, str, int, int]] = deque()  # address, lines, bytes, events
        self._bytes = 0  # of both
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._failing = False
        self.dropped = 0
        self.written = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def record(self, answered: Answered) -> None:
        """Keep a request if the sampling says so. Never waits, never raises."""
        if random.random() * 100 >= self._rule.percent:  # noqa: S311 - sampling, no secret
            return
        with self._lock:
            if self._closed or self._bytes + answered.size > MOST_BYTES:
                self.dropped += 1
                return
            self._waiting.append(answered)
            self._bytes += answered.size
            enough = self._bytes >= FLUSH_BYTES or len(self._waiting) >= FLUSH_EVENTS
        if enough:
            self._wake.set()

    def close(self) -> None:
        """Write what waits, for at most 20 seconds; the rest is lost, and logged."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        with self._lock:
            lost = len(self._waiting) + sum(events for *_, events in self._unsent)
            self.dropped += lost
        log.info("capture_ended written=%d dropped=%d", self.written, self.dropped)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._rule.flush_seconds)
            self._wake.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        try:
            if not self._waiting and not self._unsent:
                return
            store = self._connected()
            self._encode()
            self._send(store)
            self._failing = False
        except Exception as exc:  # noqa: BLE001  # whatever S3 raises: answers go on
            if not self._failing:  # once, not twice a minute
                log.warning("capture_delayed %s", exc)
            self._failing = True
        if self.dropped > self._told:
            log.warning("capture_dropped events=%d", self.dropped - self._told)
            self._told = self.dropped

    def _connected(self) -> Store:
        """Return the store, with the key read: nothing is encoded without it."""
        if self._store is None:
            self._store = self._connect()
        if self._rule.redact and self._redaction is None:
            key = read_key(self._store, self._rule.key_uri)
            if key is None and self._rule.key_uri:
                raise JobError(f"there is no key at {self._rule.key_uri}; apply the model.")
            self._redaction = Redaction.of(self._features, self._rule.redact, key or b"")
        return self._store

    def _encode(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        hours: defaultdict[int, list[Answered]] = defaultdict(list)
        for answered in batch:
            hours[int(answered.time) // HOUR_SECONDS].append(answered)
        for group in hours.values():
            first = min(answered.time for answered in group)
            key = object_key(
                self._rule.prefix, self._rule.endpoint, self._rule.variant, first, str(uuid.uuid4())
            )
            lines = [text for text in map(self._try_line, group) if text]
            text, before = "".join(lines), sum(answered.size for answered in group)
            size = len(text.encode())
            with self._lock:
                self._bytes += size - before
                self.dropped += len(group) - len(lines)
                if lines:
                    self._unsent.append((self._rule.object_uri(key), text, size, len(lines)))

    def _try_line(self, answered: Answered) -> str:
        """Return a line; empty when it cannot be written, which costs no other line."""
        try:
            return self._line(answered)
        except Exception:
            log.exception("capture_refused")
            return ""

    def _line(self, answered: Answered) -> str:
        asked = payload(
            answered.content_type,
            "INPUT",
            "CSV" if answered.kind == CSV else "JSON",
            answered.body.decode("utf-8-sig"),
        )
        attributes = answered.custom_attributes
        if self._redaction is not None:
            rows = [self._redaction.row(row) for row in answered.rows]
            asked = payload(JSON, "INPUT", "JSON", json.dumps(rows, separators=(",", ":")))
            attributes = ""  # whatever the caller wrote there, nobody can redact it
        said = payload(
            answered.answer_type,
            "OUTPUT",
            "CSV" if answered.answer_type.startswith(CSV) else "JSON",
            answered.answer.decode(),
        )
        return line(
            {"endpointInput": asked, "endpointOutput": said},
            event_id=str(uuid.uuid4()),
            time=answered.time,
            inference_id=answered.inference_id,
            custom_attributes=attributes,
        )

    def _send(self, store: Store) -> None:
        """Write each batch under the name that it has: written twice, it is one object."""
        while self._unsent:
            uri, text, size, events = self._unsent[0]
            store.put_text(text, uri)
            with self._lock:
                self._unsent.popleft()
                self._bytes -= size
                self.written += events
