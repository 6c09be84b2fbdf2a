"""
Truth as JSON Lines: flat objects, or SageMaker's ground truth records; also both in one file.

Lines are independent of each other, so that one which cannot be read costs no other.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from tidemill_jobs import packed
from tidemill_jobs.errors import ReadError
from tidemill_jobs.values import is_missing

UTF8_BOM: Final = b"\xef\xbb\xbf"
LONGEST: Final = 1_048_576  # bytes of a line
_NAMES: Final = {
    "id": "id",
    "inferenceid": "inference_id",
    "eventid": "event_id",
    "row": "row",
    "time": "time",
    "label": "label",
}
_COLUMNS: Final = ("id", "inference_id", "event_id", "row", "time", "label")

Line = dict[str, str | None]


def read(path: Path, name: str, target: str | None) -> tuple[pl.DataFrame, int, int]:
    """
    Read the file.

    Args:
        path: The local file; one whose name ends in .gz or .zst is unpacked beside it.
        name: The object's name, for its ending.
        target: The model's target: a key of that name is taken as `label` too.

    Returns:
        Text columns by our names, those that occur; how many lines there are; and how many of
        them are no JSON object.

    Raises:
        ReadError: It is packed wrongly, or holds nothing.
    """
    found: list[Line] = []
    seen: set[str] = set()
    count = unreadable = 0
    with packed.unpack(path, name).open("rb") as file:
        for raw in _lines(file):
            count += 1
            document = _document(raw)
            if document is None:
                unreadable += 1
                continue
            for line in _of(document, target):
                found.append(line)
                seen |= line.keys()
    if not count:
        raise ReadError("the file is empty", rule="empty", next_step="upload it with lines")
    if not found:
        raise ReadError(
            f"none of its {count:,} lines is a JSON object",
            rule="no_usable_line",
            next_step='write an object a line, such as {"id": "…", "label": 1}',
        )
    columns = [column for column in _COLUMNS if column in seen]
    frame = pl.DataFrame(
        {column: [line.get(column) for line in found] for column in columns},
        schema=dict.fromkeys(columns, pl.String),
    )
    return frame, len(found) + unreadable, unreadable


def _lines(file: Any) -> Iterator[bytes]:
    first = True
    while raw := file.readline(LONGEST):
        text = raw.removeprefix(UTF8_BOM) if first else raw
        first = False
        whole = raw
        while len(whole) == LONGEST and not whole.endswith(b"\n"):  # the rest is nobody's label
            whole = file.readline(LONGEST)
            text = b"too long"
        if text.strip():
            yield text


def _document(raw: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):  # truncated, or no UTF-8
        return None
    return document if isinstance(document, dict) else None


def _of(document: dict[str, Any], target: str | None) -> list[Line]:
    if isinstance(document.get("groundTruthData"), dict):
        return _ground_truth(document, target)
    line: Line = {}
    for key, value in document.items():
        ours = _NAMES.get(key.strip().lower().replace("_", ""))
        if ours is not None:
            line.setdefault(ours, _text(value))
    if "label" not in line and target is not None and target in document:
        line["label"] = _text(document[target])
    return [line]


def _ground_truth(document: dict[str, Any], target: str | None) -> list[Line]:
    """Return a record's labels: one, or as many as the request had rows."""
    about, held = document.get("eventMetadata"), document["groundTruthData"]
    identity = _text(about.get("eventId")) if isinstance(about, dict) else None
    labels = _labels(held.get("data"), str(held.get("encoding", "CSV")).upper(), target)
    if len(labels) == 1:
        return [{"id": identity, "label": labels[0]}]
    rows = [{"id": identity, "row": str(n), "label": label} for n, label in enumerate(labels)]
    return list(rows) or [{"id": identity, "label": None}]


def _labels(data: Any, encoding: str, target: str | None) -> list[str | None]:
    if encoding == "BASE64" and isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return []
    if not isinstance(data, str):
        return _flat(data, target)
    if encoding == "JSON":
        try:
            return _flat(json.loads(data), target)
        except (ValueError, RecursionError):
            return []
    try:
        return [cell for row in csv.reader(io.StringIO(data, newline="")) for cell in row]
    except csv.Error:
        return []


def _flat(value: Any, target: str | None) -> list[str | None]:
    if isinstance(value, list):
        return [label for item in value for label in _flat(item, target)]
    if isinstance(value, dict):
        return [_text(value.get("label", value.get(target) if target else None))]
    return [_text(value)]


def _text(value: Any) -> str | None:
    """Write a value as CSV would have it; None where it is missing, or a structure."""
    match value:
        case str():
            return None if is_missing(value) else value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value == value and abs(value) < 2**53:  # noqa: PLR0124  # NaN differs
            return str(int(value)) if value.is_integer() else repr(value)
        case float() if value == value:  # noqa: PLR0124
            return repr(value)
    return None
