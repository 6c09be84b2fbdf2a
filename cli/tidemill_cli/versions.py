"""`versions`, `approve`, `reject`, `rollback`: which version answers, and who said so."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any, Literal

import click

from tidemill_cli.output import local_time, put_json, put_table
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
    from tidemill_cli.stack import Stack

VERSION = click.IntRange(min=1)


@click.command()
@click.argument("model", type=MODEL)
@shared_options
@click.pass_obj
def versions(session: Session, model: str) -> None:
    """
    List MODEL's versions and which one is in service.

    The newest comes first.
    """
    stack = session.stack
    stack.stores.specs.get(model)
    rows = list(reversed(_rows(stack, model)))
    if session.as_json:
        put_json(rows)
        return
    from tidemill.times import seconds

    now = time.time()
    put_table(
        [
            {
                **item,
                "when": local_time(seconds(item["created"]), now),
                "place": _place(item),
            }
            for item in rows
        ],
        {
            "version": "version",
            "place": "place",
            "approval": "approval",
            "metric": "metric",
            "value": "value",
            "when": "created",
            "run": "run",
        },
        empty=f"{model} has no version yet; a run that passes the gate registers one",
    )


def _rows(stack: "Stack", ref: str) -> list[dict[str, Any]]:
    from tidemill.times import iso

    champion = stack.stores.champions.find(ref) or {}
    serving = champion.get("version") if _serves(stack, ref, champion) else None
    by_version = {run["version"]: run for run in stack.stores.runs.of(ref) if run.get("version")}
    rows = []
    for item in stack.registry.versions(stack.aws_name(ref)):
        run = by_version.get(item["version"], {})
        metric = run.get("metric") or {}
        rows.append(
            {
                "version": item["version"],
                "approval": item["approval"],
                "metric": metric.get("name"),
                "value": metric.get("value"),
                "created": iso(item["created"]),
                "run": run.get("run"),
                "in_service": item["version"] == serving,
                "previous": item["version"] == champion.get("previous"),
                "package": item["package"],
            }
        )
    return rows


def _serves(stack: "Stack", ref: str, champion: dict[str, Any]) -> bool:
    """Ask the endpoint itself: the record says only what was verified last."""
    if not champion:
        return False
    live = stack.endpoints.describe(stack.aws_name(ref))
    return live is not None and live["EndpointConfigName"] == champion["config"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("version", type=VERSION)
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def approve(session: Session, model: str, version: int, why: str) -> None:
    """Approve VERSION of MODEL; its rollout then starts."""
    _judge(session, model, version, "approve", why)
    hint(session, f"`tidemill follow {model}` shows its rollout")


@click.command()
@click.argument("model", type=MODEL)
@click.argument("version", type=VERSION)
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def reject(session: Session, model: str, version: int, why: str) -> None:
    """Reject VERSION of MODEL; what is in service stays."""
    _judge(session, model, version, "reject", why)


def _judge(
    session: Session, model: str, version: int, verdict: Literal["approve", "reject"], why: str
) -> None:
    from tidemill.times import iso

    answer = session.stack.invoke(
        "JudgeVersionFunctionName",
        {
            **parts(model),
            "version": version,
            "verdict": verdict,
            "why": reasoned(why),
            "by": person(),
            "id": iso(time.time()),  # boto3 may try twice; sorts by time in the ledger
        },
    )
    if session.as_json:
        put_json({"model": model, "version": answer["version"], "approval": answer["status"]})
    else:
        click.echo(f"version {answer['version']} of {model} is {answer['status']}")


@click.command()
@click.argument("model", type=MODEL)
@click.option("--to", "version", type=VERSION, help="The version (default: the previous one).")
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def rollback(session: Session, model: str, version: int | None, why: str) -> None:
    """Bring an earlier version of MODEL back into service."""
    from uuid import uuid4

    payload: dict[str, Any] = {**parts(model), "why": reasoned(why), "id": uuid4().hex}
    if version is not None:
        payload["version"] = version
    answer = session.stack.invoke("RequestRollbackFunctionName", payload)
    if session.as_json:
        put_json({"model": model, "version": answer["version"], "execution": answer["execution"]})
    else:
        click.echo(f"version {answer['version']} of {model} is being brought back into service")
    hint(session, f"`tidemill follow {model}` shows its rollout")


def _place(item: dict[str, Any]) -> str:
    if item["in_service"]:
        return "in service"
    return "previous" if item["previous"] else ""
