"""`watch`: look at an endpoint's traffic now, and say what it comes to."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import NO, YES, RefusedError
from tidemill_cli.output import coloured, put_json, span
from tidemill_cli.runs import Duration
from tidemill_cli.session import MODEL, Session, hint, parts, shared_options

if TYPE_CHECKING:
    from tidemill_cli.stack import Stack

DEFAULT_TIMEOUT = "15m"
PAUSE_SECONDS = 1.0
#: What a look may come to without a person having to do anything about it.
IN_ORDER = ("same", "no_traffic", "too_few_rows", "suspected")


@click.command()
@click.argument("model", type=MODEL)
@click.option("--wait", is_flag=True, help="Wait until it is over, and say what it came to.")
@click.option("--timeout", type=Duration(), default=DEFAULT_TIMEOUT, show_default=True)
@shared_options
@click.pass_obj
def watch(session: Session, model: str, *, wait: bool, timeout: int) -> int:
    """
    Look at the traffic of MODEL's endpoint now.

    What was captured and not yet read is compared with what the version in service learned from.

    Exit status with --wait: 0 nothing drifted, 1 something did, or the look failed.
    """
    from uuid import uuid4

    stack = session.stack
    request = {**parts(model), "id": uuid4().hex}  # boto3 may try twice
    name = stack.invoke("RequestWatchFunctionName", request)["watch"]
    if not wait:
        if session.as_json:
            put_json({"model": model, "watch": name, "verdict": None, "reason": None})
        else:
            click.echo(f"asked for a look at the traffic of {model} ({name})")
        hint(session, f"`tidemill why {model}` says what comes of it; --wait waits for it")
        return YES
    entry = await_entry(stack, model, name, timeout)
    verdict, reason = entry["verdict"], entry["reason"]
    if session.as_json:
        put_json({"model": model, "watch": name, "verdict": verdict, "reason": reason})
    else:
        click.echo(f"{coloured(verdict.replace('_', ' '))}: {reason}")
    return YES if verdict in IN_ORDER else NO


def await_entry(
    stack: "Stack",
    model: str,
    name: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """
    Return what the ledger says of a look, as soon as it does.

    Raises:
        RefusedError: It did not within *timeout* seconds.
    """
    began = clock()
    while True:
        said = stack.stores.ledger.under(model, f"watch#{name}")
        if said:
            return said[-1]
        if clock() - began >= timeout:
            raise RefusedError(
                f"the look {name} goes on after {span(timeout)}; `tidemill why {model}` says what "
                "comes of it"
            )
        sleep(PAUSE_SECONDS)
