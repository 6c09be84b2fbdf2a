"""What one step of a pipeline does: a job, a model package, a decision, or a last word."""

import json
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.operations import call
from tidemill_local.sagemaker.pipeline_checks import KEYED_LISTS
from tidemill_local.sagemaker.pipeline_definition import (
    KINDS,
    PropertyFile,
    RetryPolicy,
    Step,
    StepKind,
)
from tidemill_local.sagemaker.pipeline_expressions import (
    ExpressionError,
    Scope,
    as_text,
    evaluate,
    holds,
    walk,
)

_LOOK_SECONDS = 0.2
_NAME_LIMIT = 63
_SUFFIX_LENGTH = 10
_SUFFIX_LETTERS = string.ascii_letters + string.digits
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_CODES = {
    "ThrottlingException": "Step.THROTTLING",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "InternalFailure": "Step.SERVICE_FAULT",
    "ServiceUnavailable": "Step.SERVICE_FAULT",
}
_REASONS = {
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
}


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


def execution_variables(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Execution.…` stands for in one execution; times are ISO 8601, UTC."""
    pipeline, execution = body["PipelineArn"], body["PipelineExecutionArn"]
    return {
        "PipelineName": name_in(pipeline),
        "PipelineArn": pipeline,
        "PipelineExecutionId": execution.rpartition("/")[2],
        "PipelineExecutionArn": execution,
        "StartDateTime": _moment(body["CreationTime"]),
    }


def job_name(prefix: str, execution_id: str, step: str) -> str:
    """Return a job's name as pipelines make them: at most 63 characters, new each time."""
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    head = "-".join(part for part in (prefix, execution_id, step) if part).replace("_", "-")
    return f"{head[: _NAME_LIMIT - _SUFFIX_LENGTH - 1].rstrip('-')}-{suffix}"


def keyed(described: dict[str, Any]) -> dict[str, Any]:
    """Return a Describe answer as property references see it: named lists become maps."""

    def by_name(field: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {item[KEYED_LISTS[field]]: item for item in items}

    shown = dict(described)
    if "ProcessingInputs" in shown:
        shown["ProcessingInputs"] = by_name("ProcessingInputs", shown["ProcessingInputs"])
    if "ProcessingOutputConfig" in shown:
        config = shown["ProcessingOutputConfig"]
        outputs = by_name("Outputs", config.get("Outputs", []))
        shown["ProcessingOutputConfig"] = {**config, "Outputs": outputs}
    return shown


@dataclass(frozen=True)
class StepRun:
    """One step of one execution, on its way in its own thread."""

    context: Context
    step: Step
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    finished: Mapping[str, dict[str, Any]]
    property_files: Mapping[str, tuple[PropertyFile, ...]]
    stopping: threading.Event
    abandoned: threading.Event
    progress: Callable[..., None]  # records fields of the step and that it is Executing

    def run(self) -> dict[str, Any]:
        """
        Run the step, again and again where its retry policies say so.

        Returns:
            Its properties, as later steps may refer to them.

        Raises:
            StepError: It failed.
            StepStoppedError: The execution is stopping.
            AbandonedError: The service is.
        """
        began, attempt = time.monotonic(), 1
        while True:
            try:
                return self._attempt()
            except StepError as error:
                policy = self._policy(error, attempt, time.monotonic() - began)
                if policy is None:
                    raise
                self._pause(policy.interval * policy.backoff ** (attempt - 1))
            attempt += 1
            self.progress(AttemptCount=attempt)

    def _policy(self, error: StepError, attempt: int, elapsed: float) -> RetryPolicy | None:
        for policy in self.step.retries:
            in_time = policy.expires is None or elapsed < policy.expires
            in_count = policy.attempts is None or attempt <= policy.attempts
            if error.kind in policy.exceptions and in_time and in_count:
                return policy
        return None

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._check_end()
            self.stopping.wait(min(left, _LOOK_SECONDS))

    def _check_end(self) -> None:
        if self.abandoned.is_set():
            raise AbandonedError
        if self.stopping.is_set():
            raise StepStoppedError

    def _attempt(self) -> dict[str, Any]:
        kind = KINDS[self.step.type]
        try:
            match self.step.type:
                case "Condition":
                    return self._decide()
                case "Fail":
                    raise self._failure()
                case "RegisterModel":
                    return self._register(kind)
                case _:
                    return self._run_job(kind)
        except ExpressionError as error:
            raise StepError(f"ClientError: {error}.") from error
        except ServiceError as error:
            reason = f"ClientError: Failed to invoke sagemaker:{kind.create}. Error Details: "
            raise StepError(reason + error.message, kind=_CODES.get(error.code, "")) from error

    def _decide(self) -> dict[str, Any]:
        outcome = "True" if holds(self.step.arguments["Conditions"], self._scope()) else "False"
        self.progress(Metadata={"Condition": {"Outcome": outcome}})
        return {"Outcome": outcome}

    def _failure(self) -> StepError:
        message = as_text(evaluate(self.step.arguments["ErrorMessage"], self._scope()))
        return StepError(message, metadata={"Fail": {"ErrorMessage": message}})

    def _register(self, kind: StepKind) -> dict[str, Any]:
        request = evaluate(self.step.arguments, self._scope())
        group = request.get("ModelPackageGroupName")
        if group is not None:
            self._ensure_group(name_in(group))
        arn = call(self.context, kind.create, request)[kind.arn]
        self.progress(Metadata={kind.metadata: {"Arn": arn}})
        return call(self.context, kind.describe, {"ModelPackageName": arn})

    def _ensure_group(self, group: str) -> None:
        if self.context.store.get("ModelPackageGroup", group) is not None:
            return
        try:
            call(self.context, "CreateModelPackageGroup", {"ModelPackageGroupName": group})
        except ServiceError:
            # Another execution may have been faster; if not, CreateModelPackage says what is wrong.
            if self.context.store.get("ModelPackageGroup", group) is None:
                raise

    def _run_job(self, kind: StepKind) -> dict[str, Any]:
        given = self.step.arguments.get(kind.name)
        prefix = "pipelines" if given is None else as_text(evaluate(given, self._scope()))
        step = self.step.name if given is None else ""
        name = job_name(prefix, self.variables["PipelineExecutionId"], step)
        scope = self._scope().with_execution(**{kind.name: name})
        request = {**evaluate(self.step.arguments, scope), kind.name: name}
        self._check_end()
        arn = call(self.context, kind.create, request)[kind.arn]
        self.progress(Metadata={kind.metadata: {"Arn": arn}})
        described = self._wait(kind, name)
        status = described[kind.status]
        if status == "Completed":
            return keyed(described)
        if status == "Stopped" and self.stopping.is_set():
            raise StepStoppedError
        raise _job_failure(described, status)

    def _wait(self, kind: StepKind, name: str) -> dict[str, Any]:
        """Wait until the job has ended; pass a stop on to it once."""
        record, told = kind.name.removesuffix("Name"), False

        def ended(body: dict[str, Any] | None) -> bool:
            return body is None or body[kind.status] in _ENDED

        while not ended(self.context.store.wait_for(record, name, ended, _LOOK_SECONDS)):
            if self.abandoned.is_set():
                raise AbandonedError
            if self.stopping.is_set() and not told:
                told = True
                self._stop_job(kind, name)
        return call(self.context, kind.describe, {kind.name: name})

    def _stop_job(self, kind: StepKind, name: str) -> None:
        try:
            call(self.context, kind.stop, {kind.name: name})
        except ServiceError:
            return  # it ended just now: the next look will say how

    def _scope(self) -> Scope:
        return Scope(
            parameters=self.parameters,
            execution={**self.variables, "CurrentDateTime": _moment(time.time())},
            steps=self.finished,
            property_file=self._property_file,
            read_json=self._read_json,
        )

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
        except (TransferError, ClientError) as error:
            raise ExpressionError(f"{uri} cannot be read: {error}") from error
        except ValueError as error:
            raise ExpressionError(f"{uri} is not JSON: {error}") from error


def _job_failure(described: dict[str, Any], status: str) -> StepError:
    reason = described.get("FailureReason") or f"The job ended with status {status}."
    kind = _REASONS.get(reason.partition(":")[0], "")
    message = described.get("ExitMessage", "")
    if message and message not in reason:
        reason = f"{reason} Exit message: {message}"
    return StepError(reason, kind=kind)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
