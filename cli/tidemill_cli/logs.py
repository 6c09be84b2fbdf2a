"""`logs`: what the functions and jobs of a run printed, step by step."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import MalformedError
from tidemill_cli.output import coloured, local_time, put_json, say
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill_cli.log_lines import Line, Part, RunLogs
    from tidemill_cli.stack import Stack

DEFAULT_TAIL = 200
#: CloudWatch answers so many events at once; more lines than that nobody reads on a terminal.
MOST_TAIL = 10_000
PAUSE_SECONDS = 2.0


@click.command()
@click.argument("target", metavar="[MODEL|RUN]")
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--tail",
    type=click.IntRange(1, MOST_TAIL),
    default=DEFAULT_TAIL,
    show_default=True,
    help="The last so many lines of each step.",
)
@click.option("--step", help="Only this step, such as Prepare or Train.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@shared_options
@click.pass_obj
def logs(
    session: Session, target: str, run: str | None, tail: int, step: str | None, *, follow: bool
) -> None:
    """
    Show what a run's functions and jobs printed, step by step.

    MODEL alone means its newest run.
    """
    if follow and session.as_json:
        raise MalformedError("--json prints one document; leave out --follow, or --json")
    from tidemill_cli.log_lines import RunLogs

    ref, record = _found(session.stack, target, run)
    logs_of = RunLogs(session.stack, ref, record)
    if follow:
        _follow(logs_of, tail, step)
        return
    parts = _chosen(logs_of.parts(tail), step)
    if session.as_json:
        put_json([part.to_json() for part in parts])
        return
    for part in parts:
        _put_heading(part)
        _put_lines(part.lines)
    if not any(part.lines for part in parts):
        say(f"nothing was logged of {record['run']}, or its logs have expired")
    for note in logs_of.notes:
        say(note)
    if record["status"] in ("starting", "running"):
        hint(session, f"{record['run']} is going; -f follows it")


def _found(stack: "Stack", target: str, run: str | None) -> tuple[str, dict[str, Any]]:
    """Return the model and the record of the run that was meant."""
    from tidemill_cli.runs import find_run, is_run, known_model

    if run is None and is_run(target):
        return find_run(stack, target)
    ref = known_model(stack, MODEL.convert(target, None, None))
    records = stack.stores.runs.of(ref)
    if run is None and not records:
        raise MalformedError(f"{ref} has no run yet; `tidemill why {ref}` says what came")
    record = next((item for item in records if item["run"] == run), None) if run else records[-1]
    if record is None:
        raise MalformedError(f"{ref} has no run {run}; `tidemill runs {ref}` lists them")
    return ref, record


def _chosen(parts: "list[Part]", step: str | None) -> "list[Part]":
    if step is None:
        return parts
    found = [part for part in parts if part.step.lower() == step.lower()]
    if not found:
        names = ", ".join(dict.fromkeys(part.step for part in parts)) or "none yet"
        raise MalformedError(f"the run has no step {step}; its steps: {names}")
    return found


def _follow(logs_of: "RunLogs", tail: int, step: str | None) -> None:
    """Print what is new until the run has ended and its last lines are read."""
    shown: dict[tuple[str, str | None], Counter[Line]] = {}
    heading: tuple[str, str | None] | None = None
    going = True
    while going:
        going = logs_of.refresh()
        for part in logs_of.parts(MOST_TAIL if shown else tail):
            if step and part.step.lower() != step.lower():
                continue
            name = (part.step, part.job)
            fresh = _fresh(part.lines, shown.setdefault(name, Counter()))
            if fresh and heading != name:
                _put_heading(part)
                heading = name
            _put_lines(fresh)
        if going:
            time.sleep(PAUSE_SECONDS)
    say(f"{logs_of.run} {logs_of.status}: {logs_of.reason or 'no reason is recorded'}")


def _fresh(lines: "list[Line]", shown: "Counter[Line]") -> "list[Line]":
    """Return the lines that were not shown yet, and count them; equal lines count apart."""
    here: Counter[Line] = Counter()
    fresh = []
    for line in lines:
        here[line] += 1
        if here[line] > shown[line]:
            shown[line] += 1
            fresh.append(line)
    return fresh


def _put_heading(part: "Part") -> None:
    of = f"  {part.job}" if part.job else ""
    click.echo(click.style(part.step, bold=True) + f"  {coloured(part.status)}{of}")
    if part.reason:
        click.echo(f"  {part.reason}")


def _put_lines(lines: "list[Line]") -> None:
    now = time.time()
    for line in lines:
        click.echo(f"  {local_time(line.at, now)}  {line.said}")
