"""
What batch transform does to data: splits a file into requests, and makes a file of the answers.

A record is a line (SplitType Line), a frame (RecordIO, TFRecord), or the whole file. Nothing of a
file is lost on the way: the requests of MultiRecord, laid end to end, are the file's own bytes,
unless a filter says otherwise.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tidemill_local.sagemaker.transform.filters import Filter, FilterError
from tidemill_local.sagemaker.transform.frames import FrameError, frames

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
_FORMATS = (CSV, JSON, JSON_LINES)
_OUTPUT = "SageMakerOutput"
_INPUT = "SageMakerInput"
_FILTERED = 4  # a line this many times too long is not read to see what a filter leaves of it


class DataError(Exception):
    """A file that cannot be transformed as asked; the words go to the job's data log."""


@dataclass(frozen=True)
class Rules:
    """
    How one job cuts, filters, joins and assembles.

    Attributes:
        by_line: SplitType Line.
        framed: SplitType RecordIO or TFRecord, by its name.
        single: BatchStrategy SingleRecord.
        max_bytes: Of a request's body; 0 is no limit.
        end_lines: AssembleWith Line.
        join: JoinSource Input.
        given: Which part of a record the model gets.
        kept: Which part of a result is stored.
        media_type: The records' format, without parameters; matters to filters and joins only.
    """

    by_line: bool = False
    framed: str = ""
    single: bool = False
    max_bytes: int = 0
    end_lines: bool = False
    join: bool = False
    given: Filter = field(default_factory=lambda: Filter("$"))
    kept: Filter = field(default_factory=lambda: Filter("$"))
    media_type: str = ""

    @property
    def processes(self) -> bool:
        """Whether answers are taken apart before they are stored."""
        return self.join or not self.kept.whole


@dataclass(frozen=True)
class Batch:
    """One request: its body, and the records in it as they came."""

    body: bytes
    records: list[bytes]


def can_process(media_type: str) -> bool:
    """Whether filters and joins understand records of this type."""
    return media_type in _FORMATS


def batches(source: BinaryIO, rules: Rules) -> Iterator[Batch]:
    """
    Yield a file's requests, in order.

    Raises:
        DataError: A record is larger than a request may be, or a filter does not fit it.
    """
    if not rules.by_line and not rules.framed:
        yield _whole(source, rules)
        return
    bodies: list[bytes] = []
    records: list[bytes] = []
    size = 0
    for record, body, alone in _pieces(source, rules):
        length = len(alone) if rules.single else len(body) - (rules.by_line and body[-1:] == b"\n")
        if _too_large(length, rules):
            raise _too_much(rules)
        if rules.single:
            yield Batch(alone, [record])
            continue
        if records and _too_large(size + length, rules):
            yield Batch(b"".join(bodies), records)
            bodies, records, size = [], [], 0
        bodies.append(body)
        records.append(record)
        size += len(body)
    if records:
        yield Batch(b"".join(bodies), records)


def result(batch: Batch, answer: bytes, rules: Rules) -> bytes:
    """
    Return what of an answer is stored, ended as AssembleWith says.

    Raises:
        DataError: The answer cannot be taken apart, or has not a record for each one sent.
    """
    if not rules.processes:
        return _ended(answer, rules)
    records = batch.records if rules.by_line else _records_of(batch.records[0], rules)
    answers = _records_of(answer, rules, len(records))
    if len(answers) != len(records):
        raise DataError(
            f"the algorithm answered {len(answers)} records to {len(records)}; to join or filter "
            "them there must be one for each"
        )
    pairs = zip(records, answers, strict=True)
    lines = [_stored(record, said, rules) for record, said in pairs]
    return _ended(b"\n".join(lines), rules)


def _whole(source: BinaryIO, rules: Rules) -> Batch:
    limit = rules.max_bytes
    content = source.read(limit + 1) if limit else source.read()
    if _too_large(len(content), rules):
        raise _too_much(rules)
    if rules.given.whole:
        body = content
    else:
        parts = [_given(record, rules) for record in _records_of(content, rules)]
        body = b"\n".join(parts)
    return Batch(body, [content])


def _pieces(source: BinaryIO, rules: Rules) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield each record as it is, as it is sent among others, and as it is sent alone."""
    if rules.by_line:
        for record in _lines(source, rules):
            body = _given(record, rules)
            yield record, body, body.rstrip(b"\r\n")
        return
    try:
        for frame in frames(source, rules.framed, rules.max_bytes):
            yield frame.raw, frame.raw, frame.payload
    except FrameError as error:
        raise DataError(str(error)) from error


def _lines(source: BinaryIO, rules: Rules) -> Iterator[bytes]:
    """Yield lines with their ends; one that is far too long is not read to its end."""
    limit = rules.max_bytes
    longest = limit * _FILTERED + 2 if limit else -1
    while line := source.readline(longest):
        if len(line) == longest and not line.endswith(b"\n"):
            raise _too_much(rules)
        yield line


def _given(record: bytes, rules: Rules) -> bytes:
    """Return what the model gets of a record, with the record's own end of line."""
    if rules.given.whole:
        return record
    content = record.rstrip(b"\r\n")
    return _written(_selected(_read(content, rules), rules.given), rules) + record[len(content) :]


def _stored(record: bytes, answer: bytes, rules: Rules) -> bytes:
    said = _read(answer, rules)
    if rules.join:
        said = _joined(_read(record.rstrip(b"\r\n"), rules), said)
    return _written(_selected(said, rules.kept), rules)


def _joined(record: Any, answer: Any) -> Any:
    if isinstance(record, _Row):
        return _Row([*record, *answer])
    if isinstance(record, dict):
        return record | {_OUTPUT: answer}
    return {_INPUT: record, _OUTPUT: answer}


def _records_of(content: bytes, rules: Rules, expected: int | None = None) -> list[bytes]:
    """Cut a body into records: lines, but for JSON, which may be one document of many lines."""
    if rules.media_type == JSON and (expected == 1 or not rules.by_line):
        return [content]
    return content.removesuffix(b"\n").split(b"\n") if content else []


class _Row(list[str]):
    """A row of CSV."""


def _read(record: bytes, rules: Rules) -> Any:
    try:
        text = record.decode()
        if rules.media_type == CSV:
            return _Row(next(csv.reader([text], strict=True), []))
        return json.loads(text)
    except (ValueError, csv.Error) as error:
        raise DataError(f"a record is not {rules.media_type}: {error}") from error


def _selected(value: Any, wanted: Filter) -> Any:
    try:
        return wanted.select(value)
    except FilterError as error:
        raise DataError(str(error)) from error


def _written(value: Any, rules: Rules) -> bytes:
    if rules.media_type != CSV:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return row.getvalue().encode()


def _ended(answer: bytes, rules: Rules) -> bytes:
    if not rules.end_lines or answer.endswith(b"\n"):
        return answer
    return answer + b"\n"


def _too_large(size: int, rules: Rules) -> bool:
    return bool(rules.max_bytes) and size > rules.max_bytes


def _too_much(rules: Rules) -> DataError:
    return DataError(
        f"Too much data for max payload size: a record has more than {rules.max_bytes} bytes"
    )
