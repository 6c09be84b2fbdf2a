"""Start, stop and look at a local cloud: what the command line is made of."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill_local import images, processes
from tidemill_local.environment import clean_environment, client_environment
from tidemill_local.faults import RemoteFaults
from tidemill_local.state_directory import (
    LocalCloudError,
    Owner,
    StateDirectory,
    StateDirectoryInUseError,
)

DEFAULT_PORT = 4566
_STATUS_PATH = "/_tidemill/status"
_LOG_LINES = 15
_LOG_LIMIT = 10 * 1024 * 1024  # bytes; a longer log is set aside at the next start
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05


class PortTakenError(LocalCloudError):
    """Something else listens on the port."""

    def __init__(self, port: int, holder: str | None) -> None:
        who = holder or "another program, perhaps another local cloud, LocalStack or ministack"
        super().__init__(
            f"Port {port} is taken by {who}. Stop it, or choose another port with --port."
        )


class PortOfStateError(LocalCloudError):
    """The state was made on another port, and queue URLs in it say so."""

    def __init__(self, root: Path, port: int) -> None:
        super().__init__(
            f"{root} was made on port {port}, and what is deployed there says so. "
            f"Leave --port out, or choose another directory with --state."
        )


class EngineNotRunningError(LocalCloudError):
    """Nobody serves from the state directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"No local cloud runs on {root}. Start one with `tidemill up`.")


class NoLocalCloudError(LocalCloudError):
    """There is nothing in the directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"There is no local cloud in {root}. Make one with `tidemill up`.")


class EngineDiedError(LocalCloudError):
    """The engine ended, or did not answer, while it started."""

    def __init__(self, log: Path, lines: list[str], what: str) -> None:
        shown = "\n".join(lines) or "(the log is empty)"
        super().__init__(f"The local cloud {what}. The end of {log}:\n{shown}")
        self.lines = lines


_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""Detached engines that this process started: they outlive us, but we reap them if they do not."""


@dataclass(frozen=True)
class Running:
    """A local cloud that answers."""

    pid: int
    port: int
    endpoint: str
    state: Path


def start(
    port: int | None = None,
    state: Path | str | None = None,
    *,
    detach: bool = True,
    on_ready: Callable[[Running], None] = lambda _: None,
) -> Running:
    """
    Start a local cloud and wait until it answers.

    Args:
        port: Where it listens on 127.0.0.1; None is where it listened before, else 4566.
        state: Its directory; None is `$TIDEMILL_STATE`, else `.tidemill`.
        detach: Return when it answers; else stay until it ends, and end it on Ctrl-C.
        on_ready: Told once it answers.

    Raises:
        StateDirectoryInUseError: A local cloud already runs on the directory.
        StateDirectoryForeignError: The directory holds something else.
        StateDirectoryUnusableError: The directory cannot be made or written.
        PortOfStateError: The state was made on another port.
        PortTakenError: Another program listens on the port.
        EngineDiedError: It ended while it started; the error shows the end of its log.
    """
    for pid in [pid for pid, process in _started.items() if process.poll() is not None]:
        del _started[pid]
    directory = StateDirectory.locate(state)
    directory.create()
    owner = directory.owner()
    if owner is not None:
        raise StateDirectoryInUseError(directory.root, owner)
    before = directory.port()
    if before is not None and port not in (None, before):
        raise PortOfStateError(directory.root, before)
    port = port or before or DEFAULT_PORT
    _require_free(port)
    process = _spawn(directory, port)
    try:
        _wait_until_ready(process, directory, port)
    except BaseException:
        process.terminate()
        _reap(process)
        raise
    directory.remember(port)
    running = Running(process.pid, port, f"http://127.0.0.1:{port}", directory.root)
    on_ready(running)
    if detach:
        _started[process.pid] = process
    else:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            _reap(process)
    return running


def stop(state: Path | str | None = None) -> Owner:
    """
    Stop the local cloud, with all that it runs, and return who it was.

    Raises:
        EngineNotRunningError: There is none.
    """
    owner = _owner(state)
    children = processes.descendants(owner.pid)
    processes.end([owner.identity], grace=_STOP_SECONDS)
    processes.end(children, grace=0.5)
    ours = _started.pop(owner.pid, None)
    if ours is not None:
        ours.wait()
    return owner


