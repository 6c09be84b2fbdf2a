"""A local cloud of the bench's own: its own state and port, the stack deployed with the SAM CLI."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STACK = "tidemill"
START_SECONDS = 60.0
COMMAND_SECONDS = 600.0


class BenchError(Exception):
    """A measurement cannot be taken; the message says what went wrong."""


class Workspace:
    """
    A folder for everything that one call of the bench makes, and the stack, built once.

    Args:
        directory: Empty; whoever made it removes it.
        quick: Take few samples: shows that the bench works, and gives no figures to be quoted.
        storm: How many uploads come in a storm, over how many models; None for the usual.
    """

    def __init__(
        self, directory: Path, *, quick: bool = False, storm: tuple[int, int] | None = None
    ) -> None:
        self.directory = directory
        self.quick = quick
        self.storm = storm

    @cached_property
    def built(self) -> Path:
        """Where `sam build` has put the template, the functions and the layer."""
        built = self.directory / "built"
        sam("build", "--no-cached", "--build-dir", str(built), environment=clean_environment())
        return built

    @contextmanager
    def cloud(self, name: str, *, counted: bool = False) -> Iterator["Cloud"]:
        """
        Run a local cloud while the block lasts.

        Args:
            name: Of its state directory.
            counted: Let it count the calls that functions make (`counted_cloud.py`).
        """
        cloud = Cloud(self, self.directory / name)
        try:
            cloud.start(counted=counted)
            yield cloud
        finally:
            cloud.stop()


class Cloud:
    """One local cloud, and what a person does with it."""

    def __init__(self, workspace: Workspace, state: Path) -> None:
        self._workspace = workspace
        self.state = state
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.pid = 0
        self._environment = clean_environment()
        self._clients: dict[str, Any] = {}
        self._counting: subprocess.Popen[bytes] | None = None

    def start(self, *, counted: bool = False) -> None:
        """Start it, and wait until it answers."""
        place = ["--port", str(self.port), "--state", str(self.state)]
        if counted:
            self.state.mkdir(parents=True, exist_ok=True)  # it may be a restart
            with (self.state / "local.log").open("ab") as log:
                self._counting = subprocess.Popen(
                    [sys.executable, str(ROOT / "bench/counted_cloud.py"), *place],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env=self._environment,
                )  # fmt: skip
            until(self._answers, START_SECONDS, lambda: f"{self.state}/local.log says why not")
        else:
            self._run([str(BIN / "tidemill"), "up", *place, "--detach"])
        self.pid = int(self.tidemill_json("status", "--state", str(self.state))["pid"])
        for item in self.tidemill_json("env", "--state", str(self.state)):
            self._environment[item["name"]] = item["value"]

    def stop(self) -> None:
        """Stop it with all that it runs; whoever owns the state directory is stopped by its pid."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if (self.state / "lock.json").exists():
            down = [str(BIN / "tidemill"), "down", "--state", str(self.state)]
            subprocess.run(down, env=self._environment, capture_output=True, check=False)
        if self._counting is not None:
            self._counting.terminate()
            self._counting.wait(30)

    def kill(self) -> None:
        """End a counted cloud as a crash would: nothing is written any more."""
        if self._counting is None:
            raise BenchError("only a counted cloud is killed")
        os.kill(self.pid, signal.SIGKILL)
        self._counting.wait(30)

    def deploy(self) -> None:
        """`sam deploy --config-env local` of what is built."""
        template = str(self._workspace.built / "template.yaml")
        sam("deploy", "--template-file", template, environment=self._environment)

    def client(self, service: str) -> Any:
        """Return a client of the local cloud; it never tries again, so that errors are seen."""
        if service not in self._clients:
            make: Any = boto3.client  # the stubs know it by each service's literal name only
            self._clients[service] = make(
                service,
                endpoint_url=self.endpoint,
                region_name=self._environment["AWS_DEFAULT_REGION"],
                aws_access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
                config=Config(
                    retries={"total_max_attempts": 1},
                    max_pool_connections=32,
                    read_timeout=900,  # as long as a function may take
                ),
            )
        return self._clients[service]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        described = self.client("cloudformation").describe_stacks(StackName=STACK)
        return {
            item["OutputKey"]: item["OutputValue"] for item in described["Stacks"][0]["Outputs"]
        }

    @cached_property
    def log_group(self) -> str:
        """Where all functions log."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId="Logs"
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def log_lines(self, text: str) -> list[str]:
        """Return the functions' log lines that contain *text*."""
        pages = self.client("logs").get_paginator("filter_log_events")
        return [
            event["message"]
            for page in pages.paginate(logGroupName=self.log_group)
            for event in page["events"]
            if text in event["message"]
        ]

    def get(self, path: str) -> Any:
        """
        Return a JSON document that the local cloud itself answers.

        Raises:
            OSError: It does not answer.
        """
        url = f"{self.endpoint}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # our own http
            return json.load(answer)

    def put(self, ref: str, name: str, body: bytes) -> None:
        """Put one object under the model's prefix."""
        self.client("s3").put_object(
            Bucket=self.outputs["LakeBucket"], Key=f"raw/{ref}/{name}", Body=body
        )

    def apply(self, spec: str) -> None:
        """`tidemill apply` of a model.yaml's text."""
        path = self.state / "model.yaml"
        path.write_text(spec)
        self.tidemill("apply", str(path))

    def tidemill(self, *arguments: str) -> str:
        """
        Run a `tidemill` command and return what it prints.

        Raises:
            BenchError: It ended with another status than 0.
        """
        return self._run([str(BIN / "tidemill"), *arguments])

    def tidemill_json(self, *arguments: str) -> Any:
        """Run a `tidemill` command with `--json` and return its document."""
        return json.loads(self.tidemill(*arguments, "--json"))

    def _run(self, command: list[str]) -> str:
        return run(command, self._environment)

    def _answers(self) -> bool:
        if self._counting is not None and self._counting.poll() is not None:
            raise BenchError(f"the counted cloud ended: {(self.state / 'local.log').read_text()}")
        try:
            return bool(self.get("/_tidemill/status")["ready"])
        except OSError:
            return False


def clean_environment() -> dict[str, str]:
    """Return our environment without what would lead to another cloud or another stack."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TIDEMILL_", "SAM_", "VIRTUAL_ENV", "PYTHON"))
    }


def sam(command: str, *arguments: str, environment: dict[str, str]) -> None:
    """Run one of the SAM CLI's commands with this repository's settings for the local cloud."""
    tools = ROOT / ".tools"
    settings = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    run(
        [str(tools / "sam/bin/sam"), command, *arguments, *settings],
        {
            **environment,
            "SAM_CLI_TELEMETRY": "0",
            "LOCAL_PACKAGES": str(tools / "layers"),  # `make install` has filled it
        },
    )


def run(command: list[str], environment: dict[str, str]) -> str:
    """
    Run a program in the repository's root and return what it prints.

    Raises:
        BenchError: It ended with another status than 0, or took ten minutes.
    """
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"`{' '.join(command)}` took {COMMAND_SECONDS:.0f} s") from error
    if done.returncode:
        raise BenchError(
            f"`{' '.join(command)}` ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout


def until(
    condition: Callable[[], Any], seconds: float, explain: Callable[[], str], pause: float = 0.05
) -> Any:
    """
    Return the condition's first true value.

    Raises:
        BenchError: There was none within *seconds*.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"not within {seconds:.0f} s: {explain()}")
        time.sleep(pause)
    return found


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
