"""`fault`: what goes wrong on the local cloud because somebody wants to see what happens then."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tidemill_cli.cloud import launcher, state_option
from tidemill_cli.output import put_json, put_table
from tidemill_cli.session import Session, shared_options

_COLUMNS = {"id": "id", "kind": "kind", "where": "where", "how": "how often", "struck": "struck"}


@click.group()
def fault() -> None:
    """Rehearse misfortune on the local cloud."""


@fault.command()
@click.argument("kind")
@click.option("--operation", metavar="GLOB", help="Operations to strike, such as 'Create*Job'.")
@click.option("--event", metavar="GLOB", help="Detail types to strike, such as 'Object Created'.")
@click.option("--name", metavar="GLOB", help="Resources to strike; objects are <bucket>/<key>.")
@click.option("--after", metavar="N", type=click.IntRange(0), help="Spare the first N.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="Strike at most N times.")
@click.option("--probability", metavar="P", type=float, help="Strike this share (0 to 1).")
@click.option("--seed", metavar="N", type=int, help="Draw the share the same way again.")
@click.option("--seconds", metavar="S", type=float, help="How long it takes, if it takes time.")
@state_option
@shared_options
@click.pass_obj
def add(session: Session, /, kind: str, state: Path | None, **scope: Any) -> None:
    """Have something go wrong from now on (see docs/rehearse.md)."""
    found = launcher().faults(state).add(kind, **scope)
    if session.as_json:
        put_json(found.to_json())
    else:
        click.echo(f"{found.id}: {found.says}")


@fault.command("list")
@state_option
@shared_options
@click.pass_obj
def list_faults(session: Session, state: Path | None) -> None:
    """Show what goes wrong, and how often it has."""
    found = [one.to_json() for one in launcher().faults(state).list()]
    if session.as_json:
        put_json(found)
        return
    put_table([_shown(one) for one in found], _COLUMNS, "nothing goes wrong on purpose")


@fault.command()
@click.argument("fault_id", metavar="ID")
@state_option
@shared_options
@click.pass_obj
def remove(session: Session, fault_id: str, state: Path | None) -> None:
    """End one fault; it struck as often as is said."""
    _put_gone(session, [launcher().faults(state).remove(fault_id).to_json()], one=True)


@fault.command()
@state_option
@shared_options
@click.pass_obj
def clear(session: Session, state: Path | None) -> None:
    """End all faults."""
    gone = [one.to_json() for one in launcher().faults(state).clear()]
    _put_gone(session, gone, one=False)


def _put_gone(session: Session, gone: list[dict[str, Any]], *, one: bool) -> None:
    if session.as_json:
        put_json(gone[0] if one else gone)
        return
    for each in gone:
        click.echo(f"{each['id']} ({each['kind']}) is over; it struck {_times(each['struck'])}")
    if not gone:
        click.echo("there was no fault")


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    where = [found[field] for field in ("operation", "event") if found[field]]
    where += [found["name"]] if found["name"] != "*" else []
    how = [f"after {found['after']}"] if found["after"] else []
    how += [_times(found["count"])] if found["count"] is not None else []
    how += [f"{found['probability']:.0%}"] if found["probability"] < 1 else []
    return {
        "id": found["id"],
        "kind": found["kind"],
        "where": " ".join(where) or "everywhere",
        "how": ", ".join(how) or "always",
        "struck": f"{found['struck']} of {found['seen']}",
    }


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
