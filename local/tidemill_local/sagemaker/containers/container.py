"""One container's process: started, followed, ended, with all that it starts."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_CHUNK = 65_536
_OUTPUT_PATIENCE = 5.0  # seconds to read what is left in the pipe once everything has ended

Output = Callable[[bytes], object]


class Container:
    """
    A process and all its descendants, which die with it and with the service, even of kill -9.

    Args:
        command: The program and its arguments.
        env: The whole environment.
        directory: Where it runs.
        output: Called with what it prints (both streams), from a thread of its own.
        memory_bytes: Data memory each process may allocate; None is no limit.
        overlay: Holds `opt` and `etc/hosts`, which the process sees in place of the machine's;
            None where the kernel does not allow it (`workspace.private_paths`).
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: dict[str, str],
        directory: Path,
        output: Output,
        memory_bytes: int | None = None,
        overlay: Path | None = None,
    ) -> None:
        self._output = output
        self._ending = threading.Lock()
        self.killed = False
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_SUPERVISOR)),
                *(str(memory_bytes or 0), str(overlay or "")),
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=directory,
            env=env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="container-output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the main process still runs."""
        return self._process.poll() is None

    def wait(self, timeout: float | None = None) -> int | None:
        """
        Wait for the end; return the exit status, or None when *timeout* seconds pass first.

        A process that a signal killed has the signal's number, negative, as its status. When this
        returns a status, all output has been passed on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._reader.join(timeout)  # the end of output is the end of the process, nearly always,
        try:  # and comes without Popen.wait's polling
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            status = self._process.wait(left)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(_OUTPUT_PATIENCE)
        self._hang_up()
        return status

    def terminate(self) -> None:
        """Ask the main process to end (SIGTERM), as `docker stop` does first."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the main process and everything it started."""
        self.killed = True
        self._hang_up()

    def stop(self, grace: float) -> int:
        """Ask, wait *grace* seconds, kill; return the exit status."""
        self.terminate()
        status = self.wait(grace)
        if status is None:
            self.kill()
            status = self.wait()
        return -signal.SIGKILL if status is None else status

    def _hang_up(self) -> None:
        """Close the pipe whose closing tells the supervisor to kill everything and end."""
        with self._ending:
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.close()

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            while data := os.read(stream.fileno(), _CHUNK):
                try:
                    self._output(data)
                except Exception:  # the reader must go on, or the process would block on its pipe
                    logger.exception("a container's output was lost")
