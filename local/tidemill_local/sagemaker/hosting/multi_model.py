"""
Multi-model variants: models under a prefix, loaded when they are first asked.

On AWS one container holds many models. Here every loaded model is a process of its own, so that
any image can do it; the ones used longest ago are stopped when there are too many.
"""

import hashlib
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from pathlib import Path

from botocore.exceptions import ClientError

from tidemill_local.images import UnknownImageError, command_for
from tidemill_local.sagemaker.containers.channels import split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.model_client import (
    ContainerAnswer,
    ContainerRequest,
    ContainerUnreachableError,
)
from tidemill_local.sagemaker.hosting.serving import ServingError, ServingProcess, Workload

TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
MOST_LOADED = 8


class UnknownModelError(Exception):
    """There is no such model under the prefix."""


@dataclass(eq=False)
class _Loaded:
    process: ServingProcess
    asked: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


class MultiModelProcess:
    """
    Stands where a ServingProcess does, and holds one for each model in use.

    Args:
        context: S3 and logs.
        workload: What to run; `model_data` is the prefix.
        directory: Its own.
        most: How many models stay loaded.
    """

    def __init__(
        self, context: Context, workload: Workload, directory: Path, most: int = MOST_LOADED
    ) -> None:
        self.workload = workload
        self._context = context
        self._directory = directory
        self._most = most
        self._models: OrderedDict[str, _Loaded] = OrderedDict()
        self._lock = threading.Lock()
        self._started = False

    @property
    def client(self) -> "MultiModelProcess | None":
        """The way to the models: this object itself, once it is started."""
        return self if self._started else None

    @property
    def loaded(self) -> list[str]:
        """The models that are loaded, the one used last at the end."""
        with self._lock:
            return list(self._models)

    def start(self) -> None:
        """
        Be ready; models are loaded later.

        Raises:
            ServingError: The image cannot run.
        """
        try:
            command_for(self._context.root, self.workload.image)
        except UnknownImageError as error:
            raise ServingError(f"{self.workload.title.capitalize()}: {error}.") from error
        self._started = True

    def cancel(self) -> None:
        """End loads that are under way, and all restarts."""
        self._started = False
        for each in self._all():
            each.process.cancel()

    def die(self) -> None:
        """Let the containers die, as a fault wants."""
        for each in self._all():
            each.process.die()

    def stop(self) -> None:
        """Stop every model."""
        self._started = False
        for each in self._all():
            each.process.stop()

    def send(self, request: ContainerRequest) -> ContainerAnswer:
        """
        Ask the model that the request's target header names; load it if need be.

        Raises:
            UnknownModelError: No such model.
            ContainerUnreachableError: Its container does not answer.
            ContainerTimeoutError: It takes too long.
        """
        headers = dict(request.headers)
        name = headers.pop(TARGET_MODEL)
        model = self._lease(name)
        try:
            self._load(name, model)
            client = model.process.client
            if client is None:
                raise ContainerUnreachableError("it is starting again")
            return client.send(replace(request, headers=headers))
        except ServingError as error:
            return _refusal(str(error))
        finally:
            with self._lock:
                model.asked -= 1
            self._evict()

    def _lease(self, name: str) -> _Loaded:
        with self._lock:
            known = name in self._models
        if not known:
            self._require(name)
        with self._lock:
            if name not in self._models:
                uri = f"{self.workload.model_data}{name}"
                workload = replace(self.workload, model_data=uri)
                process = ServingProcess(self._context, workload, self._place(name))
                self._models[name] = _Loaded(process)
            model = self._models[name]
            self._models.move_to_end(name)
            model.asked += 1
            return model

    def _load(self, name: str, model: _Loaded) -> None:
        with model.loading:
            if model.process.client is not None or model.process.running:
                return  # loaded, or about to be started again
            try:
                model.process.start()
            except ServingError:
                with self._lock:
                    self._models.pop(name, None)
                raise

    def _evict(self) -> None:
        """Stop the models used longest ago that are idle, down to the bound."""
        while True:
            with self._lock:
                surplus = len(self._models) - self._most
                idle = [name for name, model in self._models.items() if not model.asked]
                if surplus <= 0 or not idle:
                    return
                gone = self._models.pop(idle[0])
            gone.process.stop()
            shutil.rmtree(self._place(idle[0]), ignore_errors=True)

    def _require(self, name: str) -> None:
        bucket, key = split_uri(f"{self.workload.model_data}{name}")
        try:
            self._context.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise UnknownModelError(
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that "
                "there is an object located at the URL and that the role passed to CreateModel "
                "has permissions to download the model."
            ) from error

    def _place(self, name: str) -> Path:
        return self._directory / "models" / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _all(self) -> list[_Loaded]:
        with self._lock:
            return list(self._models.values())


def _refusal(sentence: str) -> ContainerAnswer:
    headers = Message()
    headers["Content-Type"] = "text/plain"
    return ContainerAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, headers, sentence.encode())  # type: ignore[arg-type]
