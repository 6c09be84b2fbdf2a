"""`up`, `down`, `status`, `env`: the local cloud, and how a shell comes to use it."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tidemill_cli.failures import CommandError, UnreachableError
from tidemill_cli.output import coloured, put_json, span
from tidemill_cli.session import Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill_local.launcher import Running

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_PORT = 4566
#: Variables that would mix a real account's login with the local cloud's.
OF_REAL_ACCOUNTS = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
STATUS = ("pid", "port", "endpoint", "state", "uptime", "versions", "faults", "self_tests")


def state_option(command: Command) -> Command:
    """Add --state, which tells one local cloud from another."""
    return click.option(
        "--state",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Its directory (default: .tidemill here; also TIDEMILL_STATE).",
    )(command)


def launcher() -> ModuleType:
    """
    Return what starts and stops local clouds.

    Raises:
        UnreachableError: The command was installed without it.
    """
    try:
        from tidemill_local import launcher as found
    except ImportError as error:
        raise UnreachableError(
            "the local cloud is not installed; `python -m pip install 'tidemill[local,jobs]'` "
            "adds it"
        ) from error
    return found


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    help=f"Where it listens (default: where it did before, else {DEFAULT_PORT}).",
)
@state_option
@click.option(
    "--detach/--foreground",
    default=True,
    help="Return when it answers (default), or stay and show that it runs.",
)
@shared_options
@click.pass_obj
def up(session: Session, port: int | None, state: Path | None, *, detach: bool) -> None:
    """Start the local cloud, and wait until it answers."""
    local = launcher()

    def ready(running: "Running") -> None:
        _put_ready(session, local.status(running.state), state)

    try:
        local.start(port, state, detach=detach, on_ready=ready)
    except local.StateDirectoryInUseError as error:
        if error.owner is None or port not in (None, error.owner.port):
            raise
        _put_ready(session, local.status(state), state)  # it runs already, just as asked


def _put_ready(session: Session, found: Mapping[str, Any], state: Path | None) -> None:
    if session.as_json:
        put_json(_document(found))
        return
    click.echo(f"the local cloud answers at {found['endpoint']} (process {found['pid']})")
    option = f" --state {shlex.quote(str(state))}" if state else ""
    hint(session, f'next, in this shell: eval "$(tidemill env{option})"')


@click.command()
@state_option
@shared_options
@click.pass_obj
def down(session: Session, state: Path | None) -> None:
    """Stop the local cloud, with all that it runs; its state stays."""
    owner = launcher().stop(state)
    if session.as_json:
        put_json({"pid": owner.pid, "port": owner.port, "endpoint": owner.endpoint})
    else:
        click.echo(f"stopped the local cloud at {owner.endpoint} (process {owner.pid})")


@click.command()
@state_option
@shared_options
@click.pass_obj
def status(session: Session, state: Path | None) -> None:
    """Say whether the local cloud runs, and how its self-tests went."""
    document = _document(launcher().status(state))
    if session.as_json:
        put_json(document)
        return
    click.echo(f"endpoint  {document['endpoint']}")
    click.echo(f"process   {document['pid']}, for {span(document['uptime'])}")
    click.echo(f"state     {document['state']}")
    versions = ", ".join(f"{name} {said}" for name, said in document["versions"].items())
    click.echo(f"versions  {versions}")
    tests = document["self_tests"]
    failed = [test for test in tests if not test["ok"]]
    click.echo(f"tests     {len(tests) - len(failed)} of {len(tests)} passed")
    for test in failed:
        click.echo(f"          {test['hook']}: {coloured('failed')}: {test['detail']}")
    for fault in document["faults"]:
        said = f"{fault['kind']}, struck {fault['struck']} of {fault['seen']}"
        click.echo(f"{fault['id']:<10}{said}")


def _document(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return of the engine's own words what docs/cli.md promises."""
    return {name: found[name] for name in STATUS}


@click.command()
@state_option
@shared_options
@click.pass_obj
def env(session: Session, state: Path | None) -> None:
    """
    Print what points a shell at the local cloud.

    Use it as: eval "$(tidemill env)". TIDEMILL_LAKE, the bucket for uploads, is among it once
    the stack is deployed; `tidemill` and `aws` are found from then on.
    """
    variables: dict[str, str] = dict(launcher().environment(state))
    lake = _lake(session, variables)
    if lake is not None:
        variables["TIDEMILL_LAKE"] = lake
    if session.as_json:
        put_json([{"name": name, "value": value} for name, value in variables.items()])
        return
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    click.echo(f"unset {' '.join(OF_REAL_ACCOUNTS)}")
    missing = [str(place) for place in programs() if str(place) not in os.get_exec_path()]
    if missing:
        click.echo(f'export PATH={shlex.quote(":".join(missing))}:"$PATH"')


def programs() -> list[Path]:
    """Return where `tidemill` is, and in a checkout the AWS CLI that `make install` made."""
    here = Path(sys.prefix)
    return [place for place in (here / "bin", here.parent / ".tools/aws/bin") if place.is_dir()]


def _lake(session: Session, variables: Mapping[str, str]) -> str | None:
    """Return the lake's name, or None while there is no stack."""
    with _environment(variables):
        try:
            return session.stack.lake_bucket
        except CommandError:
            return None


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process mean the local cloud while the block runs."""
    before = dict(os.environ)
    os.environ.update(variables)
    for name in OF_REAL_ACCOUNTS:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
