"""Start a local cloud for tests, in a process of its own, on a free port of 127.0.0.1."""

import ctypes
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tidemill_local.environment import ACCOUNT, client_environment

START_SECONDS = 120.0
ROLE = f"arn:aws:iam::{ACCOUNT}:role/anything"


class LocalCloud:
    """One local cloud; `kill` is -9, and `start` again continues on the same state and port."""

    def __init__(self, state: Path, program: list[str] | None = None, **environment: str) -> None:
        self.state = state
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._program = program or ["-m", "tidemill_local"]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "LocalCloud":
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "local.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, "--port", str(self.port),
                 "--state", str(self.state)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": os.environ.get("HOME", "/"),
                    "TIDEMILL_WARM": "32",  # starting functions is most of what tests wait for
                    **self._environment,
                },
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, and no lock
            )  # fmt: skip
        wait_until(self._answers, START_SECONDS, lambda: self.log()[-3000:])
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name="us-east-1",
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key="local",
                config=Config(retries={"max_attempts": 4}, max_pool_connections=32),
            )
        return self._clients[service]

    def environment(self) -> dict[str, str]:
        return client_environment(self.port)

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.endpoint}/_tidemill/status", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def log(self) -> str:
        return (self.state / "local.log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()[-3000:]
        try:
            return bool(self.status()["ready"])
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Let a killed test run take its clouds along (where the system offers it)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], Any], seconds: float = 20.0, explain: Callable[[], Any] = lambda: ""
) -> Any:
    """
    Return the condition's first true value; fail after *seconds*.

    It is asked ever less often: a condition costs the local cloud a request, and its processor.
    """
    deadline = time.monotonic() + seconds
    pause = 0.03
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {explain()}"
        time.sleep(pause)
        pause = min(1.3 * pause, 0.3)


def archive(files: dict[str, str]) -> bytes:
    """Return a zip archive of text files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    return packed.getvalue()


def create_function(cloud: LocalCloud, name: str, code: str, **options: Any) -> str:
    """Create a Python function with this code in `app.py`, and return its ARN."""
    client = cloud.client("lambda")
    settings = {"Runtime": "python3.13", "Handler": "app.handler", "Role": ROLE} | options
    function = client.create_function(
        FunctionName=name, Code={"ZipFile": archive({"app.py": code})}, **settings
    )
    wait_until(lambda: _is_active(client.get_function_configuration(FunctionName=name)))
    return str(function["FunctionArn"])


def _is_active(configuration: dict[str, Any]) -> bool:
    return configuration["State"] == "Active" and configuration["LastUpdateStatus"] == "Successful"


def create_state_machine(cloud: LocalCloud, name: str, definition: dict[str, Any]) -> str:
    """Create a JSONata state machine and return its ARN."""
    machine = cloud.client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps({"QueryLanguage": "JSONata"} | definition),
        roleArn=ROLE,
    )
    return str(machine["stateMachineArn"])


def run_state_machine(
    cloud: LocalCloud, arn: str, data: Any = None, name: str | None = None, seconds: float = 30.0
) -> dict[str, Any]:
    """Run a state machine to its end and return the described execution."""
    client = cloud.client("stepfunctions")
    named = {"name": name} if name else {}
    execution = client.start_execution(stateMachineArn=arn, input=json.dumps(data or {}), **named)
    return finished(cloud, execution["executionArn"], seconds)


def finished(cloud: LocalCloud, execution_arn: str, seconds: float = 30.0) -> dict[str, Any]:
    """Wait until an execution is over and return it."""
    client = cloud.client("stepfunctions")

    def over() -> Any:
        execution = client.describe_execution(executionArn=execution_arn)
        return execution if execution["status"] != "RUNNING" else None

    execution: dict[str, Any] = wait_until(over, seconds, lambda: execution_arn)
    return execution


def create_queue(cloud: LocalCloud, name: str, **attributes: str) -> tuple[str, str]:
    """Create an SQS queue and return its URL and ARN."""
    client = cloud.client("sqs")
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def receive(cloud: LocalCloud, url: str, count: int = 1, seconds: float = 45.0) -> list[Any]:
    """
    Receive and delete *count* messages.

    On a busy machine an answer may be lost on its way; its messages are seen again after 30 s.
    """
    client = cloud.client("sqs")
    found: list[Any] = []

    def enough() -> bool:
        answer = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", ()):
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)
        return len(found) >= count

    wait_until(enough, seconds, lambda: f"{len(found)} of {count} messages in {url}")
    return found


def subscribe(
    cloud: LocalCloud, name: str, pattern: dict[str, Any], **target: Any
) -> tuple[str, str]:
    """Send the default bus's events that match to a queue of their own; return its URL and ARN."""
    url, arn = create_queue(cloud, f"{name}-heard")
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "heard", "Arn": arn} | target])
    return url, arn
