"""`apply`, `models`, `delete`: what models there are, and what they are told to be."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from tidemill_cli.failures import RefusedError
from tidemill_cli.output import local_time, put_json, put_table, say
from tidemill_cli.session import MODEL, Session, asked, hint, parts, reasoned, shared_options

if TYPE_CHECKING:
    from tidemill.spec.compiled import Spec
    from tidemill.spec.diff import Change
    from tidemill_cli.stack import Stack


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Show what would change; touch nothing.")
@shared_options
@click.pass_obj
def apply(session: Session, file: BinaryIO, *, dry_run: bool) -> None:
    """
    Put the spec in FILE in force, after showing what it changes.

    Applying the same file again changes nothing.
    """
    from tidemill.spec.compile import compile_spec
    from tidemill.spec.diff import diff, render

    spec = compile_spec(file.read(), source=getattr(file, "name", "<stdin>"))
    stack = session.stack
    before = stack.stores.specs.find(spec.ref)
    changes = diff(before, spec)
    if not session.as_json:
        new = [f"+ {change.path}: {change.after}" for change in changes]
        for line in new if before is None else render(changes):
            click.echo(line)
    if dry_run:
        _check_breaking(stack, spec, changes)
        changed = bool(changes)
    else:
        answer = stack.invoke(
            "ApplyModelFunctionName", {"spec": json.loads(spec.to_json()), "digest": spec.digest}
        )
        changed = bool(answer["changed"])
        for warning in answer.get("warnings", []):  # an older stack gives none
            say(warning)
    if session.as_json:
        put_json(
            {
                "model": spec.ref,
                "digest": spec.digest,
                "created": before is None,
                "changed": changed,
                "dry_run": dry_run,
                "changes": [asdict(change) for change in changes],
            }
        )
        return
    click.echo(_applied(spec, created=before is None, changed=changed, dry_run=dry_run))
    if before is None and not dry_run:
        hint(session, f"`tidemill upload {spec.ref} FILE…` sends it data")


def _applied(spec: "Spec", *, created: bool, changed: bool, dry_run: bool) -> str:
    if dry_run:
        return f"{spec.ref}: nothing was touched (--dry-run)"
    if not changed:
        return f"{spec.ref} is unchanged (spec {spec.digest})"
    return f"{spec.ref} is {'created' if created else 'changed'} (spec {spec.digest})"


def _check_breaking(stack: "Stack", spec: "Spec", changes: "list[Change]") -> None:
    """Refuse in a dry run what the stack would refuse."""
    refused = [change for change in changes if change.breaking]
    versions = len(stack.registry.versions(stack.aws_name(spec.ref))) if refused else 0
    if versions:
        said = "; ".join(f"{change}: {change.effect}" for change in refused)
        raise RefusedError(f"{spec.ref} has {versions} versions. {said}")


@click.command()
@shared_options
@click.pass_obj
def models(session: Session) -> None:
    """List the models: what is in service, and how the last run went."""
    rows = [_row(session.stack, ref) for ref in session.stack.stores.specs.refs()]
    if session.as_json:
        put_json(rows)
        return
    now = time.time()
    put_table(
        [{**item, "since": _when(item["in_service_since"], now)} for item in rows],
        {
            "model": "model",
            "in_service": "version",
            "since": "in service since",
            "last_run": "last run",
            "last_status": "status",
            "quarantined": "quarantined",
            "open": "open",
        },
        empty="no model yet; `tidemill apply model.yaml` makes one",
    )


def _row(stack: "Stack", ref: str) -> dict[str, Any]:
    from tidemill.times import iso
    from tidemill_cli.standing import Standing

    stores = stack.stores
    champion = stores.champions.find(ref) or {}
    applied = stores.specs.applied(ref) or {}
    runs = stores.runs.of(ref)
    last = runs[-1] if runs else {}
    waiting = [
        name
        for name, held in (
            ("delivery", stores.deliveries.open(ref)),
            ("trigger", stores.triggers.pending(ref)),
        )
        if held
    ]
    standing = Standing(stack, ref)
    waiting += [f"approval of version {version}" for version in standing.unapproved()]
    since = champion.get("since")
    return {
        "model": ref,
        "digest": applied.get("digest"),
        "applied": iso(applied["applied_at"]) if applied else None,
        "in_service": champion.get("version"),
        "in_service_since": iso(since) if since else None,
        "last_run": last.get("run"),
        "last_status": last.get("status"),
        "open": ", ".join(waiting) or None,
        "quarantined": standing.quarantined(),
    }


def _when(moment: str | None, now: float) -> str | None:
    from tidemill.times import seconds

    return local_time(seconds(moment), now) if moment else None


@click.command()
@click.argument("model", type=MODEL)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default="deleted with `tidemill delete`", help="The reason.")
@shared_options
@click.pass_obj
def delete(session: Session, model: str, *, yes: bool, why: str) -> None:
    """
    Take MODEL out of service: endpoint, pipeline and spec go.

    Uploads, versions and the ledger stay; applying the spec again goes on from there.
    """
    why = reasoned(why)
    session.stack.stores.specs.get(model)
    asked(
        yes=yes,
        question=f"Take {model} out of service? Its endpoint stops answering.",
        unasked=f"this takes {model} out of service",
        no=f"{model} stays as it is",
    )
    answer = session.stack.invoke("DeleteModelFunctionName", {**parts(model), "why": why})
    if session.as_json:
        put_json({"model": model, "deleted": answer["deleted"]})
        return
    for gone in answer["deleted"]:
        click.echo(f"deleted {gone}")
    click.echo(f"{model} is out of service")
    say("uploads, versions and the ledger stay; `tidemill apply` brings the model back")