def status(state: Path | str | None = None) -> dict[str, Any]:
    """
    Return pid, port, endpoint, state, uptime (s), versions and the results of the self-tests.

    Raises:
        EngineNotRunningError: There is none to ask.
    """
    directory = StateDirectory.locate(state)
    owner = directory.owner()
    found = owner and _ask(owner.port)
    if not found:
        raise EngineNotRunningError(directory.root)
    return found


def environment(state: Path | str | None = None) -> dict[str, str]:
    """
    Return the variables that make AWS clients talk to the local cloud.

    Raises:
        EngineNotRunningError: There is none.
    """
    return client_environment(_owner(state).port)


def faults(state: Path | str | None = None) -> RemoteFaults:
    """
    Return what asks the local cloud for misfortune.

    Raises:
        EngineNotRunningError: There is none.
    """
    return RemoteFaults(_owner(state).endpoint)


def known_images(state: Path | str | None = None) -> list[images.Image]:
    """
    Return the images that the local cloud can run.

    Raises:
        NoLocalCloudError: There is none in the directory.
        UnknownImageError: What was said of images cannot be read.
    """
    return images.known(_images_of(state))


def name_image(image: str, command: Sequence[str], state: Path | str | None = None) -> None:
    """
    Have *image* stand for *command*, from the next job on.

    Raises:
        NoLocalCloudError: There is none in the directory.
        UnknownImageError: What was said of images cannot be read.
    """
    images.name(_images_of(state), image, command)


def forget_image(image: str, state: Path | str | None = None) -> None:
    """
    Have *image* stand for nothing any more.

    Raises:
        NoLocalCloudError: There is none in the directory.
        UnknownImageError: It did not stand for anything.
    """
    images.forget(_images_of(state), image)


def _owner(state: Path | str | None) -> Owner:
    directory = StateDirectory.locate(state)
    owner = directory.owner()
    if owner is None:
        raise EngineNotRunningError(directory.root)
    return owner


def _images_of(state: Path | str | None) -> Path:
    directory = StateDirectory.locate(state)
    if not directory.root.is_dir():
        raise NoLocalCloudError(directory.root)
    return directory.sagemaker


def _spawn(directory: StateDirectory, port: int) -> "subprocess.Popen[bytes]":
    if directory.log.exists() and directory.log.stat().st_size > _LOG_LIMIT:
        directory.log.replace(directory.log.with_suffix(".log.1"))
    with directory.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-m", "tidemill_local",
             "--port", str(port), "--state", str(directory.root)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory.root,
            env=clean_environment(directory, os.environ), start_new_session=True,
        )  # fmt: skip


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", directory: StateDirectory, port: int
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = _ask(port)
        if found is not None and found["pid"] == process.pid and found["ready"]:
            return
        if process.poll() is not None:
            what = f"ended with status {process.returncode} while it started"
            raise EngineDiedError(directory.log, _last_lines(directory.log), what)
        time.sleep(_LOOK_SECONDS)
    what = f"did not answer within {_START_SECONDS:.0f} s"
    raise EngineDiedError(directory.log, _last_lines(directory.log), what)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ask(port: int, timeout: float = 5.0) -> dict[str, Any] | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{_STATUS_PATH}", timeout=timeout) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, urllib.error.URLError, ValueError):
        return None


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTakenError(port, _holder(port)) from error


def _holder(port: int) -> str | None:
    """Say who listens on the port, where the system tells (Linux, own processes)."""
    found = _ask(port, timeout=1.0)
    if found is not None:
        return f"the local cloud on {found['state']} (process {found['pid']})"
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (folder / "fd").iterdir()):
                command = (folder / "comm").read_text().strip()
                return f"{command} (process {folder.name})"
    return None


def _listening_inodes(port: int) -> list[str]:
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows += [line.split() for line in Path(table).read_text().splitlines()[1:]]
    listening = "0A"
    return [row[9] for row in rows if row[3] == listening and row[1].endswith(f":{port:04X}")]


def _last_lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []
