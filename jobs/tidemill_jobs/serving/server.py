"""
The HTTP side of an endpoint: GET /ping and POST /invocations over keep-alive connections.

One event loop reads every caller. What is quick it predicts itself, since handing a row to a thread
costs more than predicting it, and all at once that has come in two turns of the loop. What takes
longer goes to a few threads: the loop, and with it /ping and the next caller's row, waits for none
of them.
"""

import asyncio
import threading
from asyncio import Future
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from tidemill_jobs.capture.writer import CaptureWriter
from tidemill_jobs.predictor import Predictor
from tidemill_jobs.serving.connection import Connection
from tidemill_jobs.serving.door import Door
from tidemill_jobs.serving.http1 import JSON, Answer, Head, refusal
from tidemill_jobs.serving.invocation import Invocation, predict_together

QUICK_BYTES: Final = 16_384  # of a body that the loop reads itself
QUICK_SECONDS: Final = 0.001  # of a prediction that it makes itself
READ_BYTES: Final = 262_144  # of a caller's, at once

_READY: Final = Answer(HTTPStatus.OK, JSON, b"{}")


class Server:
    """
    Answers 503 until `predictor` is set; `drain` lets requests under way finish.

    Args:
        door: Lets callers in.
        payload_bytes: The largest body that is read.
        threads: For predictions that take their time.
    """

    def __init__(self, door: Door, payload_bytes: int, threads: int) -> None:
        self._door = door
        self.predictor: Predictor | None = None
        self.capture: CaptureWriter | None = None
        self.payload_bytes = payload_bytes
        self.draining = False
        self.connections: set[Connection] = set()
        self.heard = memoryview(bytearray(READ_BYTES))
        self._together: list[tuple[Connection, Invocation]] = []
        self._pool = ThreadPoolExecutor(threads, "predict")
        self._loop = asyncio.new_event_loop()
        self._drain, self._empty = asyncio.Event(), asyncio.Event()
        self._ended = threading.Event()

    def serve_forever(self) -> None:
        """Answer until `drain` is called by another thread."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()
            self._pool.shutdown()
            self._ended.set()

    def drain(self) -> None:
        """Stop accepting, close idle connections, and wait for the answers under way."""
        self._loop.call_soon_threadsafe(self._drain.set)
        self._ended.wait()

    def left(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self.connections.discard(connection)
        self._door.left()
        if self.draining and not self.connections:
            self._empty.set()

    def ask(self, connection: Connection, head: Head, body: bytes) -> None:
        """Begin to answer; `connection.say` ends it, now or later."""
        asked = (head.method, head.path)
        if asked not in (("GET", "/ping"), ("POST", "/invocations")):
            connection.say(
                refusal(HTTPStatus.NOT_FOUND, "There is GET /ping and POST /invocations.")
            )
        elif self.predictor is None:
            connection.say(
                refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The model is being loaded; ask again.")
            )
        elif head.method == "GET":
            connection.say(_READY)
        else:
            self._invoke(connection, Invocation(self.predictor, self.capture, head.headers, body))

    def _invoke(self, connection: Connection, invocation: Invocation) -> None:
        step = invocation.answer
        if len(invocation.body) <= QUICK_BYTES:
            refused = invocation.read()
            if refused is not None:
                connection.say(refused)
                return
            if invocation.seconds <= QUICK_SECONDS:
                if not self._together:
                    # As a timer that is due: those run after what comes in the loop's next turn.
                    self._loop.call_at(0, self._predict_together)
                self._together.append((connection, invocation))
                return
            step = invocation.predict

        def done(answered: Future[Answer]) -> None:
            connection.say(answered.result())

        self._loop.run_in_executor(self._pool, step).add_done_callback(done)

    def _predict_together(self) -> None:
        asked, self._together = self._together, []
        answers = predict_together([invocation for _, invocation in asked])
        for (connection, _), answer in zip(asked, answers, strict=True):
            connection.say(answer)

    async def _serve(self) -> None:
        await self._door.open(lambda: Connection(self))
        await self._drain.wait()
        self.draining = True
        await self._door.close()
        for connection in tuple(self.connections):
            connection.drain()
        if self.connections:
            await self._empty.wait()
