"""One step of a pipeline execution on its way: what it sees, how often it tries, when it ends."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.operations import call
from tidemill_local.sagemaker.pipelines.definition import PropertyFile, Step
from tidemill_local.sagemaker.pipelines.expressions import ExpressionError, Scope, walk
from tidemill_local.sagemaker.pipelines.outputs import OutputError
from tidemill_local.sagemaker.pipelines.record import BEGUN, JOB, moment
from tidemill_local.sagemaker.pipelines.step_types import KINDS

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
_PATIENT_LOOKS = 150  # half a minute
INTERRUPTED = (
    "InternalServerError: the local SageMaker was stopped while this step ran. "
    "Retry the execution, or start the pipeline again."
)
_HTTP_FAULT = 500
_CODES = {
    "ThrottlingException": "Step.THROTTLING",
    "Throttling": "Step.THROTTLING",
    "TooManyRequestsException": "Step.THROTTLING",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "InternalFailure": "Step.SERVICE_FAULT",
    "InternalServerError": "Step.SERVICE_FAULT",
    "ServiceUnavailable": "Step.SERVICE_FAULT",
}

Properties = dict[str, Any]
_Answer = TypeVar("_Answer")


class StepError(Exception):
    """A step failed; `kind` is what retry policies call it, if anything."""

    def __init__(
        self, message: str, *, kind: str = "", metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.metadata = metadata or {}


class StepStoppedError(Exception):
    """The execution is stopping and the step has ended because of it."""


class AbandonedError(Exception):
    """The service stops; the record stays as it is."""


@dataclass(frozen=True)
class StepRun:
    """
    One step of one execution, on its way in its own thread.

    Attributes:
        entry: The step's entry in the record, with what an earlier service has recorded of it.
        finished: The properties of the steps that have succeeded.
        experiment: The experiment and trial that the step's jobs are part of, if any.
        stopping: Set when the execution is to stop.
        abandoned: Set when the service stops.
        move: Records a status and fields of the step; the status is announced when it is new.
    """

    context: Context
    step: Step
    entry: dict[str, Any]
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    finished: Mapping[str, Properties]
    property_files: Mapping[str, tuple[PropertyFile, ...]]
    experiment: Mapping[str, str]
    stopping: threading.Event
    abandoned: threading.Event
    move: Callable[..., None]

    def run(self, act: "Action") -> Properties:
        """
        Do what the step is for, again and again where its retry policies say so.

        Returns:
            Its properties, as later steps may refer to them.

        Raises:
            StepError: It failed.
            StepStoppedError: The execution is stopping.
            AbandonedError: The service is.
        """
        attempt = self.entry["AttemptCount"]
        while True:
            try:
                return self._attempt(act)
            except StepError as error:
                elapsed = time.time() - self.entry["StartTime"]
                policies = self.step.retries
                policy = next((p for p in policies if p.covers(error.kind, attempt, elapsed)), None)
                if policy is None:
                    raise
                self._pause(policy.pause(attempt))
            attempt += 1
            self.progress(AttemptCount=attempt, **{JOB: None, BEGUN: None})

    def progress(self, **changes: Any) -> None:
        """Record that the step is executing, and fields of it."""
        self.move("Executing", **changes)

    def note(self, **changes: Any) -> None:
        """Record fields of the step and leave its status."""
        self.move(self.entry["StepStatus"], **changes)

    def check_end(self) -> None:
        """Raise if nothing new should begin."""
        self.check_abandoned()
        if self.stopping.is_set():
            raise StepStoppedError

    def check_abandoned(self) -> None:
        """Raise if the service stops."""
        if self.abandoned.is_set():
            raise AbandonedError

    def begin_once(self) -> None:
        """
        Note that what comes now cannot be done twice.

        Raises:
            StepError: An earlier service had got this far, and nobody knows how much farther.
        """
        if self.entry.get(BEGUN):
            raise StepError(INTERRUPTED)
        self.check_end()
        self.note(**{BEGUN: True})

    def outlast(self, call: Callable[[], _Answer]) -> _Answer:
        """Return what *call* returns, however long it takes, unless the service stops."""
        future: Future[_Answer] = Future()

        def work() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - the waiting thread is to see it
                future.set_exception(error)

        threading.Thread(target=work, name="call", daemon=True).start()
        while not wait([future], timeout=LOOK_SECONDS).done:
            self.check_abandoned()
        return future.result()

    def look(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """
        Return what a reading operation answers; one that is busy or unwell is asked for a while.

        Raises:
            ServiceError: It stays so, or refuses for another reason.
        """
        for _ in range(_PATIENT_LOOKS):
            self.check_abandoned()
            try:
                return call(self.context, operation, request)
            except ServiceError as error:
                if _kind_of(error) not in {"Step.THROTTLING", "Step.SERVICE_FAULT"}:
                    raise
                self.abandoned.wait(LOOK_SECONDS)
        return call(self.context, operation, request)

    def scope(self) -> Scope:
        """Return what the step's expressions may see now."""
        return Scope(
            parameters=self.parameters,
            execution={**self.variables, "CurrentDateTime": moment(time.time())},
            steps=self.finished,
            property_file=self._property_file,
            read_json=self._read_json,
        )

    def _attempt(self, act: "Action") -> Properties:
        try:
            return act(self)
        except (ExpressionError, OutputError) as error:
            raise StepError(f"ClientError: {str(error).removesuffix('.')}.") from error
        except ServiceError as error:
            operation = KINDS[self.step.type].create
            reason = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: "
            raise StepError(reason + error.message, kind=_kind_of(error)) from error

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check_end()
            self.stopping.wait(min(left, LOOK_SECONDS))

    def _property_file(self, step: str, name: str) -> Any:
        files = {file.name: file for file in self.property_files.get(step, ())}
        if name not in files or step not in self.finished:
            raise ExpressionError(f"step {step!r} has no property file {name!r} yet")
        file = files[name]
        path = f"ProcessingOutputConfig.Outputs['{file.output}'].S3Output.S3Uri"
        folder = walk(self.finished[step], path)
        return self._read_json(f"{folder.rstrip('/')}/{file.path}")

    def _read_json(self, uri: str) -> Any:
        try:
            bucket, key = split_uri(uri)
            with self.context.s3.get_object(Bucket=bucket, Key=key)["Body"] as stream:
                return json.loads(stream.read())
        except (TransferError, ClientError, BotoCoreError) as error:
            raise ExpressionError(f"{uri} cannot be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ExpressionError(f"{uri} is not JSON: {error}") from error


def _kind_of(error: ServiceError) -> str:
    """Return what retry policies call an operation's error; "" when they have no word for it."""
    return _CODES.get(error.code, "Step.SERVICE_FAULT" if error.status >= _HTTP_FAULT else "")


Action = Callable[[StepRun], Properties]
