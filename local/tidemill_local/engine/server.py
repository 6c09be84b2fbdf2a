"""One process: ministack with our hooks on 127.0.0.1, and what happens when it starts and stops."""

import asyncio
import contextlib
import json
import logging
import platform
import resource
import signal
import threading
import time
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import hypercorn.asyncio
import hypercorn.config
from ministack import app
from ministack.core import persistence
from ministack.services import cloudformation, lambda_svc

from tidemill_local import processes
from tidemill_local.engine import hooks
from tidemill_local.engine.function_files import FunctionFiles
from tidemill_local.engine.hooks import CheckResult
from tidemill_local.engine.records import Records
from tidemill_local.engine.sagemaker_service import sagemaker
from tidemill_local.engine.surroundings import Application, Surroundings
from tidemill_local.environment import ACCOUNT, REGION
from tidemill_local.state_directory import Owner, StateDirectory

logger = logging.getLogger(__name__)

STATUS_PATH = "/_tidemill/status"
SWEEP_OUTPUT = "SweepFunctionName"
_KEEP_ALIVE = 75  # seconds, as ministack's own
_STOP_SECONDS = 10.0


class Engine:
    """
    The local cloud's server.

    Args:
        state: The state directory, owned by this process.
        owner: Who we are, as others see it.
        make_service: Makes the local SageMaker; None is the real one.
    """

    def __init__(self, state: StateDirectory, owner: Owner, make_service: Any = None) -> None:
        self._owner = owner
        self._records = Records(state.records, persistence._json_default)
        self._surroundings = Surroundings(
            state=state,
            port=owner.port,
            records=self._records,
            files=FunctionFiles(state.functions),
            application=self._with_status(app.app),
            make_service=make_service,
        )
        self._checks: list[CheckResult] = []
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run(self) -> None:
        """
        Serve until SIGTERM or SIGINT.

        Raises:
            HooksDoNotFitError: ministack is not the one that we build on.
        """
        try:
            self._checks = hooks.install(hooks.load(), self._surroundings)
            _raise_file_limit()
            asyncio.run(self._serve())
        finally:
            for stop in reversed(self._surroundings.on_stop):
                with contextlib.suppress(Exception):  # the others must stop, too
                    stop()
            processes.end(processes.descendants(self._owner.pid))
            self._records.close()
        if self._failure is not None:
            raise self._failure

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        config = hypercorn.config.Config()
        config.bind = [f"127.0.0.1:{self._owner.port}"]
        config.keep_alive_timeout = _KEEP_ALIVE
        config.graceful_timeout = 1.0
        config.accesslog = None
        config.errorlog = "-"
        config.loglevel = "WARNING"
        await hypercorn.asyncio.serve(
            self._surroundings.application, config, shutdown_trigger=self._stop.wait
        )
        self._stopping.set()

    def _with_status(self, application: Application) -> Application:
        async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await application(scope, receive, _after_startup(send, self._start_work))
            elif scope["type"] == "http" and scope["path"] == STATUS_PATH:
                await _send_json(send, self.status())
            else:
                await application(scope, receive, send)

        return answered

    def status(self) -> dict[str, Any]:
        """Return what `tidemill status` shows."""
        return {
            **asdict(self._owner),
            "endpoint": self._owner.endpoint,
            "state": str(self._surroundings.state.root),
            "ready": self._ready.is_set(),
            "uptime": time.time() - self._owner.since,
            "versions": {
                "tidemill": version("tidemill"),
                "ministack": version("ministack"),
                "boto3": version("boto3"),
                "python": platform.python_version(),
            },
            "faults": [fault.to_json() for fault in _faults()],
            "self_tests": [result.to_json() for result in self._checks],
        }

    def _start_work(self) -> None:
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    def _work(self) -> None:
        """Finish the start, then look after things until the engine stops."""
        try:
            for start in self._surroundings.on_ready:
                start()
            self._sweep()
            self._ready.set()
        except Exception as error:
            logger.exception("the local cloud could not finish its start")
            self._failure = error
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
            return
        while not self._stopping.wait(1.0):
            for task in (*self._surroundings.every_second, self._note_children):
                try:
                    task()
                except Exception:
                    logger.exception("a regular task of the local cloud failed")

    def _sweep(self) -> None:
        """Let stacks that were deployed here settle what was interrupted."""
        for stack in cloudformation._stacks.all_values():
            for output in stack.get("Outputs") or ():
                if output.get("OutputKey") == SWEEP_OUTPUT:
                    name = output["OutputValue"].rpartition(":")[2]
                    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
                    lambda_svc.invoke_async_with_retry({"FunctionArn": arn}, {})

    def _note_children(self) -> None:
        """Leave a list for the next engine, should this one be killed."""
        children = [asdict(child) for child in processes.descendants(self._owner.pid)]
        text = json.dumps(children)
        path = self._surroundings.state.children
        if not path.exists() or path.read_text() != text:
            part = path.with_suffix(".part")
            part.write_text(text)
            part.replace(path)


def _faults() -> list[Any]:
    """Return what somebody asked to go wrong."""
    known = sagemaker.faults
    return [] if known is None else list(known.list())


def _after_startup(send: Any, call: Any) -> Any:
    async def sent(message: dict[str, Any]) -> None:
        await send(message)
        if message["type"] == "lifespan.startup.complete":
            call()

    return sent


async def _send_json(send: Any, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _raise_file_limit() -> None:
    """A burst of connections must not hit the usual soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
