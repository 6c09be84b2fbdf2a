"""`why`: what happened to a model and why, and what it waits for now."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.output import coloured, local_time, named, put_json, say
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill_cli.stack import Stack

UNPLACED = "unplaced"  # as `tidemill.adapters.ledger` has it; a test keeps the two in step
MOST_LINES = 50
#: Object versions that are looked at for uploads without a verdict: five calls.
MOST_UPLOADS = 5_000


class ModelOrUnplaced(click.ParamType[str]):
    """A model, or `unplaced`."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        return UNPLACED if value == UNPLACED else MODEL.convert(value, param, ctx)


class Moment(click.ParamType[float]):
    """`2h` ago, or an ISO 8601 date or time; seconds since 1970 inside."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds since 1970."""
        from datetime import datetime

        from tidemill.spec.durations import parse_duration

        ago = parse_duration(str(value))
        if ago is not None:
            return time.time() - ago
        try:
            return datetime.fromisoformat(str(value)).astimezone().timestamp()
        except ValueError:
            self.fail(f"'{value}' is no time; write 2h, 1d or 2026-11-20", param, ctx)


@click.command()
@click.argument("model", type=ModelOrUnplaced())
@click.option("--since", type=Moment(), help="From so long ago (2h, 1d), or from a date on.")
@click.option(
    "--last", type=click.IntRange(min=1), help=f"So many entries (default: {MOST_LINES})."
)
@shared_options
@click.pass_obj
def why(session: Session, model: str, since: float | None, last: int | None) -> None:
    """
    Say what happened to MODEL and why, and what it waits for now.

    `tidemill why unplaced` lists the uploads that belong to no model.
    """
    from tidemill_cli.history import newest

    stack = session.stack
    most = last or (None if since is not None or session.as_json else MOST_LINES)
    entries = newest(stack, model, since=since, last=most)
    if not entries and model != UNPLACED:
        stack.stores.specs.get(model)  # says so when there is no such model
    rows = [_row(entry) for entry in entries] + _open_rows(stack, model)
    if session.as_json:
        put_json(rows)
        return
    now = time.time()
    if not rows:
        say(f"nothing is recorded of {model}" + (" since then" if since is not None else ""))
    for row in rows:
        _put(row, now)
    if most is not None and len(entries) == most:
        hint(session, f"the newest {most} entries; --last and --since show others")


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    facts = entry.get("facts") or {}
    return {
        "at": entry["at"],
        "kind": entry["kind"],
        "subject": entry["subject"],
        "verdict": entry["verdict"],
        "reason": entry["reason"],
        "next_step": facts.get("next_step"),
        "now": False,
    }


def _open_rows(stack: "Stack", model: str) -> list[dict[str, Any]]:
    """Return what is open as rows like the others, dated by when it began."""
    from tidemill.times import iso
    from tidemill_cli.standing import Standing

    if model == UNPLACED:
        return []
    return [
        {
            "at": iso(item.since),
            "kind": item.kind,
            "subject": item.subject,
            "verdict": item.state,
            "reason": item.said,
            "next_step": None,
            "now": True,
        }
        for item in Standing(stack, model).open(time.time(), uploads=MOST_UPLOADS)
    ]


def _put(row: dict[str, Any], now: float) -> None:
    from tidemill.times import seconds

    when = "now" if row["now"] else local_time(seconds(row["at"]), now)
    subject = row["subject"].rpartition("/")[2] if row["kind"] == "upload" else row["subject"]
    verdict = coloured(row["verdict"])
    click.echo(f"{when:<12}  {named(row['kind'], subject)}: {verdict}: {row['reason']}")
    if row["next_step"]:
        click.echo(f"{'':<12}  → {row['next_step']}")
