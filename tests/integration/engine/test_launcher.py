"""Starting, stopping and looking at a local cloud, as the command line does."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from local_cloud import free_port, wait_until
from tidemill_local import launcher
from tidemill_local.state_directory import StateDirectory, StateDirectoryInUseError


@pytest.fixture
def state(tmp_path):
    directory = tmp_path / "state"
    yield directory
    if StateDirectory(directory).owner() is not None:
        launcher.stop(directory)


def test_a_cloud_is_started_looked_at_and_stopped(state):
    port = free_port()

    running = launcher.start(port, state)

    found = launcher.status(state)
    assert (found["pid"], found["port"], found["endpoint"]) == (
        running.pid, port, f"http://127.0.0.1:{port}",
    )  # fmt: skip
    assert set(found["versions"]) == {"tidemill", "ministack", "boto3", "python"}
    assert all(test["ok"] for test in found["self_tests"])
    assert {"gateway", "lambda_workers", "snapshots"} <= {
        test["hook"] for test in found["self_tests"]
    }
    assert launcher.environment(state)["AWS_ENDPOINT_URL"] == running.endpoint
    assert launcher.stop(state).pid == running.pid
    with pytest.raises(launcher.EngineNotRunningError, match="tidemill up"):
        launcher.status(state)


@pytest.mark.parametrize("ask", [launcher.stop, launcher.status, launcher.environment])
def test_nothing_runs_on_an_unknown_directory(state, ask):
    with pytest.raises(launcher.EngineNotRunningError, match="tidemill up"):
        ask(state)


def test_a_second_start_on_the_same_directory_names_the_first(state):
    running = launcher.start(free_port(), state)

    with pytest.raises(StateDirectoryInUseError, match=f"process {running.pid}"):
        launcher.start(free_port(), state)


def test_a_taken_port_names_its_holder(state):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(launcher.PortTakenError, match=rf"process {os.getpid()}\).*--port"):
            launcher.start(taken.getsockname()[1], state)


def test_the_port_of_another_local_cloud_names_its_directory(state, tmp_path):
    port = free_port()
    launcher.start(port, state)

    with pytest.raises(launcher.PortTakenError, match=f"the local cloud on {state}"):
        launcher.start(port, tmp_path / "other")


def test_an_engine_that_dies_at_start_shows_its_last_words(state):
    ours = StateDirectory(state)
    ours.create()
    ours.records.mkdir()

    with pytest.raises(launcher.EngineDiedError, match="unable to open database") as raised:
        launcher.start(free_port(), state)

    assert "local.log" in str(raised.value)


def test_a_killed_engine_does_not_stand_in_the_way(state):
    first = launcher.start(free_port(), state)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: StateDirectory(state).owner() is None)

    second = launcher.start(state=state)

    assert second.pid != first.pid
    assert second.port == first.port, "what is deployed holds the port in queue URLs"


def test_a_state_keeps_its_port(state):
    first = launcher.start(free_port(), state)
    launcher.stop(state)

    other = next(port for port in iter(free_port, None) if port != first.port)
    with pytest.raises(launcher.PortOfStateError, match=f"made on port {first.port}"):
        launcher.start(other, state)


def test_the_engine_gets_a_clean_environment(state, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")

    running = launcher.start(free_port(), state)

    environment = Path(f"/proc/{running.pid}/environ").read_bytes().split(b"\0")
    names = {each.split(b"=")[0].decode() for each in environment if each}
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}


def test_a_start_in_the_foreground_ends_with_the_engine(state):
    program = textwrap.dedent(f"""
        from tidemill_local import launcher
        launcher.start({free_port()}, {str(state)!r}, detach=False,
                       on_ready=lambda running: print(running.pid, flush=True))
        print("over", flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as foreground:
        os.kill(int(foreground.stdout.readline()), signal.SIGTERM)

        assert foreground.stdout.readline() == "over\n"
        assert foreground.wait(10) == 0


def test_an_unfitting_ministack_stops_the_start_with_a_sentence(tmp_path):
    program = textwrap.dedent("""
        import sys
        from tidemill_local import __main__ as program
        load = program.importlib.import_module
        def broken(name):
            if name.endswith("engine.server"):
                from ministack.services import sqs
                del sqs._collect_msgs
            return load(name)
        program.importlib.import_module = broken
        sys.exit(program.main(sys.argv[1:]))
    """)

    ended = subprocess.run(
        [sys.executable, "-c", program, "--port", str(free_port()), "--state", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "durable_queues: ministack.services.sqs._collect_msgs is not there" in ended.stderr
    assert "pip install 'ministack[full]==1.5.33'" in ended.stderr
