"""One captured line: the rows of a request, and what was answered to each."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tidemill_jobs.capture.answers import Answer, read_answers
from tidemill_jobs.capture.body import read_body
from tidemill_jobs.capture.errors import UnreadableError
from tidemill_jobs.capture.layout import HOUR_SECONDS
from tidemill_jobs.capture.lines import LINE_LIMIT
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.payload import CSV, ColumnsRefusedError, Row, SyntaxRefusedError, parse
from tidemill_jobs.values import show

_SURROGATE = re.compile(r"\\u[dD]")
FAR: Final = HOUR_SECONDS  # outside of the key's hour; less is a clock that is a little off


@dataclass(frozen=True, slots=True)
class Event:
    """
    One request.

    Args:
        event_id: SageMaker's.
        inference_id: The caller's, None when none was given.
        time: Of the request, in seconds since 1970 UTC.
        rows: Cells as given: texts of a CSV, values of JSON.
        answers: One per row, None where it cannot be read.
        unanswered: Why there are such, the reason and what was found.
    """

    event_id: str
    inference_id: str | None
    time: int
    rows: list[Row]
    answers: list[Answer | None]
    unanswered: UnreadableError | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What a line says before its bodies are read."""

    event_id: str
    inference_id: str | None
    time: int
    captured: Mapping[str, Any]


def read_head(line: bytes | None, hour: int | None) -> Head:
    """
    Read a line as far as its bodies.

    Args:
        line: Without its end; None when it is longer than a line may be.
        hour: The start of the hour under whose key it lies, None when that is not known.

    Raises:
        UnreadableError: `line_too_long`, `not_json`, `other_layout`, `no_time` or `clock_jump`.
    """
    if line is None:
        raise UnreadableError("line_too_long", f"a line of more than {LINE_LIMIT:,} bytes")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise UnreadableError("not_json", f"no JSON ({exc})") from exc
    try:
        captured, metadata = document["captureData"], document["eventMetadata"]
        event_id, inference_id = metadata["eventId"], metadata.get("inferenceId")
    except (KeyError, TypeError, AttributeError) as exc:
        raise UnreadableError("other_layout", f"no event of data capture ({exc!r})") from exc
    if not isinstance(event_id, str) or not event_id or not isinstance(captured, dict):
        raise UnreadableError("other_layout", "an event without id or data")
    inference_id = inference_id if isinstance(inference_id, str) else None
    if not _is_utf8(f"{event_id}{inference_id}"):
        raise UnreadableError("other_layout", "an id with half of a surrogate pair")
    time = _time(metadata.get("inferenceTime"))
    if hour is not None and not hour - FAR <= time < hour + HOUR_SECONDS + FAR:
        raise UnreadableError(
            "clock_jump", f"the time {metadata['inferenceTime']}, far from its key's hour"
        )
    return Head(event_id, inference_id, time, captured)


def read_event(head: Head, schema: Schema) -> Event:
    """
    Read the bodies. An answer that cannot be read does not lose the rows.

    Raises:
        UnreadableError: `no_input`, `content_type`, `binary`, `malformed`, `nested`,
            `other_columns` or `no_rows`.
    """
    rows = _rows(head.captured.get("endpointInput"), schema)
    answers: list[Answer | None] = [None] * len(rows)
    unanswered = None
    try:
        answers = read_answers(head.captured.get("endpointOutput"), len(rows), schema)
    except UnreadableError as exc:
        unanswered = exc
    if unanswered is None and None in answers:
        found = f"no prediction of a {schema.problem} model for row {answers.index(None) + 1}"
        unanswered = UnreadableError("no_prediction", found)
    return Event(head.event_id, head.inference_id, head.time, rows, answers, unanswered)


def _time(value: Any) -> int:
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise UnreadableError("no_time", f"the time {show(value)} without its zone")
        return math.floor(at.timestamp())
    except (TypeError, ValueError, OverflowError) as exc:
        raise UnreadableError("no_time", f"the time {show(value)}") from exc


def _rows(part: Any, schema: Schema) -> list[Row]:
    if part is None:
        raise UnreadableError("no_input", "no input was captured")
    kind, text = read_body(part)
    try:
        rows = parse(kind, text.encode(), schema).rows
    except SyntaxRefusedError as exc:
        raise UnreadableError("malformed", str(exc)) from exc
    except ColumnsRefusedError as exc:
        raise UnreadableError("other_columns", str(exc)) from exc
    except ValueRefusedError as exc:
        raise UnreadableError("no_rows", str(exc)) from exc
    except UnicodeEncodeError as exc:  # half of a surrogate pair
        raise UnreadableError("malformed", str(exc)) from exc
    if _SURROGATE.search(text) and not _is_utf8(json.dumps(rows, ensure_ascii=False)):
        raise UnreadableError("malformed", "text with half of a surrogate pair")
    if kind != CSV or not schema.wanted <= rows[0].keys():  # a CSV's rows have the same names
        for number, row in enumerate(rows, start=1):
            _check(row, number, schema)
    return rows


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _check(row: Row, number: int, schema: Schema) -> None:
    """Refuse a row of another model's; one that lacks a few columns is this model's."""
    named = [name for name in schema.names if name in row]
    if 2 * len(named) < len(schema.wanted):
        nested = next((name for name, cell in row.items() if isinstance(cell, dict | list)), None)
        if nested is not None:
            raise UnreadableError("nested", f"row {number} nests its cells in {show(nested)}")
        raise UnreadableError(
            "other_columns",
            f"row {number} has {len(named)} of the model's {len(schema.wanted)} columns",
        )
    for name in named:
        if isinstance(row[name], dict | list):
            raise UnreadableError("nested", f"row {number} nests values in the cell {show(name)}")
