"""What a model answered, in the shapes in which models answer."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill_jobs.capture.body import read_body
from tidemill_jobs.capture.errors import UnreadableError
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.features import THRESHOLD
from tidemill_jobs.payload import CSV, JSON

LABELS: Final = ("label", "predicted_label", "prediction")
SCORES: Final = ("score", "probability")
PROBABILITIES: Final = ("probabilities", "scores")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One row's prediction.

    `prediction` is the class as text, or a regression's number; None where there is none.
    `probability` is a binary model's for the positive class, a multiclass model's for the
    predicted one, None where it was not told. `probabilities` are a multiclass model's, in the
    order of the classes.
    """

    prediction: str | float | None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None


def read_answers(part: Any, rows: int, schema: Schema) -> list[Answer | None]:
    """
    Return an answer per row of the request, None where it is no prediction (NaN, say).

    Raises:
        UnreadableError: `no_output`, `content_type`, `binary`, `malformed` or `other_rows`.
    """
    if part is None:
        raise UnreadableError("no_output", "no output was captured")
    kind, text = read_body(part)
    try:
        entries = _csv(text, rows) if kind == CSV else _json(text, kind)
    except (ValueError, RecursionError, csv.Error) as exc:
        raise UnreadableError("malformed", f"an answer that is no {kind} ({exc})") from exc
    if len(entries) != rows:
        raise UnreadableError("other_rows", f"{len(entries)} predictions for {rows} rows")
    return [_answer(entry, schema) for entry in entries]


def _csv(text: str, rows: int) -> list[Any]:
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    if len(lines) == 1 and rows > 1 and len(lines[0]) == rows:
        return lines[0]  # `0.1,0.2`: some images answer all rows on one line
    return [line[0] if len(line) == 1 else line for line in lines]


def _json(text: str, kind: str) -> list[Any]:
    if kind != JSON:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    document = json.loads(text)
    if isinstance(document, dict) and isinstance(document.get("predictions"), list):
        document = document["predictions"]
    return document if isinstance(document, list) else [document]


def _answer(entry: Any, schema: Schema) -> Answer | None:
    given: dict[str, Any] = {}
    if isinstance(entry, Mapping):
        for name, keys in (("label", LABELS), ("score", SCORES), ("all", PROBABILITIES)):
            given[name] = next((entry[key] for key in keys if entry.get(key) is not None), None)
    elif isinstance(entry, list) and len(entry) > 1:
        given["all"] = entry
    else:
        bare = entry[0] if isinstance(entry, list) and entry else entry
        given["score" if _number(bare) is not None else "label"] = bare
    read = {"regression": _regression, "binary": _binary}.get(schema.problem, _multiclass)
    return read(given, schema)


def _regression(given: Mapping[str, Any], _schema: Schema) -> Answer | None:
    for name in ("score", "label"):
        number = _number(given.get(name))
        if number is not None:
            return Answer(number)
    return None


def _binary(given: Mapping[str, Any], schema: Schema) -> Answer | None:
    score, label = _number(given.get("score")), _label(given.get("label"), schema)
    if given.get("all") is not None:
        shares = _shares(given["all"], schema)
        score = shares[-1] if shares else score
    if score is not None and not 0 <= score <= 1:
        score = None
    if label is None and score is not None:
        label = schema.classes[score >= THRESHOLD]
    return None if label is None else Answer(label, score)


def _multiclass(given: Mapping[str, Any], schema: Schema) -> Answer | None:
    shares = _shares(given.get("all"), schema)
    label = _label(given.get("label"), schema)
    if label is None and given.get("score") is not None:
        label = _label(given["score"], schema)  # classes that are numbers
    if shares is None:
        return None if label is None else Answer(label)
    if label is None:
        label = schema.classes[max(range(len(shares)), key=shares.__getitem__)]
    return Answer(label, shares[schema.classes.index(label)], shares)


def _label(value: Any, schema: Schema) -> str | None:
    """Return a class by its name; other texts are no class of this model."""
    if value is None or isinstance(value, list | dict):
        return None
    name = value if isinstance(value, str) else json.dumps(value)
    return name if name in schema.classes else None


def _shares(value: Any, schema: Schema) -> tuple[float, ...] | None:
    if isinstance(value, Mapping):
        if value.keys() != set(schema.classes):
            return None
        cells: Sequence[Any] = [value[name] for name in schema.classes]
    elif isinstance(value, list) and len(value) == len(schema.classes):
        cells = value
    else:
        return None
    numbers = [_number(cell) for cell in cells]
    return None if None in numbers else tuple(numbers)  # type: ignore[arg-type]  # none is None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
