"""
HTTP to one serving process: a pool of kept-alive connections, nothing else.

A kept-alive connection may have been closed by the other side since its last use; only then, and
only when nothing of an answer was seen, a request is sent again on a new one.
"""

import http.client
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

_HOST = "127.0.0.1"
_CONNECT_SECONDS = 5.0
_STALE = (
    http.client.RemoteDisconnected,
    http.client.CannotSendRequest,
    BrokenPipeError,
    ConnectionResetError,
    ConnectionAbortedError,
)


class ContainerUnreachableError(Exception):
    """Nobody listens, or the connection broke before a whole answer was there."""


class ContainerTimeoutError(Exception):
    """The container did not answer in time."""


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """What a container is asked; `timeout` in seconds."""

    method: str
    path: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ContainerAnswer:
    """What a container said; header names as it wrote them, looked up in any letter case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name: str, default: str = "") -> str:
        """Return a header's value."""
        return str(self.headers.get(name, default))


class ModelClient:
    """
    Talks to the server on one port of this machine; any number of threads may.

    Args:
        port: Where it listens.
        idle: How many connections are kept for later.
    """

    def __init__(self, port: int, *, idle: int = 32) -> None:
        self.port = port
        self._pool: deque[http.client.HTTPConnection] = deque()
        self._idle = idle
        self._closed = False

    def ping(self, timeout: float) -> bool:
        """Say whether GET /ping answers 200 within *timeout* seconds."""
        try:
            answer = self.send(ContainerRequest("GET", "/ping", timeout))
        except (ContainerUnreachableError, ContainerTimeoutError):
            return False
        return answer.status == http.HTTPStatus.OK

    def send(self, request: ContainerRequest) -> ContainerAnswer:
        """
        Send one request and read the whole answer.

        Raises:
            ContainerUnreachableError: There is no server, or it hung up.
            ContainerTimeoutError: The time went by without an answer.
        """
        connection = self._take()
        if connection is not None:
            try:
                return self._exchange(connection, request)
            except _STALE:
                connection.close()  # it was closed while it waited; a new one will tell
            except (OSError, http.client.HTTPException) as error:
                raise ContainerUnreachableError(f"{type(error).__name__}: {error}") from error
        try:
            connection = http.client.HTTPConnection(_HOST, self.port, timeout=_CONNECT_SECONDS)
            connection.connect()
            return self._exchange(connection, request)
        except (OSError, http.client.HTTPException) as error:
            raise ContainerUnreachableError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close what is idle; connections in use close when they come back."""
        self._closed = True
        while (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> http.client.HTTPConnection | None:
        try:
            return self._pool.pop()  # the last used is the least likely to be stale
        except IndexError:
            return None

    def _exchange(
        self, connection: http.client.HTTPConnection, request: ContainerRequest
    ) -> ContainerAnswer:
        try:
            connection.sock.settimeout(request.timeout)
            headers = dict(request.headers)
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
            answer = ContainerAnswer(response.status, response.headers, response.read())
        except TimeoutError:
            connection.close()
            raise ContainerTimeoutError(f"no answer within {request.timeout:g} s") from None
        except BaseException:
            connection.close()
            raise
        if connection.sock is None or self._closed or len(self._pool) >= self._idle:
            connection.close()
        else:
            self._pool.append(connection)
        return answer
