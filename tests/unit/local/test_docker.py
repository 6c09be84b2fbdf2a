"""An image that nobody knows is run by docker: a fake one, which tells what it was asked."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from tidemill_local import container_tools
from tidemill_local.containers.contract import Container

FAKE = """#!{python} -S
import json, os, signal, sys, time
words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps([words, dict(os.environ)]) + "\\n")
if words[0] == "ps":
    print("dead 999999999")
    print("alive {pid}")
elif words[0] == "stop":
    open({log!r} + ".stopped", "w").close()
elif words[0] == "run" and "chown" not in words:
    print("it runs", flush=True)
    {program}
"""


@pytest.fixture
def docker(tmp_path):
    """Install a docker whose containers do this; return how to start one, and what was asked."""
    log, tool = tmp_path / "asked", tmp_path / "docker"
    (tmp_path / "opt" / "ml").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").write_text("127.0.0.1 localhost\n127.0.0.2 algo-1\n")
    running = []

    def start(words, program="pass", entrypoint=(), **environment):
        text = FAKE.format(python=sys.executable, log=str(log), pid=os.getpid(), program=program)
        tool.write_text(text)
        tool.chmod(0o755)
        found = container_tools.Tool(str(tool), {"PATH": os.environ["PATH"], "HOME": "/home/me"})
        process = subprocess.Popen(
            [*found.command("company/image:1", list(entrypoint)), *words],
            cwd=tmp_path,
            env={"PATH": "x", "SAGEMAKER_BASE_DIR": str(tmp_path / "opt" / "ml")} | environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    def asked():
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    yield start, asked
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_container_gets_its_files_variables_and_words(docker, tmp_path):
    start, asked = docker
    base = tmp_path / "opt" / "ml"
    process = start(
        ["--in", f"{base}/input"],
        entrypoint=["/bin/sh", "-c"],
        MINE=f"{base}/x",
        SM_HPS="{}",
        TRAINING_JOB_NAME="j",
    )
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "it runs\n")

    (run, environment) = next(one for one in asked() if one[0][0] == "run")
    assert environment["HOME"] == "/home/me"
    assert "MINE" not in environment
    text = " ".join(run)
    assert f"--volume {base}:/opt/ml" in text
    assert "--env MINE=/opt/ml/x" in text
    assert "--env TRAINING_JOB_NAME=j" in text
    assert "--add-host algo-1:127.0.0.2" in text
    assert "SM_HPS" not in text
    assert "SAGEMAKER_BASE_DIR" not in text
    assert run[-6:] == ["--entrypoint", "/bin/sh", "company/image:1", "-c", "--in", "/opt/ml/input"]
    if sys.platform == "linux":
        assert "--network host" in text


def test_what_an_earlier_kill_left_is_removed(docker):
    start, asked = docker
    start(["train"]).communicate(timeout=60)
    assert [one[0] for one in asked() if one[0][0] == "rm"] == [["rm", "--force", "dead"]]


def test_a_server_is_reached_on_the_port_it_was_given(docker):
    start, asked = docker
    start(["serve"], SAGEMAKER_BIND_TO_PORT="1234").communicate(timeout=60)
    run = " ".join(next(one[0] for one in asked() if one[0][0] == "run"))
    assert "--publish 127.0.0.1:1234:8080" in run
    assert "--network" not in run
    assert run.endswith("company/image:1 serve")


def test_the_exit_status_is_the_containers(docker, tmp_path):
    start, _ = docker
    process = start(["train"], "sys.exit(3)")
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert not (tmp_path / "opt/ml/output/failure").exists()


def test_an_image_that_docker_cannot_have_is_named(docker, tmp_path):
    start, _ = docker
    process = start(["train"], "sys.exit(125)")
    process.communicate(timeout=60)
    failure = (tmp_path / "opt/ml/output/failure").read_text()
    assert failure.startswith("docker could not run the image company/image:1")


def test_a_stop_is_docker_stop(docker, tmp_path):
    start, asked = docker
    until_stopped = (
        f"while not os.path.exists({str(tmp_path / 'asked.stopped')!r}): time.sleep(0.05)"
    )
    process = start(["train"], until_stopped)
    assert process.stdout.readline() == "it runs\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    stop = next(one[0] for one in asked() if one[0][0] == "stop")
    run = next(one[0] for one in asked() if one[0][0] == "run")
    assert stop == ["stop", "--time", "110", run[run.index("--name") + 1]]


@pytest.mark.parametrize(("status", "found"), [(0, True), (1, False)])
def test_a_tool_is_found_if_its_server_answers(tmp_path, monkeypatch, status, found):
    (tmp_path / "finch").write_text(f"#!/bin/sh\nexit {status}\n")
    (tmp_path / "finch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///no-docker")
    monkeypatch.setenv(container_tools.HOST, "")
    tool = container_tools._look()
    assert (tool is not None) == found
    if tool is not None:
        assert tool.path == str(tmp_path / "finch")
        assert "DOCKER_HOST" not in tool.environment


def test_a_path_of_the_container_is_found_wherever_it_is(tmp_path):
    container = Container(tmp_path, {})
    assert container.here_is("/opt/ml/checkpoints") == tmp_path / "checkpoints"
    assert str(container.here_is("file:///elsewhere")) == "/elsewhere"
