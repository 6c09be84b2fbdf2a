"""
The parent of an endpoint's workers: it owns the port, hands each caller on, and keeps them alive.

A caller goes to the worker with the fewest, which spreads kept-alive connections evenly; two
sockets on one port, or one that all accept from, do not. The parent loads neither numpy nor the
model, and sees no request.
"""

import logging
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from functools import partial
from types import FrameType
from typing import Final

from tidemill_jobs.container import WORKERS
from tidemill_jobs.errors import JobError
from tidemill_jobs.serving.door import BACKLOG, GO, HAND, LEFT, WARM

log = logging.getLogger(__name__)

OPTION: Final = "--worker"  # and the number of the channel's file
COMMAND: Final = (sys.executable, "-m", "tidemill_jobs", "serve", OPTION)
DEATHS: Final = 5  # of workers that are made good
DEATH_SECONDS: Final = 60.0  # within so long
TIRED_SECONDS: Final = 0.1  # until it accepts again when no file is free
READ_BYTES: Final = 4_096


class Worker:
    """One worker's process, as its parent sees it."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        self.callers = 0
        self.is_warm = False
        self.may_answer = False

    def take(self, caller: socket.socket) -> bool:
        """Hand a caller over; return whether that was possible."""
        try:
            socket.send_fds(self.channel, [HAND], [caller.fileno()])
        except OSError:  # it is gone, or has not looked for long
            return False
        self.callers += 1
        return True

    def go(self) -> None:
        """Let it answer."""
        try:
            self.channel.send(GO)
        except OSError:
            return  # it is gone, as the end of its stream will tell
        self.may_answer = True


class Workers:
    """
    Serves a port by several processes, until a signal says it is enough.

    Args:
        host: Where to listen; the port is open at once.
        port: The port.
        number: How many processes.
    """

    def __init__(self, host: str, port: int, number: int) -> None:
        self._port = socket.create_server((host, port), backlog=BACKLOG)
        self._port.setblocking(False)
        self._number = number
        self._workers: list[Worker] = []
        self._deaths: deque[float] = deque(maxlen=DEATHS + 1)
        self._served = False
        self._stopping = False
        self._events = selectors.DefaultSelector()

    def serve(self) -> None:
        """
        Accept for the workers until SIGTERM or SIGINT, then let them finish their answers.

        Raises:
            JobError: Workers die again and again.
            SystemExit: A worker found that it cannot serve at all, and said why.
        """
        told, telling = socket.socketpair()
        telling.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(telling.fileno())
        try:
            self._events.register(told, selectors.EVENT_READ, lambda: told.recv(READ_BYTES))
            self._events.register(self._port, selectors.EVENT_READ, self._accept)
            for _ in range(self._number):
                self._start()
            while not self._stopping:
                for key, _ in self._events.select():
                    key.data()
        finally:
            self._port.close()
            for worker in self._workers:
                worker.channel.close()  # which tells it to finish
            for worker in self._workers:
                worker.process.wait()
            signal.set_wakeup_fd(-1)
            told.close()
            telling.close()
            self._events.close()
        log.info("all workers stopped")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self) -> None:
        worker = Worker()
        log.info("worker %d starts", worker.process.pid)
        self._workers.append(worker)
        hear = partial(self._hear, worker)
        self._events.register(worker.channel, selectors.EVENT_READ, hear)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                caller, _address = self._port.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as exc:
                log.warning("nobody can be let in: %s", exc)
                time.sleep(TIRED_SECONDS)
                return
            with caller:  # the worker has its own
                self._hand_over(caller)

    def _hand_over(self, caller: socket.socket) -> None:
        by_callers = sorted(self._workers, key=lambda each: (not each.may_answer, each.callers))
        if not any(worker.take(caller) for worker in by_callers):
            log.warning("no worker takes a caller; it is turned away")

    def _hear(self, worker: Worker) -> None:
        try:
            said = worker.channel.recv(READ_BYTES)
        except OSError:  # it ended with something unread
            said = b""
        worker.callers -= said.count(LEFT)
        if not said:
            self._bury(worker)
        elif WARM in said:
            worker.is_warm = True
            self._let_answer(worker)

    def _let_answer(self, worker: Worker) -> None:
        """Let a warm worker answer; the first ones when all of them are warm."""
        if self._served:
            worker.go()
        elif all(each.is_warm for each in self._workers):
            self._served = True
            for each in self._workers:
                each.go()
            log.info("all workers serve: %d", len(self._workers))

    def _bury(self, worker: Worker) -> None:
        """
        Put another in a dead worker's place.

        Raises:
            JobError: Too many died in too short a time.
            SystemExit: It found that it cannot serve, before anybody was answered.
        """
        self._events.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        status = worker.process.wait()
        if status > 0 and not self._served:
            for each in self._workers:
                each.process.kill()  # as it would find the same
            raise SystemExit(status)
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) > DEATHS and now - self._deaths[0] < DEATH_SECONDS:
            raise JobError(
                f"{len(self._deaths)} workers ended within {DEATH_SECONDS:.0f} s, the last with "
                f"status {status}; if memory is short, set {WORKERS} to fewer."
            )
        log.warning("worker %d ended with status %d; another starts", worker.process.pid, status)
        self._start()
