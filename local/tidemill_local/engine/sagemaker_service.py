"""Requests to SageMaker and its runtime go to our own service, whose events go to EventBridge."""

import asyncio
import concurrent.futures
import json
import re
import threading
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ministack.services import eventbridge

from tidemill_local.engine.event_sources import emit as emit_event
from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Application, Surroundings
from tidemill_local.environment import ACCOUNT, REGION

_TARGET = "SageMaker."
_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/sagemaker/")
_RUNTIME = re.compile(r"^/endpoints/[^/]+/(async-invocations|invocations(-response-stream)?)$")
_THREADS = 32
_START_SECONDS = 120.0
#: Nothing of SageMaker's is as large; what is larger is read to its end and not kept.
_LONGEST_BODY = 32 * 1024 * 1024

Answer = tuple[int, dict[str, str], bytes]


def check() -> None:
    """Require the bus; all else is ours."""
    expect(eventbridge, "_put_events", "(data, allow_aws_source=False)")


def apply(surroundings: Surroundings) -> None:
    """Answer SageMaker's requests before ministack sees them."""
    sagemaker.configure(surroundings)
    surroundings.application = _routing(surroundings.application)
    surroundings.on_ready.append(sagemaker.start)
    surroundings.on_stop.append(sagemaker.stop)


class LocalSageMaker:
    """The one service of this engine, and those who wait for its jobs."""

    def __init__(self) -> None:
        self._surroundings: Surroundings | None = None
        self._service: Any = None
        self._started = threading.Event()
        self._waiting_lock = threading.Lock()
        self._waiting: dict[str, set[threading.Event]] = {}
        self.threads = concurrent.futures.ThreadPoolExecutor(
            _THREADS, thread_name_prefix="sagemaker-request"
        )

    def configure(self, surroundings: Surroundings) -> None:
        """Take what the service is made from."""
        self._surroundings = surroundings

    def start(self) -> None:
        """Make and start the service; requests wait until it is up."""
        surroundings = self._surroundings
        if surroundings is None:
            raise RuntimeError("configure comes before start")
        make = surroundings.make_service
        if make is None:
            from tidemill_local.sagemaker.service import Service  # noqa: PLC0415 - costs memory

            make = Service
        surroundings.state.sagemaker.mkdir(exist_ok=True)
        self._service = make(
            root=surroundings.state.sagemaker,
            endpoint_url=surroundings.endpoint,
            account=ACCOUNT,
            region=REGION,
            emit=self.emit,
        )
        self._service.start()
        self._started.set()

    def stop(self) -> None:
        """Stop the service if it runs."""
        if self._started.is_set():
            self._service.stop()
        self.threads.shutdown(wait=False, cancel_futures=True)

    @property
    def service(self) -> Any:
        """
        The service, once it is up.

        Raises:
            TimeoutError: It did not come up.
        """
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError("the local SageMaker did not start; see local.log")
        return self._service

    @property
    def faults(self) -> Any:
        """What somebody asked to go wrong; None until the service is up, and of one without."""
        return getattr(self._service, "faults", None) if self._started.is_set() else None

    def emit(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put one of SageMaker's events on the bus, and wake who waits for its resource."""
        with self._waiting_lock:
            woken = [event for arn in resources for event in self._waiting.get(arn, ())]
        for event in woken:
            event.set()
        emit_event("aws.sagemaker", detail_type, detail, resources)

    def wake_on_change(self, arn: str, event: threading.Event) -> None:
        """Set *event* at each state change of a resource, until `stop_waking`."""
        with self._waiting_lock:
            self._waiting.setdefault(arn, set()).add(event)

    def stop_waking(self, arn: str, event: threading.Event) -> None:
        """Undo `wake_on_change`."""
        with self._waiting_lock:
            events = self._waiting.get(arn, set())
            events.discard(event)
            if not events:
                self._waiting.pop(arn, None)


sagemaker = LocalSageMaker()


def _routing(application: Application) -> Application:
    async def routed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        target = headers.get("x-amz-target", "")
        if target.startswith(_TARGET):
            operation = target.removeprefix(_TARGET)
            answer = await _answered(
                receive, lambda body: sagemaker.service.handle(operation, body)
            )
        elif _RUNTIME.match(_raw_path(scope)) or (
            not target and _SCOPE.search(headers.get("authorization", ""))
        ):
            method, path = scope["method"], _whole_path(scope)
            answer = await _answered(
                receive, lambda body: sagemaker.service.invoke(method, path, headers, body)
            )
        else:
            await application(scope, receive, send)
            return
        if answer is not None:
            await send_answer(send, answer)

    return routed


async def _answered(receive: Any, call: Callable[[bytes], Answer]) -> Answer | None:
    """Call with the request's body; None when who asked left before it was whole."""
    body, left_out = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        if left_out or len(body) + len(part) > _LONGEST_BODY:
            left_out += len(part)
        else:
            body += part
        if not message.get("more_body"):
            break
    if left_out:
        return _too_large(len(body) + left_out)
    answer: Answer = await in_thread(lambda: call(bytes(body)))
    return answer


def _too_large(size: int) -> Answer:
    code = "RequestEntityTooLargeException"
    said = f"the request's body has {size} bytes; {_LONGEST_BODY} are the most that are taken"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-ErrorType": code,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    document = json.dumps({"__type": code, "message": said})
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, headers, document.encode()


async def in_thread(call: Any) -> Any:
    """Return what *call* returns, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(sagemaker.threads, call)


def _raw_path(scope: dict[str, Any]) -> str:
    """Return the path as it was sent: a name in it may hold an escaped slash."""
    path: str = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
    return path.partition("?")[0]


def _whole_path(scope: dict[str, Any]) -> str:
    path = _raw_path(scope)
    query: str = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


async def read_body(receive: Any) -> bytes:
    """Return a request's whole body, or what came before the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def send_answer(send: Any, answer: Answer) -> None:
    """Send an answer's status, headers and body."""
    status, headers, body = answer
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw = [pair for pair in raw if pair[0] != b"content-length"]
    raw.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
