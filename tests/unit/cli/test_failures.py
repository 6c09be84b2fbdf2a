"""Whatever goes wrong, a person reads one sentence and a script gets a documented status."""

import os
import subprocess
import sys

import click
import pytest
from botocore import exceptions as aws
from click.testing import CliRunner

from tidemill.errors import NotFoundError, TidemillError
from tidemill.spec.errors import Finding, SpecError
from tidemill_cli.failures import (
    MalformedError,
    RefusedError,
    UnreachableError,
    explained,
    running_local_cloud,
)
from tidemill_cli.session import Program, Session, shared_options
from tidemill_local.launcher import EngineNotRunningError
from tidemill_local.state_directory import StateDirectory

HELP = "from tidemill_cli.main import main; main(['--help'])"


def refusal(code, operation="PutItem"):
    return aws.ClientError({"Error": {"Code": code, "Message": "because"}}, operation)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RefusedError("no"), 1, "no"),
        (MalformedError("wrong"), 2, "wrong"),
        (UnreachableError("away"), 3, "away"),
        (NotFoundError("there is no model"), 2, "there is no model"),
        (SpecError([Finding(4, "unknown key", "model.yaml")]), 2, "model.yaml:4: unknown key"),
        (TidemillError("it failed"), 1, "it failed"),
        (EngineNotRunningError("/x"), 3, "tidemill up"),
        (click.UsageError("No such option: --x."), 2, "no such option: --x; `tidemill --help`"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), 2, "a.csv: No such file"),
        (aws.NoCredentialsError(), 3, "tidemill env"),
        (aws.NoRegionError(), 3, "sign in to AWS"),
        (aws.ProfileNotFound(profile="x"), 3, "x"),
        (refusal("ExpiredToken"), 3, "AWS does not know who asks (because)"),
        (refusal("AccessDeniedException"), 3, "AWS does not allow this: because"),
        (refusal("ThrottlingException"), 1, "PutItem was refused: because (ThrottlingException)"),
        (aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 3, "http://127.0.0.1:1"),
        (aws.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"), 3, "127.0.0.1:1"),
        (KeyError("facts"), 1, "--debug"),
    ],
)
def test_an_error_becomes_a_sentence_and_a_status(error, status, said):
    sentence, found = explained(error)

    assert found == status
    assert said in sentence


def test_an_endpoint_that_is_meant_to_be_local_says_how_to_start_it(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    sentence, _ = explained(aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"))

    assert "`tidemill up` starts it" in sentence


def test_a_local_cloud_that_runs_is_named_but_never_used_by_itself(tmp_path):
    state = StateDirectory(tmp_path / ".tidemill")
    state.create()
    with state.owned(4599):
        assert running_local_cloud() == "http://127.0.0.1:4599"
        sentence, status = explained(aws.NoCredentialsError())
    assert status == 3
    assert 'a local cloud runs at http://127.0.0.1:4599: `eval "$(tidemill env)"`' in sentence
    assert running_local_cloud() is None


@click.group(cls=Program)
@shared_options
def program():
    """A program whose verbs go wrong."""


@program.command()
@shared_options
def crash():
    """Fail as a fault of ours does."""
    raise ZeroDivisionError("by zero")


@program.command()
@shared_options
def interrupt():
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


@program.command()
@shared_options
def leave():
    """Do what a reader does that goes away."""
    raise BrokenPipeError


@program.command()
@shared_options
@click.pass_obj
def show(session):
    """Print the shared options."""
    click.echo(f"{session.stack} {session.as_json}")


@program.command()
@shared_options
def no():
    """Answer no."""
    return 1


def call(*arguments, **options):
    return CliRunner().invoke(program, arguments, obj=Session(opener=str), **options)


def test_a_fault_of_ours_shows_no_traceback():
    answer = call("crash")

    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("tidemill: this is a fault of Tidemill's own (Zero")
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("arguments", [("--debug", "crash"), ("crash", "--debug")])
def test_debug_shows_it(arguments):
    assert isinstance(call(*arguments).exception, ZeroDivisionError)


def test_ctrl_c_is_quiet():
    answer = call("interrupt")

    assert (answer.exit_code, answer.output.strip()) == (130, "")


def test_a_reader_that_left_is_no_error_to_talk_about():
    answer = call("leave")

    assert (answer.exit_code, answer.output) == (141, "")


def test_what_a_command_returns_is_the_status():
    assert call("no").exit_code == 1
    assert call("show").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("show",), "tidemill False"),
        (("--stack", "a", "show"), "a False"),
        (("show", "--stack", "b"), "b False"),
        (("--stack", "a", "show", "--stack", "b"), "b False"),
        (("--json", "show"), "tidemill True"),
        (("show", "--json"), "tidemill True"),
    ],
)
def test_shared_options_stand_before_or_after_the_verb(arguments, printed):
    assert call(*arguments).stdout.strip() == printed


def test_the_stack_may_come_from_the_environment():
    assert call("show", env={"TIDEMILL_STACK": "c"}).stdout.strip() == "c False"
    answer = call("--stack", "a", "show", env={"TIDEMILL_STACK": "c"})
    assert answer.stdout.strip() == "a False"


def test_a_misspelt_verb_is_malformed(run):
    answer = run("modles")

    assert answer.exit_code == 2
    assert answer.stderr.startswith("tidemill: no such command 'modles'")
    assert "`tidemill --help`" in answer.stderr


def test_without_a_verb_the_help_is_shown(run):
    answer = run()

    assert answer.exit_code == 2
    assert "The local cloud" in answer.output


def test_a_pipe_whose_reader_left_ends_quietly(tmp_path):
    """The real thing: the last flush of a whole process."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", HELP], stdout=write, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(write)

    assert done.returncode == 141
    assert done.stderr == b""


def test_help_imports_nothing_that_takes_long():
    """How long it takes is measured by `make bench` (imports); here, what it would come from."""
    program = f"""
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print("\\n".join(set(sys.modules) - before), file=sys.stderr))
{HELP}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    imported = {name.partition(".")[0] for name in done.stderr.split()}

    assert imported - sys.stdlib_module_names == {"click", "tidemill_cli"}
    assert imported & {"asyncio", "email", "http", "logging", "socket", "sqlite3", "ssl"} == set()
