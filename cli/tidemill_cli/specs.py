"""`init` and `spec schema`: how a spec begins, and what editors may know of it."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import MalformedError, RefusedError
from tidemill_cli.output import put_json, say
from tidemill_cli.session import Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill_cli.suggestions import Suggestion

FILE, SCHEMA = "model.yaml", "model.schema.json"
NAME_LIMIT = 24  # as tidemill.spec.fields has it, which would load pydantic; a test compares
_NO_NAME = re.compile(r"[^a-z0-9]+")


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", metavar="FILE", required=True, help="A sample: a file as will be sent.")
@click.option("--target", metavar="COLUMN", required=True, help="What is predicted.")
@click.option("--project", metavar="NAME", help="The team's space (default: the directory's name).")
@click.option("--model", metavar="NAME", help="The model's name (default: the target's).")
@click.option(
    "--problem",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="What kind it is (default: guessed from the target).",
)
@shared_options
@click.pass_obj
def init(  # noqa: PLR0917  # click passes them by name
    session: Session,
    directory: Path,
    data: str,
    target: str,
    project: str | None,
    model: str | None,
    problem: str | None,
) -> None:
    """
    Write DIR/model.yaml from a sample, with comments.

    Nothing is sent anywhere, and no file is overwritten.
    """
    from tidemill_cli.samples import facts_of, format_of, require_read
    from tidemill_cli.spec_text import render
    from tidemill_cli.suggestions import suggest

    file = directory / FILE
    _refuse_existing(file)
    sample = Path(data)
    form = format_of(sample)
    facts = facts_of(sample, form)
    require_read(facts, sample)
    found = suggest(facts, target, problem)
    names = (
        project or _named(directory.absolute().name, "--project"),
        model or _named(target, "--model"),
    )
    text = render(found, project=names[0], model=names[1], form=form, sample=sample.name)
    _check(text, file)
    _write(file, text)
    if session.as_json:
        put_json(_document(file, names, form, facts, found))
        return
    click.echo(f"wrote {file}; {found.target} is {found.problem}: {found.because}")
    for remark in found.leaks:
        say(f"{remark.column} may be a leak: {remark.why}")
    for remark in found.texts:
        say(f"{remark.column} may be no input: {remark.why}")
    for warning in found.warnings:
        say(warning)
    hint(session, f"look through it, then: tidemill apply {file}")


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise RefusedError(f"{file} is there already and stays; name another directory")


def _named(text: str, option: str) -> str:
    """Return *text* as a project or model may be called."""
    name = _NO_NAME.sub("-", text.lower()).strip("-")[:NAME_LIMIT].rstrip("-")
    if not name:
        raise MalformedError(f"no name can be made of '{text}'; give one with {option}")
    return name


def _check(text: str, file: Path) -> None:
    """Refuse what would not compile, before anything is written; the names are the caller's."""
    from tidemill.spec.compile import compile_spec
    from tidemill.spec.errors import SpecError

    try:
        compile_spec(text, source=str(file))
    except SpecError as error:
        raise MalformedError(
            f"the spec of this sample would not compile; nothing was written\n{error}"
        ) from error


def _write(file: Path, text: str) -> None:
    """Write the spec and, beside it, the schema that its first line names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.parent / SCHEMA
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(text)
    except FileExistsError:
        _refuse_existing(file)  # somebody else was faster
    if not beside.exists():
        beside.write_text(schema_text(), encoding="utf-8")


def _document(
    file: Path, names: tuple[str, str], form: str, facts: dict[str, Any], found: "Suggestion"
) -> dict[str, Any]:
    return {
        "file": str(file),
        "model": "/".join(names),
        "format": form,
        "rows": facts["rows"],
        "target": found.target,
        "problem": found.problem,
        "because": found.because,
        "id": found.id,
        "timestamp": found.timestamp,
        "leaks": [{"column": item.column, "why": item.why} for item in found.leaks],
        "texts": [{"column": item.column, "why": item.why} for item in found.texts],
        "warnings": list(found.warnings),
    }


@click.group()
def spec() -> None:
    """Know what model.yaml may say."""


@spec.command()
@shared_options
@click.pass_obj
def schema(session: Session) -> None:  # noqa: ARG001  # it is JSON either way
    """Print the JSON Schema of model.yaml, for editors."""
    click.echo(schema_text(), nl=False)


def schema_text() -> str:
    """Return the JSON Schema of model.yaml."""
    from importlib.resources import files

    return (files("tidemill_cli") / SCHEMA).read_text(encoding="utf-8")


def schema_document() -> dict[str, Any]:
    """Return the same as a document."""
    return dict(json.loads(schema_text()))
