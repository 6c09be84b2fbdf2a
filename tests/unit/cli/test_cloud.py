"""`up`, `down`, `status`, `env` on a fake launcher."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidemill_cli import cloud
from tidemill_cli.failures import UnreachableError
from tidemill_local.launcher import EngineDiedError, EngineNotRunningError, PortTakenError, Running
from tidemill_local.state_directory import Owner, StateDirectoryInUseError

FOUND = {
    "pid": 7,
    "started": "1",
    "port": 4599,
    "since": 1.0,
    "endpoint": "http://127.0.0.1:4599",
    "state": "/s",
    "ready": True,
    "uptime": 61.0,
    "versions": {"tidemill": "0.1.0"},
    "faults": [{"id": "fault-1", "kind": "throttle", "struck": 2, "seen": 5}],
    "self_tests": [
        {"hook": "gateway", "ok": True, "detail": "loopback only"},
        {"hook": "queues", "ok": False, "detail": "lost one"},
    ],
}


class FakeLauncher:
    StateDirectoryInUseError = StateDirectoryInUseError

    def __init__(self, *, runs=True, refusal=None, variables=None):
        self.runs = runs
        self.refusal = refusal
        self.variables = variables or {"AWS_ENDPOINT_URL": "http://127.0.0.1:4599"}
        self.started = []

    def start(self, port, state, *, detach, on_ready):
        self.started.append((port, state, detach))
        if self.refusal:
            raise self.refusal
        on_ready(Running(7, port, f"http://127.0.0.1:{port}", Path("/s")))

    def stop(self, state):
        self._require(state)
        return Owner(7, "1", 4599, 1.0)

    def status(self, state):
        self._require(state)
        return FOUND

    def environment(self, state):
        self._require(state)
        return self.variables

    def _require(self, state):
        if not self.runs:
            raise EngineNotRunningError(state or Path(".tidemill"))


@pytest.fixture
def fake(monkeypatch):
    def install(**options):
        launcher = FakeLauncher(**options)
        monkeypatch.setattr(cloud, "launcher", lambda: launcher)
        return launcher

    return install


@dataclass
class DeployedStack:
    lake_bucket: str = "lake"


def no_stack(name):
    raise UnreachableError(f"there is no stack {name}")


def test_up_says_where_it_answers_and_what_comes_next(run, fake):
    launcher = fake()

    answer = run("up", "--port", "4599", "--state", "my dir")

    assert answer.exit_code == 0
    assert launcher.started == [(4599, Path("my dir"), True)]
    assert "http://127.0.0.1:4599" in answer.stdout
    assert "eval \"$(tidemill env --state 'my dir')\"" in answer.stderr


def test_up_may_stay_in_the_foreground(run, fake):
    launcher = fake()

    assert run("up", "--foreground").exit_code == 0
    assert launcher.started == [(None, None, False)]


def test_up_again_on_the_same_port_is_no_error(run, fake):
    owner = Owner(7, "1", 4599, 1.0)
    fake(refusal=StateDirectoryInUseError(Path("/s"), owner))

    answer = run("up", "--port", "4599")

    assert answer.exit_code == 0
    assert "answers at http://127.0.0.1:4599" in answer.stdout


@pytest.mark.parametrize(
    "refusal",
    [
        StateDirectoryInUseError(Path("/s"), Owner(7, "1", 4566, 1.0)),
        StateDirectoryInUseError(Path("/s"), None),
        PortTakenError(4599, None),
        EngineDiedError(Path("/s/local.log"), ["boom"], "ended with status 1"),
    ],
)
def test_up_that_cannot_says_why(run, fake, refusal):
    fake(refusal=refusal)

    answer = run("up", "--port", "4599")

    assert answer.exit_code == 3
    assert answer.stderr.startswith("tidemill: ")
    assert str(refusal).splitlines()[-1] in answer.stderr


def test_a_port_is_a_port(run, fake):
    fake()

    assert run("up", "--port", "0").exit_code == 2


@pytest.mark.parametrize("verb", ["down", "status", "env"])
def test_without_a_local_cloud_the_others_say_so(run, fake, verb):
    fake(runs=False)

    answer = run(verb)

    assert answer.exit_code == 3
    assert "Start one with `tidemill up`" in answer.stderr


def test_down_says_what_it_stopped(run, fake):
    fake()

    assert "process 7" in run("down").stdout


def test_status_names_the_tests_that_failed_and_what_goes_wrong_on_purpose(run, fake):
    fake()

    answer = run("status")

    assert answer.exit_code == 0
    assert "1 of 2 passed" in answer.stdout
    assert "fault-1   throttle, struck 2 of 5" in answer.stdout
    assert "queues: failed: lost one" in answer.stdout
    assert "gateway" not in answer.stdout


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        ("up", cloud.STATUS),
        ("status", cloud.STATUS),
        ("down", ("pid", "port", "endpoint")),
    ],
)
def test_json_has_the_documented_keys(run, fake, verb, keys, documented):
    fake()

    document = json.loads(run(verb, "--json").stdout)

    assert tuple(document) == keys == documented(verb)


def test_env_is_safe_in_a_shell(run, fake):
    fake(variables={"A": "it's; rm -rf $HOME `x`", "B": ""})

    printed = run("env", opener=no_stack).stdout
    shell = subprocess.run(
        ["sh", "-c", f'{printed}printf "%s|%s" "$A" "$B"'],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip

    assert shell.stdout == "it's; rm -rf $HOME `x`|"


def test_env_lets_the_shell_find_tidemill_and_forget_real_accounts(run, fake):
    fake()

    printed = run("env", opener=no_stack, env={"PATH": "/usr/bin:/bin"}).stdout
    shell = subprocess.run(
        ["sh", "-c", f'{printed}command -v tidemill; echo "profile=$AWS_PROFILE"'],
        env={"PATH": "/usr/bin:/bin", "AWS_PROFILE": "company"},
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip

    assert shell.stdout == f"{Path(sys.prefix) / 'bin' / 'tidemill'}\nprofile=\n"


def test_env_names_the_lake_of_the_local_stack(run, fake):
    fake()
    before = dict(os.environ)
    seen = []

    def opener(name):
        seen.append((name, os.environ["AWS_ENDPOINT_URL"], "AWS_PROFILE" in os.environ))
        return DeployedStack()

    answer = run("env", "--stack", "mine", opener=opener, env={"AWS_PROFILE": "gone"})

    assert seen == [("mine", "http://127.0.0.1:4599", False)]
    assert f"export TIDEMILL_LAKE={shlex.quote('lake')}" in answer.stdout
    assert dict(os.environ) == before


def test_env_as_json(run, fake, documented):
    fake()

    rows = json.loads(run("env", "--json", opener=no_stack).stdout)

    assert rows == [{"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:4599"}]
    assert tuple(rows[0]) == documented("env")


def test_without_the_local_cloud_installed_the_next_step_is_said(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tidemill_local", None)

    answer = run("status")

    assert answer.exit_code == 3
    assert "pip install" in answer.stderr
