"""`quarantine`: which uploads are set aside, what is wrong with one, and what people decide."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import MalformedError
from tidemill_cli.output import local_time, put_json, put_table, say
from tidemill_cli.session import (
    MODEL,
    Session,
    hint,
    parts,
    person,
    reasoned,
    shared_options,
)

if TYPE_CHECKING:
    from tidemill_cli.set_aside import Upload

_ROWS_SHOWN = 10


@click.group()
def quarantine() -> None:
    """Look at the uploads that are set aside, and decide about them."""


@quarantine.command("list")
@click.argument("model", type=MODEL, required=False)
@shared_options
@click.pass_obj
def list_(session: Session, model: str | None) -> None:
    """List the uploads that are set aside, newest first."""
    from tidemill_cli.set_aside import set_aside

    stack = session.stack
    if model:
        stack.stores.specs.get(model)
    refs = [model] if model else stack.stores.specs.refs()
    found = [upload for ref in refs for upload in set_aside(stack, ref)]
    found.sort(key=lambda upload: upload.at, reverse=True)
    if session.as_json:
        put_json([_row(upload) for upload in found])
        return
    now = time.time()
    put_table(
        [{**_row(upload), "when": _when(upload, now), "name": upload.name} for upload in found],
        {
            "when": "when",
            **({} if model else {"model": "model"}),
            "name": "upload",
            "rule": "rule",
            "rows": "rows",
            "reason": "reason",
        },
        empty="nothing is set aside",
    )
    if found:
        first = found[0]
        hint(session, f"`tidemill quarantine show {first.model} {first.name}` says more of one")


@quarantine.command()
@click.argument("model", type=MODEL)
@click.argument("upload")
@shared_options
@click.pass_obj
def show(session: Session, model: str, upload: str) -> None:
    """
    Show why an upload is set aside, down to row and column.

    UPLOAD is its name below the model's prefix, its key, or its version id.
    """
    from tidemill_cli.set_aside import reports_of, set_aside

    stack = session.stack
    stack.stores.specs.get(model)
    held = [item for item in set_aside(stack, model) if item.is_called(upload)]
    if not held:
        raise MalformedError(
            f"{model} has no upload {upload} that is set aside; "
            f"`tidemill quarantine list {model}` lists them"
        )
    found = max(held, key=lambda item: item.at)
    reports = reports_of(stack, found)
    if session.as_json:
        put_json({**_row(found), "reports": reports.documents, "html": reports.html})
        return
    click.echo(f"{found.key}  {found.version_id}")
    click.echo(f"set aside {_when(found, time.time())} by {found.rule or 'a rule without a name'}")
    click.echo(f"  {found.reason}")
    if found.next_step:
        click.echo(f"  → {found.next_step}")
    for document in reports.documents:
        _put_rows(document)
    if reports.html:
        say(f"a page for the data's owner: aws s3 cp {reports.html} .")


@quarantine.command()
@click.argument("model", type=MODEL)
@click.argument("uploads", metavar="UPLOAD...", nargs=-1, required=True)
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def release(session: Session, model: str, uploads: tuple[str, ...], why: str) -> None:
    """
    Use uploads of MODEL although they are set aside.

    Prepare reads what it can of them: rows that cannot be typed are left out, and said.
    """
    said = {**parts(model), "why": reasoned(why), "by": person()}
    meant = [_meant(session, model, upload) for upload in uploads]
    released = [
        session.stack.invoke("ReleaseUploadFunctionName", {**said, **upload}) for upload in meant
    ]
    if session.as_json:
        put_json(released)
    else:
        for upload in released:
            click.echo(f"released {upload['key']}")
    hint(session, f"a run reads {_what(released)}: `tidemill follow {model}`")


@quarantine.command("accept-as-contract")
@click.argument("model", type=MODEL)
@click.argument("upload")
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def accept_as_contract(session: Session, model: str, upload: str, why: str) -> None:
    """
    Widen MODEL's contract so that UPLOAD keeps it.

    What else is set aside and keeps the contract then is released with it.
    """
    said = {**parts(model), "why": reasoned(why), "by": person()}
    meant = {**said, **_meant(session, model, upload)}
    answer = session.stack.invoke("AcceptContractFunctionName", meant)
    released, after = list(answer["released"]), answer["next"]
    while after:  # the stack looks at a part at a time
        more = session.stack.invoke("AcceptContractFunctionName", {**meant, "after": after})
        released, after = released + more["released"], more["next"]
    if session.as_json:
        names = ("digest", "before", "differences", "consequences")
        put_json({**{name: answer[name] for name in names}, "released": released})
        return
    unchanged = answer["digest"] == answer["before"]
    click.echo(f"contract {answer['digest']} of {model} {'stays' if unchanged else 'is in force'}")
    for line in (*answer["differences"], *answer["consequences"]):
        click.echo(f"  {line}")
    for key in released:
        click.echo(f"released {key}")
    hint(session, f"`tidemill contract {model}` shows it; `tidemill follow {model}` what comes")


def _what(released: list[dict[str, Any]]) -> str:
    return "it" if len(released) == 1 else "them"


def _meant(session: Session, model: str, word: str) -> dict[str, str]:
    """Return key and version of the upload that a person called *word*; the stack judges it."""
    from tidemill_cli.set_aside import set_aside

    held = [item for item in set_aside(session.stack, model) if item.is_called(word)]
    if held:
        found = max(held, key=lambda item: item.at)
        return {"key": found.key, "version_id": found.version_id}
    return {"key": word if word.startswith("raw/") else f"raw/{model}/{word}"}


def _put_rows(document: dict[str, Any]) -> None:
    bad = document.get("bad") or {}  # admission's own document has none
    rows = bad.get("rows")
    if not rows:
        return
    click.echo()
    put_table(
        rows[:_ROWS_SHOWN],
        {"row": bad["unit"], "column": "column", "rule": "rule", "value": "value"},
        empty="",
    )
    if len(rows) > _ROWS_SHOWN:
        say(f"and {len(rows) - _ROWS_SHOWN} more; --json has them all")


def _row(upload: "Upload") -> dict[str, Any]:
    return {
        "key": upload.key,
        "model": upload.model,
        "verdict": "quarantine",
        "rule": upload.rule,
        "reason": upload.reason,
        "rows": upload.rows,
        "version_id": upload.version_id,
        "at": upload.at,
        "next_step": upload.next_step,
    }


def _when(upload: "Upload", now: float) -> str:
    from tidemill.times import seconds

    return local_time(seconds(upload.at), now)
