"""`doctor`: is everything in place, and if not, what is to be done."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import click

from tidemill_cli.failures import NO, YES
from tidemill_cli.output import put_json, say
from tidemill_cli.session import Session, shared_options

_MARKS = {"ok": ("ok", "green"), "wrong": ("wrong", "red"), "unseen": ("unseen", "yellow")}
_WIDTH = 14


@click.command()
@shared_options
@click.pass_obj
def doctor(session: Session) -> int:
    """
    Check that everything is in place: what is wrong, and its fix.

    That is credentials, stack, events, queues, roles, image, machines, and what failed and is tried
    again. What may not be looked at is said, and is no fault.

    Exit status: 0 nothing is wrong, 1 something is.
    """
    from tidemill_cli import checkup_flight, checkup_here, checkup_stack
    from tidemill_cli.checkup import Patient, examine

    patient = Patient(session.name, session.opener)
    found = []
    checks = (*checkup_here.CHECKS, *checkup_stack.CHECKS, *checkup_flight.CHECKS)
    for finding in examine(patient, checks):
        found.append(finding)
        if session.as_json:
            continue
        mark, colour = _MARKS[finding.status]
        click.echo(
            f"{click.style(f'{mark:<6}', fg=colour)}  {finding.check:<{_WIDTH}}  {finding.said}"
        )
        if finding.fix:
            click.echo(f"{'':<6}  {'':<{_WIDTH}}  → {finding.fix}")
    wrong = sum(finding.status == "wrong" for finding in found)
    if session.as_json:
        put_json(
            [
                {"check": item.check, "status": item.status, "said": item.said, "fix": item.fix}
                for item in found
            ]
        )
    else:
        unseen = sum(finding.status == "unseen" for finding in found)
        rest = f", {unseen} could not be seen" if unseen else ""
        say(f"{wrong} of {len(found)} findings are wrong{rest}")
    return NO if wrong else YES
