"""
Data capture: what an endpoint was asked and what it answered, as SageMaker writes it to S3.

One object holds the lines of about a second, under
`<DestinationS3Uri>/<endpoint>/<variant>/yyyy/mm/dd/hh/<MM-SS-mmm>-<uuid>.jsonl` (UTC). Answers
never wait: the request's thread only appends to a list; encoding and S3 are a thread's work.
"""

import base64
import json
import logging
import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

Put = Callable[[str, str, bytes], None]
"""(bucket, key, body) → S3; may raise, and is then asked again."""

FLUSH_SECONDS = 1.0
FLUSH_LINES = 500
MAX_PENDING_BYTES = 256 * 1024**2
_CLOSE_SECONDS = 10.0


@dataclass(frozen=True)
class CaptureRule:
    """A DataCaptureConfig, read."""

    percentage: int  # of the invocations, 0 to 100
    bucket: str
    prefix: str
    modes: frozenset[str]  # Input, Output
    csv_types: frozenset[str]
    json_types: frozenset[str]

    def encoding(self, content_type: str) -> str:
        """Return CSV, JSON or BASE64, as the configuration's content type headers say."""
        media = content_type.partition(";")[0].strip().lower()
        if media in self.csv_types:
            return "CSV"
        return "JSON" if media in self.json_types else "BASE64"


def read_rule(config: dict[str, Any] | None) -> CaptureRule | None:
    """Read a DataCaptureConfig; None when there is none or it captures nothing."""
    if not config or not config.get("EnableCapture"):
        return None
    options = {option["CaptureMode"] for option in config["CaptureOptions"]}
    headers = config.get("CaptureContentTypeHeader") or {}
    target = urlsplit(config["DestinationS3Uri"])
    return CaptureRule(
        percentage=config["InitialSamplingPercentage"],
        bucket=target.netloc,
        prefix=target.path.strip("/"),
        modes=frozenset({"Input", "Output"} if "InputAndOutput" in options else options),
        csv_types=frozenset(kind.lower() for kind in headers.get("CsvContentTypes", [])),
        json_types=frozenset(kind.lower() for kind in headers.get("JsonContentTypes", [])),
    )


@dataclass(frozen=True, slots=True)
class Payload:
    """One direction of an invocation."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Invocation:
    """One successful invocation."""

    variant: str
    asked: Payload
    answered: Payload
    time: datetime  # UTC
    inference_id: str = ""
    custom_attributes: str = ""

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.asked.body) + len(self.answered.body)


def capture_line(rule: CaptureRule, invocation: Invocation) -> str:
    """Return the JSON line that SageMaker would write, without the line's end."""
    data = {}
    if "Input" in rule.modes:
        data["endpointInput"] = _payload(rule, invocation.asked, "INPUT")
    if "Output" in rule.modes:
        data["endpointOutput"] = _payload(rule, invocation.answered, "OUTPUT")
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if invocation.inference_id:
        metadata["inferenceId"] = invocation.inference_id
    if invocation.custom_attributes:
        metadata["customAttributes"] = [invocation.custom_attributes]
    metadata["inferenceTime"] = invocation.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _payload(rule: CaptureRule, payload: Payload, mode: str) -> dict[str, str]:
    encoding = rule.encoding(payload.content_type)
    try:
        if encoding == "BASE64":
            data = base64.b64encode(payload.body).decode()
        else:
            data = payload.body.decode()
    except UnicodeDecodeError:  # the header promised text
        encoding, data = "BASE64", base64.b64encode(payload.body).decode()
    return {
        "observedContentType": payload.content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }


def object_key(prefix: str, endpoint: str, variant: str, time: datetime) -> str:
    """Return the key of a new capture object whose first line is of *time* (UTC)."""
    stamp = f"{time:%M-%S}-{time.microsecond // 1000:03d}"
    name = f"{endpoint}/{variant}/{time:%Y/%m/%d/%H}/{stamp}-{uuid.uuid4()}.jsonl"
    return f"{prefix}/{name}" if prefix else name


class CaptureWriter:
    """
    Buffers an endpoint's invocations and writes them to S3 in the background.

    Args:
        endpoint: Its name.
        rule: What to keep, and where.
        put: Writes one object.
        flush_seconds: How long a line may wait.
        flush_lines: How many lines may wait before an early write.
    """

    def __init__(
        self,
        endpoint: str,
        rule: CaptureRule,
        put: Put,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        flush_lines: int = FLUSH_LINES,
    ) -> None:
        self._endpoint = endpoint
        self._rule = rule
        self._put = put
        self._flush_seconds = flush_seconds
        self._flush_lines = flush_lines
        self._pending: list[Invocation] = []
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"capture-{endpoint}", daemon=True)
        self._thread.start()

    def record(self, invocation: Invocation) -> None:
        """Keep *invocation* if the sampling says so. Never blocks on S3 and never raises."""
        chance = random.random() * 100  # noqa: S311 - sampling, no secret
        if chance >= self._rule.percentage:
            return
        with self._lock:
            if self._closed or self._pending_bytes + invocation.size > MAX_PENDING_BYTES:
                logger.warning("data capture of %s lost a line: S3 is behind", self._endpoint)
                return
            self._pending.append(invocation)
            self._pending_bytes += invocation.size
            enough = len(self._pending) >= self._flush_lines
        if enough:
            self._wake.set()

    def close(self) -> None:
        """Write what is pending and end; what S3 refuses now is lost, and logged."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            self._flush()
        self._flush()
        if self._pending:
            logger.error("data capture of %s lost %d lines", self._endpoint, len(self._pending))

    def _flush(self) -> None:
        with self._lock:
            batch, self._pending = self._pending, []
            self._pending_bytes = 0
        groups: defaultdict[tuple[str, str], list[Invocation]] = defaultdict(list)
        for invocation in batch:
            groups[invocation.variant, f"{invocation.time:%Y%m%d%H}"].append(invocation)
        for (variant, _), group in groups.items():
            key = object_key(self._rule.prefix, self._endpoint, variant, group[0].time)
            lines = "".join(capture_line(self._rule, invocation) + "\n" for invocation in group)
            try:
                self._put(self._rule.bucket, key, lines.encode())
            except Exception:  # S3 may raise anything; the lines wait for the next turn
                logger.exception("data capture could not write s3://%s/%s", self._rule.bucket, key)
                with self._lock:
                    self._pending[:0] = group
                    self._pending_bytes += sum(invocation.size for invocation in group)


def now() -> datetime:
    """Return the time of an invocation, in UTC."""
    return datetime.now(UTC)
