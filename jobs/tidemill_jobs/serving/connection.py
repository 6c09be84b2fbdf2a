"""
One caller's connection: requests out of its bytes, one after the other, and answers in that order.

A caller that is slow, silent or rude costs a connection and holds nobody up. Requests that come
ahead of an answer wait in the kernel once they are many.
"""

import asyncio
import contextlib
import socket
from http import HTTPStatus
from typing import Final, Protocol, cast

from tidemill_jobs.serving.http1 import (
    CONTINUE,
    Answer,
    Head,
    RefusedError,
    head_end,
    read_head,
    refusal,
    write,
)

IDLE_SECONDS = 75.0  # longer than a load balancer keeps a connection
DRAIN_SECONDS = 5.0  # how long a request may still be sent to an endpoint that ends
LINGER_SECONDS = 2.0  # how long a caller that is done with is still heard, at most
AHEAD_BYTES: Final = 65_536  # that are read while an answer is under way


class Host(Protocol):
    """Who answers, and keeps count of the connections."""

    payload_bytes: int
    draining: bool
    connections: set["Connection"]
    heard: memoryview  # what a connection reads into, for as long as it takes to copy it

    def ask(self, connection: "Connection", head: Head, body: bytes) -> None:
        """Begin to answer; `connection.say` ends it, now or later."""

    def left(self, connection: "Connection") -> None:
        """Note that a connection is closed."""


class Connection(asyncio.BufferedProtocol):
    """Reads one request at a time and writes its answer, until one side has enough."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._searched = 0  # of it, for the end of a head
        self._head: Head | None = None  # of the request whose body is coming
        self._last: tuple[bytes, Head] | None = None  # as it came, and read
        self._works = False  # a request is being answered
        self._full = False  # the caller does not read its answers
        self._ended = False  # the caller sends no more
        self._leaving = False  # nothing that comes is read
        self._heard = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        self._transport = cast("asyncio.Transport", transport)  # the server speaks TCP
        self._host.connections.add(self)
        self._timer = self._loop.call_later(IDLE_SECONDS, self._watch)
        if self._host.draining:  # it was accepted a moment too late
            self.drain()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Let go; an answer under way is nobody's."""
        self._leaving = True
        self._timer.cancel()
        self._host.left(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio knows no size
        """Say where to read to: all connections to one place, one after the other."""
        return self._host.heard

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came, and begin its request when it is whole."""
        if self._leaving:
            return
        self._heard = self._loop.time()
        self._unread += self._host.heard[:nbytes]
        self._read()

    def eof_received(self) -> bool:
        """Say whether the connection stays open: what came before is still answered."""
        self._ended = True
        if not self._leaving:
            self._loop.call_soon(self._read)
        return not self._leaving

    def pause_writing(self) -> None:
        """Begin no further request: the caller does not read."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._heard = self._loop.time()
        self._read()

    def say(self, answer: Answer, *, closes: bool = False) -> None:
        """Answer the request under way; to be called in the loop."""
        self._works = False
        if self._leaving:
            return
        head, self._head = self._head, None
        closes = closes or self._host.draining or (head is not None and head.closes)
        self._heard = self._loop.time()
        self._transport.write(write(answer, closes=closes))
        if closes:
            self._leave()
        elif self._unread or self._ended:
            self._loop.call_soon(self._read)  # not at once: others have their turn first
        self._transport.resume_reading()

    def drain(self) -> None:
        """Close if no request has begun; the kernel may hold one, which is still answered."""
        if not self._works and not self._unread and self._head is None:
            caller: socket.socket = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # the caller is gone already
                caller.shutdown(socket.SHUT_RD)
        self._timer.cancel()
        self._watch()

    def _read(self) -> None:
        """Begin the next request, if it is whole and none is under way."""
        if self._works or self._full or self._leaving:
            if len(self._unread) > AHEAD_BYTES:
                self._transport.pause_reading()
            return
        try:
            request = self._request()
        except RefusedError as exc:
            self.say(refusal(exc.status, str(exc)), closes=True)
            return
        if request is not None:
            self._works = True
            self._host.ask(self, *request)
        elif self._ended:
            self._transport.close()

    def _request(self) -> tuple[Head, bytes] | None:
        head = self._head
        if head is None:
            head = self._head = self._next_head()
            if head is None:
                return None
            if head.length > self._host.payload_bytes:
                raise RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The body has {head.length:,} bytes and {self._host.payload_bytes:,} are the "
                    "most; send fewer rows.",
                )
            if head.waits and len(self._unread) < head.length:
                self._transport.write(CONTINUE)
        if len(self._unread) < head.length:
            return None
        body = bytes(self._unread[: head.length])
        del self._unread[: head.length]
        return head, body

    def _next_head(self) -> Head | None:
        """Take a head from what came; callers mostly send the same again and again."""
        if self._last is not None and self._unread.startswith(self._last[0]):
            del self._unread[: len(self._last[0])]
            self._searched = 0
            return self._last[1]
        end = head_end(self._unread, self._searched)
        if not end:
            self._searched = max(0, len(self._unread) - 2)
            return None
        self._searched = 0
        raw = bytes(self._unread[:end])
        del self._unread[:end]
        head = read_head(raw)
        self._last = (raw, head)
        return head

    def _leave(self) -> None:
        """
        Close when the caller has, or after a while.

        Closing with bytes unread resets the connection, and a reset discards the answer: a caller
        in the middle of its body gets to read why it was refused.
        """
        self._leaving = True
        self._unread.clear()
        if self._ended:
            self._transport.close()
            return
        self._transport.write_eof()
        self._timer.cancel()
        self._watch()

    def _watch(self) -> None:
        """Break off when the caller has been silent for too long; else look again later."""
        patience = DRAIN_SECONDS if self._host.draining else IDLE_SECONDS
        if self._leaving and not self._transport.get_write_buffer_size():
            patience = LINGER_SECONDS
        left = patience if self._works else self._heard + patience - self._loop.time()
        if left <= 0:
            self._transport.abort()
            return
        soon = min(left, LINGER_SECONDS) if self._leaving else left
        self._timer = self._loop.call_later(soon, self._watch)
