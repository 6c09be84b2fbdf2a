"""
Requests to rows, predictions to answers: CSV, JSON and JSON Lines, without a socket.

A row without names has the columns either as the uploads have them (without target and excluded
ones) or as the model reads them; the number of cells tells which.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple, Protocol

from tidemill_jobs.errors import JobError, ValueRefusedError
from tidemill_jobs.features import class_name

CSV: Final = "text/csv"
JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
ALIASES: Final = {
    CSV: CSV,
    JSON: JSON,
    JSON_LINES: JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}
UTF8: Final = ("utf-8", "utf8", "us-ascii")

Row = dict[str, Any]
Prediction = dict[str, Any]


class RequestRefusedError(JobError):
    """The request cannot be answered; `status` is the HTTP status that says so."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class SyntaxRefusedError(ValueRefusedError):
    """The body is not of the type that its Content-Type names."""


class ColumnsRefusedError(ValueRefusedError):
    """A row has not the columns that the model's rows have."""


class Columns(Protocol):
    """What must be known of a model to read its rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the model reads."""

    @property
    def header(self) -> tuple[str, ...]:
        """The uploads' columns, without target and excluded ones."""


class Request(NamedTuple):
    """The rows of a request; `shape` is how they were sent, and how JSON is answered."""

    rows: list[Row]
    shape: Literal["object", "list", "instances"]


@lru_cache(maxsize=16)
def negotiate(content_type: str, accept: str) -> tuple[str, str]:
    """
    Return what the body is and what the answer will be.

    Without an Accept, or with one that allows everything, the answer is of the request's type.

    Raises:
        RequestRefusedError: 415 for another type or character set, 406 for another Accept.
    """
    name, _, rest = content_type.partition(";")
    kind = ALIASES.get(name.strip().lower())
    if kind is None:
        raise RequestRefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type is '{name.strip()}'; send {CSV}, {JSON} or {JSON_LINES}.",
        )
    charset = rest.lower().partition("charset=")[2].strip(' "')
    if charset and charset not in UTF8:
        raise RequestRefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The character set is {charset}; send UTF-8."
        )
    ranges = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if ranges == [""]:
        return kind, kind
    for wanted in ranges:
        if wanted in ALIASES:
            return kind, ALIASES[wanted]
        if wanted in ("*/*", f"{kind.partition('/')[0]}/*"):
            return kind, kind
    raise RequestRefusedError(
        HTTPStatus.NOT_ACCEPTABLE, f"Accept is '{accept}'; ask for {CSV}, {JSON} or {JSON_LINES}."
    )


def parse(kind: str, body: bytes, features: Columns) -> Request:
    """
    Return the rows of a body.

    Raises:
        ValueRefusedError: Says which row or character is wrong, and what would do.
    """
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as exc:
        raise SyntaxRefusedError(
            f"The body is not UTF-8: byte 0x{exc.object[exc.start]:02x} at offset "
            f"{exc.start + len(body) - len(exc.object)}."
        ) from exc
    request = _PARSERS[kind](text, features)
    if not request.rows:
        raise ValueRefusedError("The request has no rows; send at least one.")
    return request


def render(
    kind: str, predictions: Sequence[Prediction], shape: Literal["object", "list", "instances"]
) -> bytes:
    """
    Return the answer's body.

    CSV has a line per row: the score, or in a multiclass problem the label. JSON has the shape of
    the request: an object, a list, or `{"predictions": […]}` for `{"instances": […]}`.
    """
    if kind == CSV:
        return _render_csv(predictions)
    if kind == JSON_LINES:
        return "".join(f"{_dump(prediction)}\n" for prediction in predictions).encode()
    answer: Any = list(predictions)
    if shape == "object":
        answer = predictions[0]
    elif shape == "instances":
        answer = {"predictions": answer}
    return _dump(answer).encode()


def _render_csv(predictions: Sequence[Prediction]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for prediction in predictions:
        score = prediction.get("score")
        writer.writerow([class_name(prediction["label"]) if score is None else repr(score)])
    return text.getvalue().encode()


def _parse_csv(text: str, features: Columns) -> Request:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as exc:
        raise SyntaxRefusedError(f"The body is not CSV: {exc}.") from exc
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return Request([], "list")
    header = _header(lines[0], features)
    if header is None:
        return Request([_named(row, n, features) for n, row in enumerate(lines, 1)], "list")
    rows = []
    for number, row in enumerate(lines[1:], start=1):
        if len(row) != len(header):
            raise ColumnsRefusedError(
                f"Row {number} has {len(row)} cells where the header has {len(header)}; send as "
                "many, with double quotes around a text that holds a comma."
            )
        rows.append(dict(zip(header, row, strict=True)))
    return Request(rows, "list")


def _header(cells: Sequence[str], features: Columns) -> Sequence[str] | None:
    """Return the first line if it names columns: at least half of those that the model reads."""
    named = set(cells) & set(features.names)
    if 2 * len(named) < len(features.names):
        return None
    repeated = next((name for name in cells if cells.count(name) > 1), None)
    if repeated is not None:
        raise ColumnsRefusedError(f"Two columns are called '{repeated}'; send each once.")
    return cells


def _parse_json(text: str, features: Columns) -> Request:
    document = _load(text, "The body")
    if isinstance(document, dict):
        if isinstance(document.get("instances"), list) and "instances" not in features.names:
            return Request(_rows(document["instances"], features), "instances")
        return Request([document], "object")
    if isinstance(document, list):
        return Request(_rows(document, features), "list")
    raise ColumnsRefusedError(
        'The body is neither an object nor a list; send {"column": value, …} or a list of such.'
    )


def _parse_json_lines(text: str, features: Columns) -> Request:
    lines = [line for line in text.split("\n") if line.strip()]
    rows = [_load(line, f"Row {number}") for number, line in enumerate(lines, start=1)]
    return Request(_rows(rows, features), "list")


def _load(text: str, what: str) -> Any:
    try:
        found, end = _decode(text)  # most are nothing but a value
        if end == len(text):
            return found
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SyntaxRefusedError(f"{what} is not JSON: {exc}.") from exc


def _rows(entries: Sequence[Any], features: Columns) -> list[Row]:
    return [
        entry if isinstance(entry, dict) else _named(entry, number, features)
        for number, entry in enumerate(entries, start=1)
    ]


def _named(cells: Any, number: int, features: Columns) -> Row:
    if not isinstance(cells, list):
        raise ColumnsRefusedError(
            f"Row {number} is neither an object nor a list of cells; send one of the two."
        )
    for names in (features.header, features.names):
        if len(cells) == len(names):
            return dict(zip(names, cells, strict=True))
    expected = f"{len(features.header)}, in this order: {', '.join(features.header)}"
    if len(features.names) != len(features.header):
        expected = f"{len(features.names)} as the model reads them ({', '.join(features.names)}) "
        expected += f"or {len(features.header)} as the uploads have them"
    raise ColumnsRefusedError(
        f"Row {number} has {len(cells)} cells; send {expected}; or name the columns."
    )


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once
_decode = json.JSONDecoder().raw_decode

_PARSERS: Final[dict[str, Callable[[str, Columns], Request]]] = {
    CSV: _parse_csv,
    JSON: _parse_json,
    JSON_LINES: _parse_json_lines,
}
