"""
Where captured traffic lies, and what a line of it holds: SageMaker's data capture, event version 0.

Objects are `<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/<MM-SS-mmm>-<uuid>.jsonl`, in UTC. Standard
library only: an endpoint that writes its own capture loads this.
"""

import json
import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

EVENT_VERSION: Final = "0"
HOUR_SECONDS: Final = 3_600
_HOUR = re.compile(r"/(\d{4})/(\d\d)/(\d\d)/(\d\d)/[^/]+$")


def object_key(prefix: str, endpoint: str, variant: str, time: float, unique: str) -> str:
    """
    Return the key of a new object.

    Args:
        prefix: Without a slash at its end.
        endpoint: Its name.
        variant: Its name.
        time: Of the object's first event, in seconds since 1970 UTC.
        unique: What tells it from every other object: a UUID.
    """
    at = datetime.fromtimestamp(time, UTC)
    stamp = f"{at:%M-%S}-{at.microsecond // 1000:03d}"
    return f"{prefix}/{endpoint}/{variant}/{at:%Y/%m/%d/%H}/{stamp}-{unique}.jsonl"


def hour_of(key: str) -> int | None:
    """Return the start of a key's hour in seconds since 1970 UTC; None when it names none."""
    found = _HOUR.search(key)
    if found is None:
        return None
    try:
        at = datetime(*map(int, found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]  # four
    except ValueError:
        return None
    return timegm(at.timetuple())


def payload(content_type: str, mode: str, encoding: str, data: str) -> dict[str, str]:
    """Return one direction of an event: *mode* is INPUT or OUTPUT, *encoding* CSV or JSON."""
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def line(
    captured: Mapping[str, Mapping[str, str]],
    *,
    event_id: str,
    time: float,
    inference_id: str = "",
    custom_attributes: str = "",
) -> str:
    """Return an event's line, with its end; *captured* has endpointInput and endpointOutput."""
    metadata: dict[str, Any] = {"eventId": event_id}
    if inference_id:
        metadata["inferenceId"] = inference_id
    if custom_attributes:
        metadata["customAttributes"] = [custom_attributes]
    metadata["inferenceTime"] = f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    event = {"captureData": captured, "eventMetadata": metadata, "eventVersion": EVENT_VERSION}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
