"""`dlq`: what the stack could not deliver, and how it gets another chance."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import NO, YES, MalformedError, RefusedError
from tidemill_cli.output import local_time, put_json, say, table
from tidemill_cli.session import Session, asked, hint, shared_options

if TYPE_CHECKING:
    from tidemill_cli.dead_letters import DeadLetterQueue, DeadLetters, Letter

DEFAULT_MOST = 10
#: Of a body, as much as fits a few lines; `--json` has it whole.
SHOWN_CHARACTERS = 300


@click.group()
def dlq() -> None:
    """Show what could not be delivered, or send it again."""


@dlq.command()
@click.argument("queue", required=False)
@click.option(
    "--most",
    type=click.IntRange(0, 1000),
    default=DEFAULT_MOST,
    show_default=True,
    help="So many messages of each queue.",
)
@shared_options
@click.pass_obj
def show(session: Session, queue: str | None, most: int) -> None:
    """Show what waits in each queue, since when and why; it stays."""
    letters = _letters(session)
    rows = [
        (found, letters.peek(found, most) if most and found.waiting else [])
        for found in _chosen(letters, queue)
    ]
    if session.as_json:
        put_json([_row(found, held) for found, held in rows])
        return
    now = time.time()
    columns = {"queue": "queue", "waiting": "waiting", "since": "since", "source": "of"}
    for line in table([_short(found, held, now) for found, held in rows], columns):
        click.echo(line)
    for found, held in rows:
        for letter in held:
            _put(found, letter, now)
        if found.taken:
            say(f"{found.name}: {found.taken} more are being read by somebody else just now")
    if any(found.waiting for found, _ in rows):
        hint(session, "`tidemill dlq redrive` sends them again, once their cause is mended")


@dlq.command()
@click.argument("queue", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared_options
@click.pass_obj
def redrive(session: Session, queue: str | None, *, yes: bool) -> int:
    """
    Send what waits in the dead-letter queues to where it came from.

    A message is deleted only after it was sent, so none is lost; one may come twice.
    """
    letters = _letters(session)
    full = [found for found in _chosen(letters, queue) if found.waiting]
    count = sum(found.waiting for found in full)
    what = f"{count} message{'s' if count != 1 else ''}"
    if full:
        asked(
            yes=yes,
            question=f"Send {what} from {', '.join(item.name for item in full)} again?",
            unasked=f"this sends {what} again",
            no="the messages stay where they are",
        )
    done = [letters.redrive(found) for found in full]
    if session.as_json:
        put_json(
            [
                {
                    "queue": item.queue,
                    "to": list(item.to),
                    "moved": item.moved,
                    "kept": item.kept,
                    "reason": item.reason,
                    "going": item.going,
                }
                for item in done
            ]
        )
    else:
        for item in done:
            to = f" to {', '.join(item.to)}" if item.to else ""
            rest = "; SQS is still moving the rest" if item.going else ""
            click.echo(f"{item.queue}: moved {item.moved}{to}{rest}")
            if item.kept:
                say(f"tidemill: {item.queue}: {item.kept} stay: {item.reason or 'SQS kept them'}")
        if not done:
            say("nothing waits in a dead-letter queue")
    return NO if any(item.kept for item in done) else YES


def _letters(session: Session) -> "DeadLetters":
    from tidemill_cli.dead_letters import DeadLetters

    return DeadLetters(session.stack)


def _chosen(letters: "DeadLetters", queue: str | None) -> "list[DeadLetterQueue]":
    """Return the queues that were meant, by their own name or by the queue that they serve."""
    found = letters.queues()
    if not found:
        raise RefusedError("the stack has no dead-letter queue; deploy this version of it")
    if queue is None:
        return found
    meant = [
        item for item in found if queue.lower() in (item.name.lower(), str(item.source).lower())
    ]
    if not meant:
        names = ", ".join(item.name for item in found)
        raise MalformedError(f"there is no dead-letter queue {queue}; the stack's: {names}")
    return meant


def _since(held: "list[Letter]") -> float | None:
    return min((letter.sent_at for letter in held), default=None)


def _row(queue: "DeadLetterQueue", held: "list[Letter]") -> dict[str, Any]:
    from tidemill.times import iso

    since = _since(held)
    return {
        "queue": queue.name,
        "source": queue.source,
        "waiting": queue.waiting,
        "since": iso(since) if since else None,
        "messages": [
            {
                "id": letter.id,
                "sent": iso(letter.sent_at),
                "why": letter.why,
                "target": letter.target,
                "body": letter.body,
            }
            for letter in held
        ],
    }


def _short(queue: "DeadLetterQueue", held: "list[Letter]", now: float) -> dict[str, Any]:
    since = _since(held)
    return {
        "queue": queue.name,
        "waiting": queue.waiting,
        "since": local_time(since, now) if since else None,
        "source": queue.source or "events and calls that found no taker",
    }


def _put(queue: "DeadLetterQueue", letter: "Letter", now: float) -> None:
    click.echo(f"\n{queue.name}  {local_time(letter.sent_at, now)}  {letter.id}")
    click.echo(f"  why   {letter.why or 'not known; `tidemill logs` and the log group may tell'}")
    body = " ".join(letter.body.split())
    cut = body if len(body) <= SHOWN_CHARACTERS else body[:SHOWN_CHARACTERS] + "…"
    click.echo(f"  body  {cut}")
