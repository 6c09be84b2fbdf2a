"""The requests of a transform job: sent to its serving process, again after a fault, in order."""

import json
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, BinaryIO

from tidemill_local.sagemaker.hosting.model_client import (
    ContainerAnswer,
    ContainerRequest,
    ContainerTimeoutError,
    ContainerUnreachableError,
    ModelClient,
)
from tidemill_local.sagemaker.hosting.serving import ServingProcess
from tidemill_local.sagemaker.transform.records import Batch, Rules, batches, result

_MOST_AT_ONCE = 100
_NUMBERS = {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 6}
_PARAMETERS_SECONDS = 2.0
_TIMEOUT_SECONDS = 600.0
_RETRIES = 3
_RETRY_PAUSE = 0.1  # seconds before the first retry; twice as long before each further one
_LONGEST_SHOWN = 1000  # characters of an algorithm's answer in the data log


class ObjectError(Exception):
    """One object could not be transformed; begins with whose fault it is."""


class Sender:
    """
    Asks a serving process: so many at once at the most, each object's records in their order.

    Args:
        body: The job's record.
        server: Whom to ask; healthy.
        ending: Set when the job is to end.
        check: Raises when the job is to end.
    """

    def __init__(
        self,
        body: dict[str, Any],
        server: ServingProcess,
        ending: threading.Event,
        check: Callable[[], None],
    ) -> None:
        self._body = body
        self._server = server
        self._ending = ending
        self._check = check
        self.parameters = self._asked()
        wanted = int(self.parameters["MaxConcurrentTransforms"])
        self.most = min(max(1, wanted), _MOST_AT_ONCE)
        self._pool = ThreadPoolExecutor(self.most, thread_name_prefix="transform")

    def close(self) -> None:
        """Wait for what is underway."""
        self._pool.shutdown(cancel_futures=True)

    def send_all(self, source: BinaryIO, rules: Rules, sink: BinaryIO) -> None:
        """
        Send what a file holds, and write what is answered, in the file's order.

        Raises:
            ObjectError: The algorithm refuses a request, or fails to the last.
            DataError: Records or answers are not what the rules need.
        """
        underway: deque[tuple[Batch, Future[ContainerAnswer]]] = deque()

        def take() -> None:
            batch, future = underway.popleft()
            sink.write(result(batch, future.result().body, rules))

        try:
            for batch in batches(source, rules):
                if len(underway) >= self.most:
                    take()
                underway.append((batch, self._pool.submit(self._ask, batch)))
            while underway:
                take()
        finally:
            for _, future in underway:
                future.cancel()

    def _asked(self) -> dict[str, int | str]:
        """Return what the request says, else the container, else SageMaker's defaults."""
        try:
            request = ContainerRequest("GET", "/execution-parameters", _PARAMETERS_SECONDS)
            answer = self._client().send(request)
            document = json.loads(answer.body) if answer.status == HTTPStatus.OK else {}
        except (ContainerUnreachableError, ContainerTimeoutError, ValueError):
            document = {}
        said = document if isinstance(document, dict) else {}
        parameters: dict[str, int | str] = {}
        for name, default in _NUMBERS.items():
            value = said.get(name)
            parameters[name] = value if type(value) is int and value >= 0 else default
            if name in self._body:
                parameters[name] = self._body[name] or (
                    0 if name == "MaxPayloadInMB" else parameters[name]
                )
        strategy = batch_strategy(self._body.get("BatchStrategy", said.get("BatchStrategy")))
        parameters["BatchStrategy"] = strategy
        return parameters

    def _ask(self, batch: Batch) -> ContainerAnswer:
        config = self._body.get("ModelClientConfig", {})
        headers = {
            "Content-Type": self._body["TransformInput"].get("ContentType"),
            "Accept": self._body["TransformOutput"].get("Accept"),
        }
        request = ContainerRequest(
            "POST",
            "/invocations",
            float(config.get("InvocationsTimeoutInSeconds", _TIMEOUT_SECONDS)),
            {name: value for name, value in headers.items() if value},
            batch.body,
        )
        fault = ""
        for attempt in range(config.get("InvocationsMaxRetries", _RETRIES) + 1):
            if attempt:
                self._ending.wait(_RETRY_PAUSE * 2 ** (attempt - 1))
            self._check()
            try:
                answer = self._client().send(request)
            except (ContainerUnreachableError, ContainerTimeoutError) as error:
                fault = f"Unable to get response from algorithm: {error}"
            else:
                if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return answer
                said = answer.body[:_LONGEST_SHOWN].decode(errors="replace")
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise ObjectError(f"ClientError: {answer.status}\nMessage:\n{said}")
                status = f"Bad HTTP status received from algorithm: {answer.status}"
                fault = f"{status}\nMessage:\n{said}"
            if not self._server.running:
                break
        self._check()
        raise ObjectError(f"AlgorithmError: {fault}")

    def _client(self) -> ModelClient:
        client = self._server.client
        if client is None:
            raise ContainerUnreachableError("the container is gone")
        return client


def batch_strategy(given: object) -> str:
    """Return a BatchStrategy as containers write it: SINGLE_RECORD, or else MULTI_RECORD."""
    single = given in {"SingleRecord", "SINGLE_RECORD"}
    return "SINGLE_RECORD" if single else "MULTI_RECORD"
