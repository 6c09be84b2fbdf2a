"""What every command shares: its options, the stack it talks to, and how it ends."""

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tidemill_cli.failures import (
    INTERRUPTED,
    READER_LEFT,
    YES,
    MalformedError,
    RefusedError,
    complain,
    silence_streams,
)
from tidemill_cli.output import say, wants_colour

if TYPE_CHECKING:
    from tidemill_cli.stack import Stack

DEFAULT_STACK, VARIABLE = "tidemill", "TIDEMILL_STACK"
Command = TypeVar("Command", bound=Callable[..., Any])


def open_stack(name: str) -> "Stack":
    """Find the stack on AWS, or wherever AWS_ENDPOINT_URL points."""
    from tidemill_cli.stack import Stack  # noqa: PLC0415  # boto3 takes longer than --help may

    return Stack.find(name)


@dataclass
class Session:
    """One call of the command: the shared options, and the stack once it is needed."""

    stack_name: str = ""
    as_json: bool = False
    debug: bool = False
    opener: Callable[[str], "Stack"] = open_stack
    _stack: "Stack | None" = field(default=None, repr=False)

    @property
    def stack(self) -> "Stack":
        """The stack; found at first use."""
        if self._stack is None:
            self._stack = self.opener(self.name)
        return self._stack

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.stack_name or os.environ.get(VARIABLE) or DEFAULT_STACK


class Program(click.Group):
    """A group whose every way to fail ends in one sentence and a documented status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002  # click's own signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  # click's own signature
        **extra: Any,
    ) -> NoReturn:
        """Run the command line and exit."""
        session = extra.setdefault("obj", Session())
        extra.setdefault("color", wants_colour())
        stdout = sys.stdout
        try:
            status = super().main(
                args,
                prog_name or "tidemill",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            sys.stdout.flush()
        except BrokenPipeError:
            silence_streams()
            status = READER_LEFT
        except SystemExit:
            if sys.stdout is stdout:
                raise  # shell completion
            status = READER_LEFT  # click met the broken pipe first: it has replaced stdout
        except (KeyboardInterrupt, click.Abort):
            status = INTERRUPTED
        except Exception as error:
            if session.debug:
                raise
            status = complain(error)
        sys.exit(status or YES)


def _remember(name: str, ctx: click.Context, _: click.Parameter, value: Any) -> None:
    if value:  # the same option may stand before and after the verb; the unset one says nothing
        setattr(ctx.ensure_object(Session), name, value)


def shared_options(command: Command) -> Command:
    """Add --stack, --json and --debug, which every verb and the program itself take."""
    options = (
        click.option(
            "--stack",
            metavar="NAME",
            expose_value=False,
            callback=partial(_remember, "stack_name"),
            help="The CloudFormation stack (default: tidemill; also TIDEMILL_STACK).",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=partial(_remember, "as_json"),
            help="Print one JSON document.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=partial(_remember, "debug"),
            help="Show the traceback of an error.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class ModelName(click.ParamType[str]):
    """`PROJECT/MODEL`, checked before anything is asked of the stack."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it was typed, or refuse it."""
        from tidemill.domain.placement import place  # noqa: PLC0415  # only commands on models need it

        placed = place(f"raw/{value}/file")
        if placed is None or placed.ref != value:
            self.fail(
                f"'{value}' is no model; write PROJECT/MODEL, as in flights/delay", param, ctx
            )
        return str(value)


MODEL = ModelName()


def parts(ref: str) -> dict[str, str]:
    """Return `{"project", "model"}`, as the stack's functions take a model."""
    project, _, model = ref.partition("/")
    return {"project": project, "model": model}


def reasoned(why: str) -> str:
    """Return a `--why`, refused when it says nothing: it is what people read in the ledger."""
    if not why.strip():
        raise MalformedError("--why is empty; say in a few words why, for those who come later")
    return why.strip()


def person() -> str:
    """Return who acts, as the ledger keeps it: the name of the machine's user."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have no name
        return "person"


def hint(session: Session, text: str) -> None:
    """Say the next step to a person; a script that asked for JSON needs none."""
    if not session.as_json:
        say(text)


def may_ask() -> bool:
    """Say whether a person is there to answer a question."""
    return sys.stdin.isatty()


def asked(*, yes: bool, question: str, unasked: str, no: str) -> None:
    """
    Go on only with a person's consent: `--yes`, or their answer to *question* on a terminal.

    Args:
        yes: `--yes` was given.
        question: What to ask.
        unasked: What this does, for those who are not on a terminal and left --yes out.
        no: What is so after a no.

    Raises:
        MalformedError: Nobody is there to be asked.
        RefusedError: The answer was no.
    """
    if yes:
        return
    if not may_ask():
        raise MalformedError(f"{unasked}; add --yes to do it unasked")
    if not click.confirm(question, err=True):
        raise RefusedError(no)
