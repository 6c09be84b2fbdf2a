"""How many Lambda environments run at once, and for how long idle ones stay warm."""

import threading
import time
from collections.abc import Callable

from tidemill_local.engine.lambda_process import Function, Invocation, LambdaProcess, Outcome


class WorkerPool:
    """
    Warm environments by function, with a cap on what runs.

    A caller over the cap waits instead of being throttled: a laptop is slow, not broken. Nested
    calls (a function that invokes a function) do not count, or they would wait for themselves.

    Args:
        running: Outer invocations that run at once.
        warm: Idle environments kept at most.
        idle_seconds: How long an environment stays warm unused.
        start: Makes an environment; tests pass their own.
    """

    def __init__(
        self,
        *,
        running: int,
        warm: int,
        idle_seconds: float,
        start: Callable[[Function], LambdaProcess],
    ) -> None:
        self._slots = threading.BoundedSemaphore(running)
        self._warm = warm
        self._idle_seconds = idle_seconds
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[LambdaProcess] = []  # least recently used first
        self._busy: set[LambdaProcess] = set()
        self._closed = False

    def invoke(self, function: Function, invocation: Invocation, *, nested: bool) -> Outcome:
        """Run one invocation, in a warm environment if there is one."""
        if nested:
            return self._invoke(function, invocation)
        with self._slots:
            return self._invoke(function, invocation)

    def reap(self) -> None:
        """Stop what has been idle too long."""
        oldest = time.monotonic() - self._idle_seconds
        with self._lock:
            doomed = [process for process in self._idle if process.last_used < oldest]
            self._idle = [process for process in self._idle if process.last_used >= oldest]
        for process in doomed:
            process.stop()

    def close(self) -> None:
        """Stop every environment, busy ones too."""
        with self._lock:
            self._closed = True
            for process in self._busy:
                process.kill()
            doomed, self._idle = self._idle, []
        for process in doomed:
            process.stop()

    def _invoke(self, function: Function, invocation: Invocation) -> Outcome:
        process = self._take(function)
        try:
            return process.invoke(invocation)
        finally:
            self._give_back(process)

    def _take(self, function: Function) -> LambdaProcess:
        with self._lock:
            for process in reversed(self._idle):
                if process.function == function and process.alive:
                    self._idle.remove(process)
                    self._busy.add(process)
                    return process
        process = self._start(function)
        with self._lock:
            self._busy.add(process)
        return process

    def _give_back(self, process: LambdaProcess) -> None:
        with self._lock:
            self._busy.discard(process)
            doomed = [process]
            if process.alive and not self._closed:
                self._idle.append(process)
                doomed = self._idle[: -self._warm] if self._warm else self._idle[:]
                self._idle = self._idle[len(doomed) :]
        for each in doomed:
            each.stop()
