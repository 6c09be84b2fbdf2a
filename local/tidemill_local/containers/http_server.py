"""The HTTP side of a serving container: GET /ping, POST /invocations, until SIGTERM."""

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

_IDLE_SECONDS = 75  # longer than a caller keeps a connection


@dataclass(frozen=True, slots=True)
class Request:
    """What came to /invocations; headers by their names in lower case."""

    body: bytes
    headers: Mapping[str, str]

    @property
    def content_type(self) -> str | None:
        """The body's type as it was given, None when it was not."""
        return self.headers.get("content-type")

    @property
    def accept(self) -> str | None:
        """The type asked for; None when any will do."""
        accept = self.headers.get("accept", "").strip()
        return None if accept in ("", "*/*") else accept


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: bytes
    content_type: str = "text/csv; charset=utf-8"
    status: int = HTTPStatus.OK


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


Invoke = Callable[[Request], Answer]


def serve(port: int, payload_bytes: int, load: Callable[[], Invoke], parameters: bytes) -> None:
    """
    Listen on 127.0.0.1 at once, answer pings when *load* has returned; end on SIGTERM.

    Args:
        port: Where to listen.
        payload_bytes: Longer bodies are refused (413).
        load: Loads the model and returns what answers a request; its errors end the process.
        parameters: The answer to GET /execution-parameters, JSON.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    server = _Server(port, payload_bytes, parameters)
    accepting = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    accepting.start()
    try:
        server.invoke = load()
        log.info("Serving on port %d", port)
        stop.wait()
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, payload_bytes: int, parameters: bytes) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.payload_bytes = payload_bytes
        self.parameters = parameters
        self.invoke: Invoke | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tidemill-local"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave in one packet
    timeout = _IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answer health checks and a transform job's question."""
        if self.path == "/execution-parameters":
            self._send(Answer(self.server.parameters, "application/json"))
        elif self.path != "/ping":
            self._refuse(HTTPStatus.NOT_FOUND, "There is GET /ping and POST /invocations.")
        elif self.server.invoke is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The model is being loaded; ask again.")
        else:
            self._send(Answer(b"\n", "application/json"))

    def do_POST(self) -> None:
        """Answer a prediction."""
        body = self._body()
        if body is None:
            return
        invoke = self.server.invoke
        if self.path != "/invocations":
            self._refuse(HTTPStatus.NOT_FOUND, "There is GET /ping and POST /invocations.")
        elif invoke is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The model is being loaded; ask again.")
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = invoke(Request(body, headers))
            except RefusedError as error:
                self._refuse(error.status, str(error))
            except Exception as error:
                log.exception("the request failed")
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error) or repr(error))
            else:
                self._send(answer)

    def _body(self) -> bytes | None:
        """Return the body, or None when the request was answered with a refusal already."""
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "The request has no Content-Length.")
            return None
        if length > self.server.payload_bytes:
            self.close_connection = True
            limit = self.server.payload_bytes
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have {limit} bytes at most."
            )
            return None
        return self.rfile.read(length)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._send(Answer(sentence.encode(), "text/plain; charset=utf-8", status))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status != HTTPStatus.NO_CONTENT:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Log no line per request: health checks alone would fill the log."""
