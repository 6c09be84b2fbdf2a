"""`predict`: ask a model's endpoint about rows in a file."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, cast

import click

from tidemill_cli.failures import MalformedError, RefusedError
from tidemill_cli.output import put_json
from tidemill_cli.session import MODEL, Session, shared_options

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from tidemill_cli.stack import Stack

Format = Literal["csv", "json", "jsonl"]
Row = dict[str, Any]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
#: SageMaker takes 6 MB per request, and gives an endpoint 60 s to answer it.
MOST_BYTES, MOST_ROWS = 5_000_000, 5_000
_BAD_REQUEST, _SERVER_FAULT = 400, 500


@click.command()
@click.argument("model", type=MODEL)
@click.argument("file")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "json", "jsonl")),
    help="How FILE is read (default: by its ending; needed for `-`).",
)
@shared_options
@click.pass_obj
def predict(session: Session, model: str, file: str, form: Format | None) -> None:
    """
    Ask MODEL about the rows in FILE.

    It prints one prediction per line. FILE (`-` is standard input) is CSV with a header, a JSON
    array of objects, or JSON Lines; .gz is unpacked.
    """
    known = form or format_of(file)
    stack = session.stack
    stack.stores.specs.get(model)
    answers: list[Any] = []
    asked = 0
    with _opened(file) as text:
        for chunk in chunks(read_rows(text, known, file)):
            answered = _ask(stack, model, chunk, first=asked + 1)
            asked += len(chunk)
            if session.as_json:
                answers += answered
            else:
                for answer in answered:
                    click.echo(line(answer))
    if not asked:
        raise MalformedError(f"{file} holds no row")
    if session.as_json:
        champion = stack.stores.champions.find(model) or {}
        put_json({"model": model, "version": champion.get("version"), "predictions": answers})


def format_of(file: str) -> Format:
    """
    Return the format that a file's ending means.

    Raises:
        MalformedError: It means none of ours.
    """
    endings = [ending.lower() for ending in Path(file).suffixes if ending.lower() != ".gz"]
    known = FORMATS.get(endings[-1]) if endings and file != "-" else None
    if known is None:
        what = "standard input" if file == "-" else file
        raise MalformedError(f"how is {what} to be read? Add --format csv, json or jsonl")
    return known


def read_rows(text: TextIO, form: Format, source: str) -> Iterator[Row]:
    """
    Yield a file's rows as objects; a CSV's values stay text, which the model reads by itself.

    Raises:
        MalformedError: Names the line and what is wrong with it.
    """
    try:
        match form:
            case "csv":
                yield from _csv_rows(text, source)
            case "json":
                yield from _json_rows(text, source)
            case "jsonl":
                yield from _json_lines(text, source)
    except UnicodeDecodeError as error:
        raise MalformedError(f"{source} is not UTF-8 text; save it as UTF-8") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise MalformedError(f"{source} is no whole gzip file; pack it again") from error


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """
    Cut *rows* into requests that SageMaker takes: at most 5 MB and 5,000 rows each.

    Raises:
        MalformedError: One row alone is larger.
    """
    chunk: list[Row] = []
    held = 2  # the brackets
    for number, row in enumerate(rows, start=1):
        size = len(json.dumps(row)) + 2  # json.dumps escapes: a character is a byte
        if size > MOST_BYTES:
            raise MalformedError(f"row {number} alone has more than {MOST_BYTES // 1_000_000} MB")
        if chunk and (held + size > MOST_BYTES or len(chunk) == MOST_ROWS):
            yield chunk
            chunk, held = [], 2
        chunk.append(row)
        held += size
    if chunk:
        yield chunk


def line(answer: Any) -> str:
    """Return one prediction as a line: the label and how sure it is, or the number."""
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) else json.dumps(answer)
    label, score = answer.get("label"), answer.get("score")
    if label is None:
        return json.dumps(score if score is not None else answer)
    named = label if isinstance(label, str) else json.dumps(label)
    sure = score if score is not None else answer.get("probabilities", {}).get(named)
    return named if sure is None else f"{named}\t{json.dumps(sure)}"


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    with ExitStack() as open_files:
        raw = sys.stdin.buffer if file == "-" else open_files.enter_context(_open(file))
        if file.lower().endswith(".gz"):
            raw = cast("BinaryIO", open_files.enter_context(gzip.open(raw)))
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        try:
            yield text
        finally:
            text.detach()  # the stack closes what is ours, and leaves standard input open


def _open(file: str) -> BinaryIO:
    path = Path(file)
    if path.is_dir():
        raise MalformedError(f"{file} is a directory; name one file")
    try:
        return path.open("rb")
    except OSError as error:
        raise MalformedError(f"{file} cannot be read: {error.strerror}") from error


def _csv_rows(text: TextIO, source: str) -> Iterator[Row]:
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise MalformedError(f"{source} is empty; its first line names the columns")
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise MalformedError(f"{source} names the column '{twice}' twice")
        for cells in reader:
            if not cells:
                continue  # a blank line
            if len(cells) != len(header):
                raise MalformedError(
                    f"{source}, line {reader.line_num}: {len(cells)} values, "
                    f"but the header names {len(header)} columns"
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise MalformedError(f"{source}, line {reader.line_num}: {error}") from error


def _json_rows(text: TextIO, source: str) -> Iterator[Row]:
    document = _parsed(text.read(), source, 1)
    rows = document if isinstance(document, list) else [document]
    for number, row in enumerate(rows, start=1):
        yield _object(row, f"{source}, row {number}")


def _json_lines(text: TextIO, source: str) -> Iterator[Row]:
    for number, content in enumerate(text, start=1):
        if content.strip():
            where = f"{source}, line {number}"
            yield _object(_parsed(content.strip(), source, number), where)


def _parsed(content: str, source: str, line_number: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = line_number + error.lineno - 1
        raise MalformedError(f"{source}, line {where}: this is no JSON ({error.msg})") from error
    except RecursionError as error:
        raise MalformedError(f"{source}: nested too deeply for rows") from error


def _object(row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise MalformedError(f"{where}: a row is an object with the columns as keys")
    return row


def _ask(stack: "Stack", model: str, rows: list[Row], *, first: int) -> list[Any]:
    from botocore.exceptions import ClientError

    try:
        answers = stack.endpoints.predict(stack.aws_name(model), rows)
    except ClientError as error:
        raise _failure(error, model, first, len(rows)) from error
    if len(answers) != len(rows):
        raise RefusedError(f"the endpoint answered {len(answers)} of {len(rows)} rows")
    return answers


def _failure(error: "ClientError", model: str, first: int, count: int) -> Exception:
    """Return what InvokeEndpoint's error means to whoever has the file."""
    answer: dict[str, Any] = dict(error.response)
    code, said = answer["Error"]["Code"], answer["Error"]["Message"]
    if code in ("ValidationError", "ValidationException"):
        return RefusedError(
            f"{model} has no version that answers ({said.rstrip('.')}); "
            f"`tidemill versions {model}` lists what there is"
        )
    if code == "ModelError":
        reason = _said_by_the_endpoint(str(answer.get("OriginalMessage") or said))
        rows = f"rows {first} to {first + count - 1}" if count > 1 else f"row {first}"
        status = answer.get("OriginalStatusCode", _SERVER_FAULT)
        if _BAD_REQUEST <= status < _SERVER_FAULT:
            counted = " (counting from 1)" if first > 1 else ""
            return MalformedError(f"the endpoint refused {rows}{counted}: {reason}")
        return RefusedError(f"the endpoint failed on {rows}: {reason}")
    return error


def _said_by_the_endpoint(message: str) -> str:
    """Return the sentence in an endpoint's answer: ours are `{"error": "…"}`."""
    try:
        document = json.loads(message)
    except ValueError:
        document = None
    return str(document.get("error", message) if isinstance(document, dict) else message).strip()
