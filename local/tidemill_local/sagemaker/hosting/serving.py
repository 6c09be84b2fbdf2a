"""
One serving process: its model directory, its container, its health.

The container contract is SageMaker's: the image is started with `serve`, the model lies in
/opt/ml/model, GET /ping answers 200 when the model is ready, POST /invocations predicts. Where
/opt/ml is and which port to listen on is told by SAGEMAKER_BASE_DIR and SAGEMAKER_BIND_TO_PORT.
"""

import logging
import secrets
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tidemill_local.containers.archive import ArchiveError, unpack
from tidemill_local.images import UnknownImageError, command_for
from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    TransferError,
    download,
    objects_under,
    split_uri,
)
from tidemill_local.sagemaker.containers.container import Container
from tidemill_local.sagemaker.containers.workspace import Workspace
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.model_client import ModelClient
from tidemill_local.sagemaker.logs import LogStream

logger = logging.getLogger(__name__)

STARTUP_SECONDS = 240.0  # SageMaker's own, unless the variant says otherwise
PING_SECONDS = 2.0
STOP_SECONDS = 30.0  # between SIGTERM and SIGKILL
_PING_PAUSE = (0.02, 0.25)  # first and longest pause between two looks
_RESTART_PAUSE = (0.25, 30.0)
_STEADY_SECONDS = 60.0  # a process that lived this long starts again at once
_COMPLETE = ".complete"
#: A machine of SageMaker's has one container; here many share the processors.
_ALONE = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}

_handing_out = threading.Lock()
_given_out: deque[int] = deque(maxlen=128)


class ServingError(Exception):
    """A variant cannot serve; the sentence becomes the endpoint's FailureReason."""


@dataclass(frozen=True)
class Workload:
    """What one variant runs."""

    endpoint: str
    variant: str
    image: str
    model_data: str | None  # s3:// URI of a model.tar.gz, or of a prefix when it ends in /
    environment: dict[str, str]
    startup_seconds: float
    multi_model: bool = False  # model_data is the prefix of many archives
    cached: bool = True  # of a multi-model variant: models stay loaded
    bare: bool = False  # a variant without a model: it hosts inference components
    component: str = ""  # the inference component that it is a copy of

    owner: ClassVar[str] = "endpoint"  # what the logs are of

    @property
    def title(self) -> str:
        """What the sentences about a container call it."""
        return f"production variant {self.variant}"

    @property
    def log_group(self) -> str:
        """Where what it prints goes."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"

    @property
    def log_stream(self) -> str:
        """A new container's own stream."""
        return f"{self.variant}/{new_instance()}"


def new_instance() -> str:
    """Return an id as SageMaker gives to the machines of endpoints and transform jobs."""
    return f"i-{secrets.token_hex(9)[:17]}"


