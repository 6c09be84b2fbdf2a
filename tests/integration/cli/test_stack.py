"""Finding the stack, calling its functions, and what is said when neither answers."""

import socket

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner

from tidemill_cli.failures import MalformedError, RefusedError, UnreachableError
from tidemill_cli.main import main, verbs
from tidemill_cli.stack import Clients, Stack
from tidemill_local.state_directory import StateDirectory

from .conftest import REF

VERBS = (
    ("models",),
    ("runs",),
    ("logs", REF),
    ("follow",),
    ("why", REF),
    ("versions", REF),
    ("wait", REF),
    ("start", REF, "--why", "x"),
    ("approve", REF, "1", "--why", "x"),
    ("reject", REF, "1", "--why", "x"),
    ("rollback", REF, "--why", "x"),
    ("delete", REF, "--yes"),
    ("upload", REF, "FILE"),
    ("predict", REF, "FILE"),
    ("baseline", REF),
    ("watch", REF),
    ("drift", REF),
    ("truth", REF, "FILE"),
    ("quality", REF),
    ("apply", "SPEC"),
    ("plan", "SPEC"),
    ("contract", REF),
    ("quarantine", "list"),
    ("quarantine", "show", REF, "x"),
    ("dlq", "show"),
    ("dlq", "redrive", "--yes"),
    ("ledger", "verify"),
    ("ledger", "export", "--out", "DIR"),
    ("recheck", "flights/delay", "--why", "again"),
    ("quarantine", "release", "flights/delay", "a.csv", "--why", "it is right"),
    ("quarantine", "accept-as-contract", "flights/delay", "a.csv", "--why", "it is right"),
)


@pytest.fixture
def clients():
    return Clients(boto3.Session(region_name="us-east-1"))


def described(clients, **stack):
    stubber = Stubber(clients.cloudformation)
    body = {"StackName": "mine", "CreationTime": "2026-11-20T10:00:00Z"} | stack
    stubber.add_response("describe_stacks", {"Stacks": [body]}, {"StackName": "mine"})
    stubber.activate()


def test_a_stack_is_known_by_its_outputs(clients):
    described(
        clients,
        StackStatus="CREATE_COMPLETE",
        Outputs=[{"OutputKey": "LakeBucket", "OutputValue": "lake"}],
    )

    stack = Stack.find("mine", clients)

    assert (stack.name, stack.lake_bucket) == ("mine", "lake")
    with pytest.raises(UnreachableError, match="no output StateTable"):
        stack.output("StateTable")


def test_a_stack_that_is_not_there_says_how_to_come_by_one(clients):
    stubber = Stubber(clients.cloudformation)
    stubber.add_client_error("describe_stacks", "ValidationError", "does not exist")
    stubber.activate()

    with pytest.raises(UnreachableError, match=r"there is no stack mine in us-east-1.*make deploy"):
        Stack.find("mine", clients)


def test_a_stack_that_is_not_ready_is_said(clients):
    described(clients, StackStatus="ROLLBACK_COMPLETE")

    with pytest.raises(UnreachableError, match="is ROLLBACK_COMPLETE and has no outputs"):
        Stack.find("mine", clients)


@pytest.fixture
def files(tmp_path):
    """A rows file and a spec, for the verbs that take one."""
    (tmp_path / "rows.csv").write_text("x\n1\n")
    (tmp_path / "model.yaml").write_text(
        "project: flights\nmodel: delay\ndata:\n  target: late\ntrain:\n  problem: binary\n"
    )
    return {
        "FILE": str(tmp_path / "rows.csv"),
        "SPEC": str(tmp_path / "model.yaml"),
        "DIR": str(tmp_path / "out"),
    }


@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_when_nothing_answers_every_verb_ends_with_3(arguments, files, monkeypatch):
    monkeypatch.setattr("tidemill_cli.stack._CONFIG", None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    answer = CliRunner().invoke(main, [files.get(item, item) for item in arguments])

    assert answer.exit_code == 3, answer.output
    assert answer.stdout == ""
    assert answer.stderr.startswith("tidemill: ")
    assert endpoint in answer.stderr
    assert "`tidemill up` starts it" in answer.stderr


def test_every_verb_on_the_stack_is_among_them():
    # doctor says what is wrong instead of ending with 3
    local = {"up", "down", "status", "env", "init", "spec schema", "doctor"}
    local |= {name for name in verbs() if name.startswith(("images ", "fault "))}
    asked = {
        name for name in verbs() for given in VERBS if f"{' '.join(given)} ".startswith(f"{name} ")
    }

    assert asked == set(verbs()) - local


def test_without_credentials_the_next_step_is_said(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    answer = CliRunner().invoke(main, ["models"])

    assert answer.exit_code == 3
    assert 'eval "$(tidemill env)"' in answer.stderr


def test_a_function_that_refuses_its_input(stack, cloud):
    with pytest.raises(MalformedError, match="there is no model flights/delay"):
        stack.invoke("RequestRunFunctionName", {"project": "flights", "model": "delay", "why": "x"})


def test_a_function_whose_input_has_another_shape(stack, cloud):
    with pytest.raises(MalformedError, match="RequestRun: project is missing"):
        stack.invoke("RequestRunFunctionName", {})


def test_a_function_that_breaks_is_named(stack, cloud, model):
    cloud.refuse("dynamodb", "TransactWriteItems", "InternalServerError")
    for _ in range(20):
        cloud.refuse("dynamodb", "TransactWriteItems", "InternalServerError")

    with pytest.raises(RefusedError, match="the stack's function RequestRun failed: "):
        stack.invoke("RequestRunFunctionName", {"project": "flights", "model": "delay", "why": "x"})


def test_an_error_of_ours_speaks_for_itself(stack, functions, monkeypatch):
    from tidemill.errors import RolloutBusyError  # noqa: PLC0415  # one use

    def busy(*_):
        raise RolloutBusyError("another rollout is under way")

    monkeypatch.setattr(functions._cloud, "invoke", busy)

    with pytest.raises(RefusedError, match=r"^another rollout is under way$"):
        stack.invoke("RequestRunFunctionName", {})


def test_a_function_that_is_gone(stack, functions):
    functions.gone = True

    with pytest.raises(UnreachableError, match="deploy the stack again"):
        stack.invoke("RequestRunFunctionName", {})


def test_a_local_cloud_that_runs_is_named_where_the_stack_is_missing(
    clients, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("TIDEMILL_STATE", raising=False)
    stubber = Stubber(clients.cloudformation)
    for _ in range(2):
        stubber.add_client_error("describe_stacks", "ValidationError", "does not exist")
    stubber.activate()
    state = StateDirectory(tmp_path / ".tidemill")
    state.create()

    with state.owned(4599):
        with pytest.raises(UnreachableError, match=r"a local cloud runs at http://127\.0\.0\.1"):
            Stack.find("mine", clients)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4599")
        with pytest.raises(UnreachableError) as told:
            Stack.find("mine", clients)
    assert "tidemill env" not in str(told.value)
