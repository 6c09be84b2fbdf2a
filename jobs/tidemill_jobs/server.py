"""
The HTTP side of an endpoint: GET /ping and POST /invocations over keep-alive connections.

The standard library's server, a thread per connection, with Nagle's algorithm off and no framework.
Its own reading of headers (a parser of mail) took more than half of a request's time; ours reads
what HTTP/1.1 allows and refuses the rest, which no load balancer and no SDK sends.
"""

import json
import logging
import socket
import threading
import time
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from tidemill_jobs.capture.writer import Answered, CaptureWriter
from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.payload import JSON, RequestRefusedError, negotiate, parse, render
from tidemill_jobs.predictor import Predictor

log = logging.getLogger(__name__)

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
IDLE_SECONDS = 75  # longer than a load balancer keeps a connection
LINGER_SECONDS = 2.0  # how long a refused body is still read, at most
HEADERS, LINE_BYTES = 100, 65_536  # the most of a request: the standard library's own limits


class Server(ThreadingHTTPServer):
    """Answers 503 until `predictor` is set; `drain` lets requests under way finish."""

    daemon_threads = False  # closing waits for the answers under way
    block_on_close = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, payload_bytes: int) -> None:
        super().__init__((host, port), _Handler)
        self.predictor: Predictor | None = None
        self.capture: CaptureWriter | None = None
        self.payload_bytes = payload_bytes
        self.draining = False
        self._idle: set[socket.socket] = set()
        self._lock = threading.Lock()

    def drain(self) -> None:
        """Stop accepting, close idle connections, and wait for the answers under way."""
        with self._lock:
            self.draining = True
            for connection in self._idle:
                _stop_reading(connection)
        self.shutdown()
        self.server_close()

    def waits(self, connection: socket.socket) -> bool:
        """Note that a connection waits for its next request; False when none will be read."""
        with self._lock:
            if not self.draining:
                self._idle.add(connection)
            return not self.draining

    def works(self, connection: socket.socket) -> None:
        """Note that a connection has a request under way, or is closed."""
        with self._lock:
            self._idle.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tidemill"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave in one packet
    timeout = IDLE_SECONDS
    server: Server
    raw_requestline: bytes  # the base class's
    body_left = False  # whether the caller may still be sending a body that nobody reads

    def handle_one_request(self) -> None:
        """Answer the next request of this connection."""
        if not self.server.waits(self.connection):
            self.close_connection = True
            return
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):  # the caller went away
            self.close_connection = True
        finally:
            self.server.works(self.connection)

    def finish(self) -> None:
        """Send what is left to say; a caller in the middle of its body gets to read it.

        Closing with bytes unread resets the connection, and a reset discards the answer.
        """
        super().finish()
        if self.body_left:
            _discard(self.connection, LINGER_SECONDS)

    def parse_request(self) -> bool:
        """Read the request's head; return whether there is a request to answer."""
        self.server.works(self.connection)
        words = self.raw_requestline.split()
        if words[2:] != [b"HTTP/1.1"]:
            return super().parse_request()
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        self.command, self.path = words[0].decode("latin-1"), words[1].decode("latin-1")
        self.request_version = "HTTP/1.1"
        try:
            headers = _read_headers(self.rfile)
        except _MalformedError as exc:
            self._refuse_unread(exc.status, str(exc))
            return False
        self.headers = headers  # type: ignore[assignment]  # a mapping is all that we need of it
        self.close_connection = headers.get("Connection", "").lower() == "close"
        if headers.get("Expect", "").lower() == "100-continue":
            self.handle_expect_100()
            self.wfile.flush()  # the caller waits for this before it sends the body
        return True

    def do_GET(self) -> None:
        """Answer the health check."""
        if self.path != "/ping":
            self._refuse(HTTPStatus.NOT_FOUND, "There is GET /ping and POST /invocations.")
        elif self.server.predictor is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The model is being loaded; ask again.")
        else:
            self._answer(HTTPStatus.OK, JSON, b"{}")

    def do_POST(self) -> None:
        """Answer a prediction."""
        body = self._body()
        if body is None:
            return
        if self.path != "/invocations":
            self._refuse(HTTPStatus.NOT_FOUND, "There is GET /ping and POST /invocations.")
            return
        predictor = self.server.predictor
        if predictor is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The model is being loaded; ask again.")
            return
        asked = time.time()
        content_type = self.headers.get("Content-Type", "")
        try:
            kind, accepted = negotiate(content_type, self.headers.get("Accept", ""))
            request = parse(kind, body, predictor.features)
            answer = render(accepted, predictor.predict(request.rows), request.shape)
        except RequestRefusedError as exc:
            self._refuse(exc.status, str(exc))
        except ValueRefusedError as exc:
            self._refuse(HTTPStatus.BAD_REQUEST, str(exc))
        except Exception:
            log.exception("prediction_failed")
            self._refuse(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The prediction failed; the endpoint's log has the details.",
            )
        else:
            if self.server.capture is not None:
                said = f"{accepted}; charset=utf-8"
                self._capture(
                    self.server.capture,
                    Answered(content_type, kind, body, request.rows, said, answer, asked),
                )
            self._answer(HTTPStatus.OK, accepted, answer)

    def _capture(self, capture: CaptureWriter, answered: Answered) -> None:
        capture.record(
            replace(
                answered,
                inference_id=self.headers.get(INFERENCE_ID, ""),
                custom_attributes=self.headers.get(ATTRIBUTES, ""),
            )
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Log no line per request: health checks alone are 17,000 a day."""

    def _body(self) -> bytes | None:
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not text:
            self._refuse_unread(HTTPStatus.LENGTH_REQUIRED, "Send the body's Content-Length.")
            return None
        if not text.isdecimal():
            sentence = f"Content-Length is '{text}'; send a number."
            self._refuse_unread(HTTPStatus.BAD_REQUEST, sentence)
            return None
        length, limit = int(text), self.server.payload_bytes
        if length > limit:
            self._refuse_unread(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body has {length:,} bytes and {limit:,} are the most; send fewer rows.",
            )
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def _refuse_unread(self, status: HTTPStatus, sentence: str) -> None:
        self.close_connection = self.body_left = True
        self._refuse(status, sentence)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._answer(status, JSON, json.dumps({"error": sentence}, ensure_ascii=False).encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        closes = self.close_connection or self.server.draining
        self.close_connection = closes
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Server: {self.server_version}\r\n"
            f"Date: {_date(int(time.time()))}\r\n"
            f"Content-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        if closes:
            head += "Connection: close\r\n"
        head += "\r\n"
        self.wfile.write(head.encode("latin-1") + body)


class _Headers(dict[str, str]):
    """A request's headers, looked up in any letter case; the first of a name counts."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


class _MalformedError(Exception):
    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def _read_headers(stream: BufferedIOBase) -> _Headers:
    headers = _Headers()
    for _ in range(HEADERS + 1):
        line = stream.readline(LINE_BYTES + 1)
        if len(line) > LINE_BYTES:
            raise _MalformedError(_TOO_LARGE, f"A header has more than {LINE_BYTES:,} bytes.")
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            raise _MalformedError(
                HTTPStatus.BAD_REQUEST, "A header is not of the form name: value."
            )
        key, text = name.lower(), value.strip()
        if dict.setdefault(headers, key, text) != text and key == "content-length":
            raise _MalformedError(HTTPStatus.BAD_REQUEST, "Two lengths of one body differ.")
    raise _MalformedError(_TOO_LARGE, f"There are more than {HEADERS} headers.")


_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _stop_reading(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        log.debug("connection_gone")


def _discard(connection: socket.socket, seconds: float) -> None:
    """Half-close a connection, and read what still comes until its end or for `seconds`."""
    until = time.monotonic() + seconds
    try:
        connection.shutdown(socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(LINE_BYTES):
                return
    except OSError:
        log.debug("connection_gone")
