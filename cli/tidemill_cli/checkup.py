"""
What `doctor` looks at: findings, each with its fix, from checks that do not hold each other up.

A check that may not look, or that finds nobody to ask, is a finding itself: "unseen". Only what
was seen to be wrong counts as wrong.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from tidemill_cli.failures import CommandError, explained
from tidemill_cli.stack import Clients, Stack

Status = Literal["ok", "wrong", "unseen"]
#: How AWS, or an engine that stands for it, says that it does not have what was asked for.
_NOT_OFFERED = frozenset(
    {
        *("InvalidAction", "UnknownOperationException", "UnknownOperation", "NotImplemented"),
        *("UnrecognizedClientException", "501", "404", "InternalFailure", "UnsupportedOperation"),
    }
)
_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. *fix* is a command, or a sentence where none does it."""

    check: str
    status: Status
    said: str
    fix: str | None = None


class Patient:
    """What the checks look at; what is not there is asked for once."""

    def __init__(self, name: str, opener: Callable[[str], Stack]) -> None:
        self.name = name
        self._opener = opener
        self._stack: Stack | None = None
        self._failure: Exception | None = None

    @cached_property
    def session(self) -> boto3.Session:
        """The person's own session."""
        return boto3.Session()

    @cached_property
    def _own_clients(self) -> Clients:
        return Clients(self.session)

    @property
    def clients(self) -> Clients:
        """The stack's clients, or such clients while there is no stack."""
        return self._stack.clients if self._stack is not None else self._own_clients

    @cached_property
    def local(self) -> str | None:
        """Where a local cloud is meant to be; None on AWS."""
        return os.environ.get("AWS_ENDPOINT_URL")

    @property
    def stack(self) -> Stack:
        """
        The stack.

        Raises:
            UnseenError: It could not be found; the check of the stack itself says why.
        """
        try:
            return self.found()
        except Exception as error:
            raise UnseenError("this takes the stack, which was not found") from error

    def found(self) -> Stack:
        """Return the stack, or raise what finding it raised, without asking again."""
        if self._failure is not None:
            raise self._failure
        if self._stack is None:
            try:
                self._stack = self._opener(self.name)
            except Exception as error:
                self._failure = error
                raise
        return self._stack


class UnseenError(Exception):
    """A check cannot look; the message says why."""


Check = Callable[[Patient], Iterable[Finding]]


def examine(patient: Patient, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield what each check finds, in order; a check that breaks does not stop the others."""
    for name, check in checks:
        try:
            yield from check(patient)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next check may see more
            yield _unseen(name, error)


def _unseen(name: str, error: Exception) -> Finding:
    if isinstance(error, UnseenError):
        return Finding(name, "unseen", str(error))
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        operation = error.operation_name
        if code in _FORBIDDEN:
            fix = f"ask for the right to call {operation}, or have somebody look who may"
            return Finding(name, "unseen", f"cannot see: {operation} is not allowed", fix)
        if code in _NOT_OFFERED:
            return Finding(name, "unseen", f"cannot see: {operation} is not offered here")
    if isinstance(error, NoRegionError):
        return Finding(name, "unseen", "cannot see: no region is set")
    if isinstance(error, BotoCoreError | ClientError | CommandError):
        return Finding(name, "unseen", f"cannot see: {explained(error)[0]}")
    said = f"this check itself failed ({type(error).__name__}: {error})"
    return Finding(name, "unseen", said, "report it, with what `tidemill doctor --json` prints")


def quoted(value: Any) -> str:
    """Return *value* as a word of a command line."""
    import shlex  # noqa: PLC0415  # needed only here

    return shlex.quote(str(value))
