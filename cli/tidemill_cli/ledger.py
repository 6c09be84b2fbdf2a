"""`ledger`: prove that nobody changed the record, or take it out."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import NO, YES
from tidemill_cli.output import put_json, say
from tidemill_cli.session import Session, shared_options
from tidemill_cli.why import UNPLACED, ModelOrUnplaced

if TYPE_CHECKING:
    from tidemill.adapters.anchors import Anchors
    from tidemill.adapters.chain import Chain


@click.group()
def ledger() -> None:
    """Verify the ledger, or export it."""


@ledger.command()
@click.argument("model", type=ModelOrUnplaced(), required=False)
@shared_options
@click.pass_obj
def verify(session: Session, model: str | None) -> int:
    """
    Walk along the hash chain; name whatever was changed or removed.

    Without MODEL these are the ledgers of all models.

    Exit status: 0 nothing was changed, 1 something was.
    """
    from tidemill.adapters.verification import Verification

    chain, anchors = _chain(session), _anchors(session)
    verification = Verification(chain, anchors)
    rows = []
    for name in [model] if model else _models(session, anchors):
        walk, agreed = verification.verify(name, time.time())
        if model and not (walk.entries or walk.links or name == UNPLACED):
            session.stack.stores.specs.get(name)  # says so when there is no such model
        rows.append(
            {
                "model": name,
                "ok": not walk.findings,
                "entries": walk.entries,
                "links": walk.links,
                "unchained": walk.unchained,
                "expired": walk.expired,
                "anchors": agreed,
                "head": walk.head,
                "findings": [asdict(finding) for finding in walk.findings],
                "tampering": walk.tampering,
            }
        )
    if session.as_json:
        put_json(rows)
    else:
        for row in rows:
            _put(row)
    return YES if all(row["ok"] for row in rows) else NO


@ledger.command()
@click.argument("model", type=ModelOrUnplaced(), required=False)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where to: a folder per model, a file per month.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "jsonl"]),
    default="parquet",
    show_default=True,
)
@shared_options
@click.pass_obj
def export(session: Session, model: str | None, folder: Path, kind: str) -> None:
    """
    Write the ledger to files, one per model and month.

    What was written whole before is left as it is, so an export that was cut short goes on.
    """
    from tidemill_cli.exporting import Export

    task = Export(_chain(session), folder, kind)
    models = [model] if model else _models(session, _anchors(session))
    rows = [row for name in models for row in task.write(name, time.time())]
    if session.as_json:
        put_json(rows)
        return
    for row in rows:
        kept = "" if row["written"] else " (was there)"
        click.echo(f"{row['file']}: {_count(row['entries'], 'entry', 'entries')}{kept}")
    if not rows:
        say("the ledger has no entry yet")


def _chain(session: Session) -> "Chain":
    from tidemill.adapters.chain import Chain

    return Chain(session.stack.clients.dynamodb, session.stack.output("LedgerTable"))


def _anchors(session: Session) -> "Anchors":
    from tidemill.adapters.anchors import Anchors

    return Anchors(session.stack.clients.s3, session.stack.output("AnchorBucket"))


def _models(session: Session, anchors: "Anchors") -> list[str]:
    """Return all models that have a ledger: also what was deleted, as far as it was anchored."""
    from tidemill.adapters.state import CHAINS

    looked_at = {item["fact"] for item in session.stack.stores.state.under(CHAINS)}
    return sorted({*session.stack.stores.specs.refs(), *anchors.models(), *looked_at, UNPLACED})


def _put(row: dict[str, Any]) -> None:
    parts = [
        f"{_count(row['entries'], 'entry', 'entries')} in {_count(row['links'], 'link', 'links')}",
        f"{row['unchained']} not chained yet" if row["unchained"] else "",
        f"{row['expired']} removed when their time had come" if row["expired"] else "",
        f"{_count(row['anchors'], 'anchored head agrees', 'anchored heads agree')}",
    ]
    state = click.style("whole", fg="green") if row["ok"] else click.style("changed", fg="red")
    click.echo(f"{row['model']}: {state}: {', '.join(part for part in parts if part)}")
    for finding in row["findings"]:
        click.echo(f"  {finding['what']} {finding['subject']}: {finding['said']}")
    for said in row["tampering"]:
        click.echo(f"  recorded: {said}")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
