"""One warm environment of one Lambda function: a Python process that sees only what it should."""

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemill_local.engine.function_files import local_packages

_BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")
_CHUNK = 1 << 16
_START_SECONDS = 30.0
_LOG_LIMIT = 1 << 20  # characters of one invocation's log; the rest is dropped with a note
_END_SECONDS = 2.0
_LOOK_SECONDS = 0.2  # how often a running invocation's memory is looked at
_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Function:
    """
    All that decides what an environment looks like; equal functions may share one.

    Attributes:
        name: The function's name.
        version: `$LATEST` or a published number.
        handler: `module.function`.
        directory: Where its code lies, unpacked.
        layers: Where its layers lie, unpacked, first layer first.
        runtime: Folders with what AWS's runtime brings (boto3).
        environment: The whole environment of the process.
        timeout: Seconds an invocation may take.
        memory: MB, told to the handler; what takes more is killed (Linux only).
        bytecode: Where what is compiled of its code and layers is kept between processes.
    """

    name: str
    version: str
    handler: str
    directory: Path
    layers: tuple[Path, ...]
    runtime: tuple[Path, ...]
    environment: tuple[tuple[str, str], ...]
    timeout: float
    memory: int
    bytecode: Path

    def search_path(self) -> list[str]:
        """Return where modules are looked for before the standard library, as on AWS."""
        packages = [
            folder
            for layer in self.layers
            for folder in (
                *sorted(layer.glob("python/lib/python3*/site-packages")),
                layer / "python",
                local_packages(layer),
            )
        ]
        return [str(folder) for folder in (self.directory, *packages) if folder and folder.is_dir()]


@dataclass(frozen=True)
class Invocation:
    """One call: the caller's event and what the handler's context tells."""

    event: Any
    request_id: str
    arn: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation; `error` is Lambda's own shape, or None."""

    result: Any
    error: dict[str, Any] | None
    log: str


class LambdaProcess:
    """
    A started environment; one invocation at a time.

    The process ends with us: its standard input closes when we die, however we die.
    """

    def __init__(self, function: Function, log_stream: str) -> None:
        self.function = function
        self.last_used = time.monotonic()
        self._out_of_memory = False
        self._unread = {"answers": b"", "log": b""}
        variables = dict(function.environment)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", str(_BOOTSTRAP)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=variables, cwd=function.directory, bufsize=0,
        )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe("stdout"), selectors.EVENT_READ, "answers")
        self._selector.register(self._pipe("stderr"), selectors.EVENT_READ, "log")
        self._send({
            "code": function.search_path(),
            "runtime": [str(folder) for folder in function.runtime],
            "archives": [str(folder) for folder in (function.directory, *function.layers)],
            "bytecode": str(function.bytecode),
            "directory": str(function.directory),
            "handler": function.handler,
            "function_name": function.name,
            "function_version": function.version,
            "memory": function.memory,
            "timeout": function.timeout,
            "log_group": variables.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
            "log_stream": log_stream,
        })  # fmt: skip
        self._answer = self._read_answer(time.monotonic() + _START_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the process can take another invocation."""
        return self._process.poll() is None

    def invoke(self, invocation: Invocation) -> Outcome:
        """
        Run the handler once.

        A handler that raises leaves the process warm; one that takes too long or ends the process
        does not.
        """
        if self._answer is None:  # it died, or was stuck, while it started
            return self._lost(invocation)
        end_of_log = f"\0end {secrets.token_hex(8)}"
        deadline = time.monotonic() + self.function.timeout
        try:
            self._send({
                "event": invocation.event,
                "request_id": invocation.request_id,
                "arn": invocation.arn,
                "environment": invocation.environment,
                "end_of_log": end_of_log,
            })  # fmt: skip
        except BrokenPipeError:
            return self._lost(invocation)
        answer = self._read_answer(deadline)
        if answer is None:
            return self._lost(invocation)
        log = self._read_log(end_of_log, deadline)
        self.last_used = time.monotonic()
        return Outcome(answer.get("result"), answer.get("error"), log)

    def stop(self) -> None:
        """End the process and free its pipes."""
        with contextlib.suppress(OSError):
            self._pipe("stdin").close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._selector.close()
        for name in ("stdout", "stderr"):
            self._pipe(name).close()

    def kill(self) -> None:
        """End the process now; whoever waits for its answer learns that it exited."""
        self._process.kill()

    def _lost(self, invocation: Invocation) -> Outcome:
        timed_out = bool(self._selector.get_map())  # its pipes are open: it runs, but too long
        if timed_out:
            self._process.kill()
        self._process.wait()
        log = self._drain()
        prefix = f"RequestId: {invocation.request_id} Error: "
        if self._out_of_memory:
            kind = "Runtime.OutOfMemory"
            message = f"{prefix}Runtime exited with error: signal: killed"
        elif timed_out:
            kind = "Sandbox.Timedout"
            message = f"{prefix}Task timed out after {self.function.timeout:.2f} seconds"
        else:
            kind = "Runtime.ExitError"
            message = f"{prefix}Runtime exited with {_exit(self._process.returncode)}"
        return Outcome(None, {"errorMessage": message, "errorType": kind}, f"{log}\n{message}")

    def _takes_too_much(self) -> bool:
        """Whether the process holds more memory than its function has; Lambda kills it then."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):  # it has ended, or this is no Linux
            return False
        return pages * _PAGE > self.function.memory * _MIB

    def _pipe(self, name: str) -> Any:
        return getattr(self._process, name)

    def _send(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[self._pipe("stdin").write(data) :]

    def _read_answer(self, deadline: float) -> dict[str, Any] | None:
        for _ in self._reads(deadline):
            line, newline, rest = self._unread["answers"].partition(b"\n")
            if newline:
                self._unread["answers"] = rest
                answer: dict[str, Any] = json.loads(line)
                return answer
        return None

    def _read_log(self, marker: str, deadline: float) -> str:
        end = f"{marker}\n".encode()
        for _ in self._reads(max(deadline, time.monotonic() + _END_SECONDS)):
            log, found, rest = self._unread["log"].partition(end)
            if found:
                self._unread["log"] = rest
                return _text(log)
        return self._drain()

    def _drain(self) -> str:
        for _ in self._reads(time.monotonic() + _END_SECONDS):
            continue
        log, self._unread["log"] = self._unread["log"], b""
        return _text(log)

    def _reads(self, deadline: float) -> Iterator[None]:
        """Yield after each read of either pipe, first at once, until the deadline or the end."""
        yield
        while self._selector.get_map():
            left = deadline - time.monotonic()
            ready = self._selector.select(max(0.0, min(left, _LOOK_SECONDS)))
            if self._takes_too_much():
                self._out_of_memory = True
                self._process.kill()
                return
            if not ready and left <= _LOOK_SECONDS:
                return
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    self._selector.unregister(key.fileobj)
                self._unread[key.data] += chunk
            yield


def _text(log: bytes) -> str:
    text = log.decode(errors="backslashreplace").rstrip("\n")
    if len(text) > _LOG_LIMIT:
        return f"{text[:_LOG_LIMIT]}\n… the local cloud dropped the rest of this log"
    return text


def _exit(code: int) -> str:
    return f"error: exit status {code}" if code >= 0 else f"signal {-code}"
