"""The hosts of a job: a container for each, started together, with one fate."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tidemill_local.sagemaker.containers.container import Container

_TICK_SECONDS = 0.5
_KILL_SECONDS = 10.0  # what is left of a killed container is given up after that


@dataclass(frozen=True)
class End:
    """
    How the hosts of a job ended.

    Attributes:
        host: Which host decides: the first that failed, else the first of all.
        status: Its exit status; a signal's number, negative.
        timed_out: They were ended because the deadline had come.
    """

    host: int
    status: int
    timed_out: bool


class Hosts:
    """
    One attempt's containers; when one fails or the time is over, all are ended.

    Args:
        grace_seconds: Between SIGTERM and SIGKILL.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._containers: list[Container] = []
        self._statuses: dict[int, int] = {}
        self._kill_at: float | None = None
        self._lock = threading.Lock()

    def add(self, container: Container) -> None:
        """Take the container of the next host."""
        self._containers.append(container)

    def terminate(self) -> None:
        """Ask all to end; they are killed after the grace period."""
        with self._lock:
            if self._kill_at is None:
                self._kill_at = time.monotonic() + self._grace_seconds
        for container in self._containers:
            container.terminate()

    def kill(self) -> None:
        """Kill all, with everything they have started."""
        for container in self._containers:
            container.kill()

    def close(self) -> None:
        """Kill all and wait until they are gone."""
        self.kill()
        for container in self._containers:
            container.wait(_KILL_SECONDS)

    def watch(self, deadline: float, tick: Callable[[], None]) -> End:
        """
        Wait for the end of all, and see to it if it must come early.

        Args:
            deadline: When they must end, on the monotonic clock.
            tick: Called a few times a second.
        """
        failed: int | None = None
        timed_out = False
        while True:
            self._collect()
            if failed is None:
                failed = next((host for host, status in self._statuses.items() if status), None)
                if failed is not None and len(self._containers) > 1:
                    self.terminate()
            if len(self._statuses) == len(self._containers):
                host = failed or 0
                return End(host, self._statuses[host], timed_out)
            now = time.monotonic()
            if now >= deadline and self._kill_at is None:
                timed_out = True
                self.terminate()
            if self._kill_at is not None and now >= self._kill_at:
                self.kill()
            tick()

    def _collect(self) -> None:
        """Note who has ended; wait a moment for the first that has not."""
        patience = _TICK_SECONDS
        for host, container in enumerate(self._containers):
            if host not in self._statuses:
                status = container.wait(patience)
                patience = 0.0
                if status is not None:
                    self._statuses[host] = status
