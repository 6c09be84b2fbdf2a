"""`contract`: what a model's uploads must hold."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from collections.abc import Mapping
from typing import Any

import click

from tidemill_cli.failures import RefusedError
from tidemill_cli.output import local_time, put_json, table
from tidemill_cli.session import MODEL, Session, hint, shared_options

_VALUES_SHOWN = 5
_MINUTE = 60.0


@click.command()
@click.argument("model", type=MODEL)
@shared_options
@click.pass_obj
def contract(session: Session, model: str) -> None:
    """
    Show the contract that MODEL's uploads are held against.

    It is inferred from the first good delivery, and frozen then.
    """
    from tidemill.times import iso
    from tidemill_cli.contracts import contract_of

    stack = session.stack
    stack.stores.specs.get(model)
    found = contract_of(stack, model)
    if found is None:
        raise RefusedError(
            f"{model} has no contract yet: the first delivery with good files gives it; "
            f"`tidemill why {model}` says what came"
        )
    document = found.document
    if session.as_json:
        put_json(
            {
                "model": model,
                "digest": found.digest,
                "uri": found.uri,
                "frozen": iso(found.at) if found.at is not None else None,
                "contract": document,
            }
        )
        return
    basis = document.get("basis", {})
    since = f", frozen {local_time(found.at, time.time())}" if found.at is not None else ""
    click.echo(f"contract {found.digest} of {model}{since}")
    click.echo(f"inferred from {basis.get('files')} files with {basis.get('rows'):,} rows")
    click.echo()
    roles = {document.get(role): role for role in ("target", "id", "timestamp")}
    columns = {
        "name": "column",
        "kind": "kind",
        "must": "must",
        "filled": "filled",
        "range": "range",
        "values": "values",
    }
    rows = [_row(name, held, roles) for name, held in document.get("columns", {}).items()]
    for line in table(rows, columns):
        click.echo(line)
    hint(session, "* stated in model.yaml under check.columns; breaking it breaks the contract")


def _row(name: str, held: Mapping[str, Any], roles: Mapping[Any, str]) -> dict[str, Any]:
    stated = set(held.get("stated", ()))

    def marked(text: str | None, *fields: str) -> str | None:
        return f"{text}*" if text and stated & set(fields) else text

    must = ["be there"] if held["required"] else []
    must += ["be unique"] if held["unique"] else []
    return {
        "name": f"{name} ({roles[name]})" if name in roles else name,
        "kind": marked(held["kind"] or "any", "type", "kind"),
        "must": marked(" and ".join(must), "required", "unique"),
        "filled": marked(f"{held['completeness']:.0%}", "completeness"),
        "range": marked(_range(held), "minimum", "maximum"),
        "values": marked(_values(held["values"]), "values"),
    }


def _range(held: Mapping[str, Any]) -> str | None:
    low, high = held["minimum"], held["maximum"]
    if low is None and high is None:
        return None
    ends = [_end(end, held["kind"]) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def _end(value: float | None, kind: str | None) -> str:
    from tidemill.times import iso

    if value is None:
        return "any"
    return iso(value * _MINUTE)[:16] if kind == "time" else f"{value:.6g}"


def _values(values: list[str] | None) -> str | None:
    if values is None:
        return None
    more = len(values) - _VALUES_SHOWN
    shown = ", ".join(map(str, values[:_VALUES_SHOWN]))
    return f"{shown} and {more} more" if more > 0 else shown
