"""
What a person reads when a command cannot do its work, and with which status it ends.

Statuses: 0 yes, 1 no, 2 malformed input, 3 cannot reach; 130 Ctrl-C, 141 a reader that left.
Nothing here imports botocore: it is asked only about errors that exist, so `--help` stays fast.
"""

import os
import sys
from typing import Any

import click

YES, NO, MALFORMED, UNREACHABLE = 0, 1, 2, 3
INTERRUPTED, READER_LEFT = 130, 141

#: Errors of the stack's functions that say the input was wrong; all others are a plain no.
#: A change that existing versions forbid is no such error: the spec is well-formed, and refused.
INPUT_ERRORS = frozenset({"InvalidInputError", "NotFoundError", "SpecError"})
#: Errors of the local cloud that say so; all others mean that it cannot be reached.
LOCAL_INPUT_ERRORS = frozenset({"FaultError", "StateDirectoryForeignError", "UnknownImageError"})

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
_NO_CREDENTIALS = frozenset(
    {
        "CredentialRetrievalError",
        "NoCredentialsError",
        "NoRegionError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)


class CommandError(Exception):
    """Base of what ends a command with a sentence; *status* is the exit status."""

    status = NO


class RefusedError(CommandError):
    """The answer is no."""


class MalformedError(CommandError):
    """What was typed, or the file that was named, cannot be right."""

    status = MALFORMED


class UnreachableError(CommandError):
    """The stack, or the machine it runs on, does not answer."""

    status = UNREACHABLE


def explained(error: BaseException) -> tuple[str, int]:
    """Return the sentence and the exit status for *error*."""
    if isinstance(error, CommandError):
        return str(error), error.status
    if isinstance(error, click.UsageError):
        return _usage(error), MALFORMED
    if isinstance(error, click.ClickException):
        return error.format_message(), MALFORMED
    module = type(error).__module__.partition(".")[0]
    if module == "tidemill":
        return str(error), MALFORMED if _is_input_error(error) else NO
    if module == "tidemill_local":
        malformed = type(error).__name__ in LOCAL_INPUT_ERRORS
        return str(error), MALFORMED if malformed else UNREACHABLE
    if module in ("botocore", "boto3", "s3transfer"):
        return _aws(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", MALFORMED
    said = (
        f"this is a fault of Tidemill's own ({type(error).__name__}: {error}); run the command "
        "again with --debug and report what it prints"
    )
    return said, NO


def _is_input_error(error: BaseException) -> bool:
    return any(kind.__name__ in INPUT_ERRORS for kind in type(error).__mro__)


def _usage(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "tidemill"
    said = error.format_message().rstrip(".")
    said = said[:1].lower() + said[1:]
    return f"{said}{' ' if said.endswith('?') else '; '}`{command} --help` says what it takes"


def _aws(error: BaseException) -> tuple[str, int]:
    name = type(error).__name__
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    said = str(response.get("Error", {}).get("Message") or error).strip()
    if name in _NO_CREDENTIALS or code in _CREDENTIALS:
        return f"AWS does not know who asks ({said}); {credentials_hint()}", UNREACHABLE
    if code in _FORBIDDEN:
        return f"AWS does not allow this: {said}. Ask for a role that may.", UNREACHABLE
    if code:
        operation = getattr(error, "operation_name", "the call")
        return f"{operation} was refused: {said} ({code})", NO
    if name == "S3UploadFailedError":
        return f"the upload failed: {said}", NO
    return f"{said.rstrip('.')}; {endpoint_hint()}", UNREACHABLE


def endpoint_hint() -> str:
    """Return the next step when nothing answers."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        return f"is the local cloud running? `tidemill up` starts it (AWS_ENDPOINT_URL={endpoint})"
    return credentials_hint()


def credentials_hint() -> str:
    """Return the next step when neither AWS nor the local cloud is meant by the environment."""
    if os.environ.get("AWS_ENDPOINT_URL"):
        return 'run `eval "$(tidemill env)"` again'
    running = running_local_cloud()
    if running is not None:
        return _points_at(running)
    return (
        'sign in to AWS, or use a local cloud: `tidemill up`, then `eval "$(tidemill env)"` '
        "in this shell"
    )


def local_cloud_hint() -> str:
    """Return `; a local cloud runs …` when one does and is not what the environment means."""
    running = None if os.environ.get("AWS_ENDPOINT_URL") else running_local_cloud()
    return f"; {_points_at(running)}" if running else ""


def _points_at(running: str) -> str:
    return f'a local cloud runs at {running}: `eval "$(tidemill env)"` points this shell at it'


def running_local_cloud() -> str | None:
    """Return the endpoint of a local cloud on the default state directory, or None."""
    try:
        from tidemill_local.state_directory import StateDirectory  # noqa: PLC0415  # keeps --help fast
    except ImportError:  # the command line was installed without the local cloud
        return None
    owner = StateDirectory.locate().owner()
    return owner.endpoint if owner else None


def complain(error: BaseException) -> int:
    """Print the sentence for *error* on stderr, as `tidemill: …`, and return the exit status."""
    said, status = explained(error)
    for line in said.splitlines() or [""]:
        click.echo(f"tidemill: {line}", err=True)
    return status


def silence_streams() -> None:
    """Point stdout at nothing, so that Python's last flush does not complain again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # a test's stream, which has no descriptor
