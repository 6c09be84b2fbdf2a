"""`why`: what happened to a model and why, why something did not, and what it waits for now."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import MalformedError
from tidemill_cli.output import put_json, say
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
@click.option("--upload", metavar="KEY", help="Only one file, and what came of it.")
@click.option("--run", metavar="RUN", help="Only one run: what started it and what it brought.")
@shared_options
@click.pass_obj
def why(session: Session, /, model: str, **asked: Any) -> None:
    """
    Say what happened to MODEL and why, and what it waits for now.

    `tidemill why unplaced` lists the uploads that belong to no model.
    """
    from tidemill_cli import history, telling

    stack, about = session.stack, asked["upload"] or asked["run"]
    since, last = asked["since"], asked["last"]
    most = last or (None if since is not None or about or session.as_json else MOST_LINES)
    if asked["upload"] and asked["run"]:
        raise MalformedError("--upload and --run are two questions; ask one of them")
    if asked["upload"]:
        entries = history.of_upload(stack, model, asked["upload"])
    elif asked["run"]:
        entries = history.of_run(stack, model, asked["run"])
    else:
        entries = history.newest(stack, model, since=since, last=most)
    if not entries and model != UNPLACED:
        _known(stack, model)
    rows = [_row(model, entry) for entry in entries] + ([] if about else _open_rows(stack, model))
    if session.as_json:
        put_json(rows)
        return
    now = time.time()
    if not rows:
        say(telling.nothing(model, asked["upload"], since=since is not None))
    for line in telling.lines(rows, now):
        click.echo(line)
    if most is not None and len(entries) == most:
        hint(session, f"the newest {most} entries; --last and --since show others")


def _known(stack: "Stack", model: str) -> None:
    """Refuse a model that has neither a spec nor a ledger."""
    if not stack.stores.specs.applied(model) and not next(stack.stores.ledger.newest(model, 1), 0):
        stack.stores.specs.get(model)  # says so


def _report_of(model: str, entry: dict[str, Any]) -> str | None:
    """Return the command that shows what a finding rests on; of other entries none."""
    return f"tidemill drift {model} --open" if entry["kind"] == "finding" else None


def _row(model: str, entry: dict[str, Any]) -> dict[str, Any]:
    from tidemill.times import iso

    facts = entry.get("facts") or {}
    until = facts.get("until")
    return {
        "at": entry["at"],
        "kind": entry["kind"],
        "subject": entry["subject"],
        "verdict": entry["verdict"],
        "reason": entry["reason"],
        "next_step": facts.get("next_step") or _report_of(model, entry),
        "now": False,
        "until": until if until is None or isinstance(until, str) else iso(until),
        "rule": facts.get("rule"),
    }


def _open_rows(stack: "Stack", model: str) -> list[dict[str, Any]]:
    """Return what is open as rows like the others, dated by when it began."""
    from tidemill.times import iso
    from tidemill_cli.standing import Standing

    if model == UNPLACED:
        return []
    standing, now = Standing(stack, model), time.time()
    waiting = [
        {
            "at": iso(now),
            "kind": "version",
            "subject": f"version {version}",
            "verdict": "waiting",
            "reason": "it waits for an approval",
            "next_step": f"tidemill approve {model} {version} --why …",
            "now": True,
            "until": None,
            "rule": None,
        }
        for version in standing.unapproved()
    ]
    return [
        {
            "at": iso(item.since),
            "kind": item.kind,
            "subject": item.subject,
            "verdict": item.state,
            "reason": item.said,
            "next_step": item.next_step,
            "now": True,
            "until": iso(item.until) if item.until is not None else None,
            "rule": None,
        }
        for item in [*standing.open(now, uploads=MOST_UPLOADS), *standing.stuck()]
    ] + [*waiting, *_watch_rows(stack, model, now)]


def _watch_rows(stack: "Stack", model: str, now: float) -> list[dict[str, Any]]:
    """Return what the watch waits to tell, and what it waits for people to mend."""
    from tidemill.times import iso
    from tidemill_cli.looks import waiting_at

    waiting = waiting_at(stack, model, now)
    if waiting is None:
        return []
    return [
        {
            "at": iso(waiting.since),
            "kind": "watch",
            "subject": f"version {waiting.version}",
            "verdict": waiting.verdict,
            "reason": waiting.reason,
            "next_step": f"tidemill drift {model} --open",
            "now": True,
            "until": iso(waiting.until) if waiting.until is not None else None,
            "rule": None,
        }
    ]