class ServingProcess:
    """
    A container that serves one model, started again whenever it dies.

    Args:
        context: S3 and logs.
        workload: What to run.
        directory: Its own; what an earlier service unpacked there is used again.
    """

    def __init__(self, context: Context, workload: Workload, directory: Path) -> None:
        self.workload = workload
        self._context = context
        self._workspace = Workspace(directory)
        self._stopping = threading.Event()
        self._container: Container | None = None
        self._client: ModelClient | None = None
        self._stream: LogStream | None = None
        self._last_line = ""
        self._watcher: threading.Thread | None = None

    @property
    def client(self) -> ModelClient | None:
        """The way to the healthy container; None while there is none."""
        return self._client

    def start(self) -> None:
        """
        Fetch the model, start the container and wait until it is healthy.

        Raises:
            ServingError: What is wrong with model, image or container.
        """
        self._fetch_model()
        workload = self.workload
        self._stream = self._context.logs.open(workload.log_group, workload.log_stream)
        self._client = self._launch()
        self._watcher = threading.Thread(
            target=self._watch, name=f"serving-{self.workload.endpoint}", daemon=True
        )
        self._watcher.start()

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return self._container is not None and self._container.running

    def kill(self) -> None:
        """End the container at once, and all restarts."""
        self.cancel()
        if self._container is not None:
            self._container.kill()

    def cancel(self) -> None:
        """End a start that is under way, and all restarts; the container may still answer."""
        self._stopping.set()

    def die(self) -> None:
        """Kill the container, as its own defect or the kernel would; it is started again."""
        if self._container is not None:
            self._container.kill()
            self._container.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End the container: SIGTERM, 30 seconds, SIGKILL. The directory stays."""
        self.cancel()
        if self._container is not None:
            self._container.stop(STOP_SECONDS)
        if self._watcher is not None:
            self._watcher.join(STOP_SECONDS)
        client, self._client = self._client, None
        if client is not None:
            client.close()
        if self._stream is not None:
            self._context.logs.finish(self._stream)
            self._stream = None

    def _fetch_model(self) -> None:
        if (self._workspace.directory / _COMPLETE).exists():
            return  # an earlier service got this far
        self._workspace = Workspace.create(self._workspace.directory)
        model = self._workspace.base / "model"
        model.mkdir()
        uri = self.workload.model_data
        try:
            if uri is not None and uri.endswith("/"):
                objects = objects_under(self._context.s3, uri, "of the model")
                download(self._context.s3, objects, model)
            elif uri is not None:
                self._unpack_from(uri, model)
        except (TransferError, ArchiveError) as error:
            raise ServingError(
                f"Failed to prepare the model data of {self.workload.title} from {uri}: {error}"
            ) from error
        (self._workspace.directory / _COMPLETE).touch()

    def _unpack_from(self, uri: str, model: Path) -> None:
        bucket, key = split_uri(uri)
        directory = self._workspace.directory
        archive = directory / "model.tar.gz"
        download(self._context.s3, [S3Object(bucket, key, archive.name)], directory)
        unpack(archive, model)
        archive.unlink()

    def _launch(self) -> ModelClient:
        """Start the container on a free port and wait for its health."""
        port = _free_port()
        given = self.workload.environment.items()
        env = _ALONE | {name: self._workspace.translate(value) for name, value in given}
        env |= self._workspace.environment(self._context)  # a caller's values give way to these
        env["SAGEMAKER_BIND_TO_PORT"] = str(port)
        try:
            command = command_for(self._context.root, self.workload.image)
        except UnknownImageError as error:
            title = self.workload.title
            raise ServingError(f"{title[:1].upper()}{title[1:]}: {error}.") from error
        self._container = Container(
            [*command, "serve"],
            env=env,
            directory=self._workspace.directory,
            output=self._heard,
            overlay=self._workspace.overlay,
        )
        client = ModelClient(port)
        try:
            self._wait_until_healthy(self._container, client)
        except ServingError:
            client.close()
            self._container.kill()
            self._container.wait(STOP_SECONDS)
            raise
        return client

    def _wait_until_healthy(self, container: Container, client: ModelClient) -> None:
        patience = misfortune.patience(self._context, self.workload.endpoint)
        seconds = self.workload.startup_seconds if patience is None else patience
        deadline = time.monotonic() + seconds
        pause, longest = _PING_PAUSE
        while True:
            healthy = patience is None and client.ping(PING_SECONDS)
            if self._stopping.is_set():  # even if healthy: stop() may have looked too early for it
                raise ServingError("The endpoint was stopped while its container started.")
            if healthy:
                return
            if not container.running:
                status = container.wait(PING_SECONDS)
                raise self._unhealthy(f"The container exited with status {status}.")
            if time.monotonic() > deadline:
                raise self._unhealthy(f"It did not answer 200 within {seconds:g} s.")
            self._stopping.wait(pause)
            pause = min(pause * 1.5, longest)

    def _unhealthy(self, why: str) -> ServingError:
        last = f" Its last line: {self._last_line}" if self._last_line else " It printed nothing."
        return ServingError(
            f"The primary container for {self.workload.title} did not pass the ping health check. "
            f"{why}{last} Please check CloudWatch logs for this {self.workload.owner}."
        )

    def _heard(self, data: bytes) -> None:
        lines = [] if self._stream is None else self._stream.write(data)
        self._last_line = next((line for line in reversed(lines) if line.strip()), self._last_line)

    def _watch(self) -> None:
        """Start the container again whenever it ends by itself, with growing pauses."""
        pause, longest = _RESTART_PAUSE
        while self._container is not None:
            began = time.monotonic()
            status = self._container.wait()
            if self._stopping.is_set():
                return
            gone, self._client = self._client, None
            if gone is not None:
                gone.close()
            lived = time.monotonic() - began
            pause = _RESTART_PAUSE[0] if lived > _STEADY_SECONDS else min(pause * 2, longest)
            logger.warning(
                "the container of endpoint %s ended with status %s; it starts again in %.2g s",
                self.workload.endpoint,
                status,
                pause,
            )
            if self._stopping.wait(pause):
                return
            try:
                self._client = self._launch()
            except ServingError as error:
                logger.warning("endpoint %s: %s", self.workload.endpoint, error)


def _free_port() -> int:
    """Return a port nobody listens on, none that was given out a moment ago."""
    with _handing_out:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in _given_out:
                _given_out.append(port)
                return port
