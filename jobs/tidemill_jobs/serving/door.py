"""
Where a process's callers come from: a port of its own, or the parent that accepts for all workers.

Parent and worker share a pair of sockets. The parent sends HAND with an open connection, and GO
when every worker is warm; the worker sends WARM once and LEFT for each connection that has ended.
Either knows by the end of the stream that the other is gone.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final, Protocol

BACKLOG: Final = 256
HAND, GO, WARM, LEFT = b"h", b"g", b"w", b"l"

_AT_ONCE: Final = 64  # messages that are read together

Make = Callable[[], asyncio.BaseProtocol]


class Door(Protocol):
    """Lets callers in."""

    def wait_for_go(self) -> bool:
        """Tell that the model is warm; return when it may answer, False when it never will."""

    async def open(self, make: Make) -> None:
        """Begin to make a connection of each caller, in this loop."""

    async def close(self) -> None:
        """Let nobody in any more."""

    def left(self) -> None:
        """Note that a caller's connection has ended."""


class Port:
    """
    A port of this process's own; it is open at once.

    Args:
        host: Where to listen.
        port: 0 for any, which `address` then tells.
    """

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_server((host, port), backlog=BACKLOG)
        self.address: tuple[str, int] = self.socket.getsockname()
        self._listening: asyncio.Server | None = None

    def wait_for_go(self) -> bool:
        """Answer as soon as the model is warm."""
        return True

    async def open(self, make: Make) -> None:
        """Accept callers."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(make, sock=self.socket, backlog=BACKLOG)

    async def close(self) -> None:
        """Close the port."""
        if self._listening is not None:
            self._listening.close()

    def left(self) -> None:
        """Nobody needs to know."""


class Channel:
    """
    A worker's end of what joins it with its parent, who accepts and hands over.

    Args:
        ours: The socket.
        stop: Set when the parent wants this worker to end, or is gone.
    """

    def __init__(self, ours: socket.socket, stop: threading.Event) -> None:
        self._socket = ours
        self._stop = stop
        self._go = threading.Event()
        self._welcomed: set[asyncio.Task[object]] = set()

    def wait_for_go(self) -> bool:
        """Tell the parent, and wait until all workers are warm."""
        self._tell(WARM)
        self._go.wait()
        return not self._stop.is_set()

    async def open(self, make: Make) -> None:
        """Take callers from the parent."""
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._take, make)

    async def close(self) -> None:
        """Take no more; who was handed over is let in."""
        asyncio.get_running_loop().remove_reader(self._socket)
        await asyncio.gather(*self._welcomed, return_exceptions=True)

    def left(self) -> None:
        """Tell the parent, who gives the next caller to the worker with the fewest."""
        self._tell(LEFT)

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # the parent is gone; the end of the stream says so, too
            self._socket.send(message)

    def _take(self, make: Make) -> None:
        try:
            told, files, _, _ = socket.recv_fds(self._socket, _AT_ONCE, _AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            told, files = b"", []
        if not told:
            self._end()
        if GO in told:
            self._go.set()
        loop = asyncio.get_running_loop()
        for file in files:
            caller = socket.socket(fileno=file)
            caller.setblocking(False)
            task = loop.create_task(loop.connect_accepted_socket(make, caller))
            self._welcomed.add(task)
            task.add_done_callback(self._let_in)
        for _ in range(told.count(HAND) - len(files)):  # no file was free for it
            self.left()

    def _let_in(self, task: asyncio.Task[object]) -> None:
        self._welcomed.discard(task)
        if task.cancelled() or task.exception():
            self.left()

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._stop.set()
        self._go.set()
