"""
How a pipeline execution runs: its graph, a thread per step under way, its record and its events.

Steps whose needs are met run at once, up to the execution's parallelism. When a step fails, those
under way finish, nothing else starts, and the execution is Failed, as on SageMaker.
"""

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.pipeline_definition import Definition, Step, read_definition
from tidemill_local.sagemaker.pipeline_steps import (
    AbandonedError,
    StepError,
    StepRun,
    StepStoppedError,
    execution_variables,
)

logger = logging.getLogger(__name__)

# Fields of an execution's record that the API does not know.
DEFINITION = "_Definition"
PARAMETERS = "_Parameters"
STEPS = "_Steps"

_PARALLEL = 50  # SageMaker's own limit when none is given
_JOIN_SECONDS = 60.0
_REASON_LIMIT = 1024
STEP_FAILURE = "Step failure: One or multiple steps failed."
INTERRUPTED = "The local SageMaker was stopped while this pipeline ran. Start the pipeline again."


def announce_execution(context: Context, body: dict[str, Any], previous: str | None) -> None:
    """Emit the execution's status change."""
    status = body["PipelineExecutionStatus"]
    detail = {
        "pipelineArn": body["PipelineArn"],
        "pipelineExecutionArn": body["PipelineExecutionArn"],
        "pipelineExecutionDisplayName": body["PipelineExecutionDisplayName"],
        "pipelineExecutionDescription": body.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": iso(body["CreationTime"]),
        "executionEndTime": None
        if status in {"Executing", "Stopping"}
        else iso(body["LastModifiedTime"]),
    }
    context.emit(
        "SageMaker Model Building Pipeline Execution Status Change",
        _present(detail),
        [body["PipelineArn"], body["PipelineExecutionArn"]],
    )


def announce_step(
    context: Context, body: dict[str, Any], step: dict[str, Any], previous: str | None
) -> None:
    """Emit a step's status change; *step* is its entry in the execution's record."""
    metadata = {
        name[:1].lower() + name[1:]: {key[:1].lower() + key[1:]: value for key, value in of.items()}
        for name, of in step.get("Metadata", {}).items()
    }
    ended = step.get("EndTime")
    detail = {
        "pipelineArn": body["PipelineArn"],
        "pipelineExecutionArn": body["PipelineExecutionArn"],
        "stepName": step["StepName"],
        "stepType": step["_Type"],
        "currentStepStatus": step["StepStatus"],
        "previousStepStatus": previous,
        "stepStartTime": iso(step["StartTime"]),
        "stepEndTime": None if ended is None else iso(ended),
        "metadata": metadata,
        "failureReason": step.get("FailureReason"),
    }
    context.emit(
        "SageMaker Model Building Pipeline Execution Step Status Change",
        _present(detail),
        [body["PipelineArn"], body["PipelineExecutionArn"]],
    )


def move_execution(
    context: Context, arn: str, status: str, *, allowed: frozenset[str], reason: str | None = None
) -> bool:
    """Change an execution's status if it is one of *allowed*, and announce it; say whether."""
    previous: list[str] = []

    def change(body: dict[str, Any]) -> None:
        if body["PipelineExecutionStatus"] in allowed:
            previous.append(body["PipelineExecutionStatus"])
            body["PipelineExecutionStatus"] = status
            body["FailureReason"] = reason

    body = context.store.edit("PipelineExecution", arn, change)
    if not previous:
        return False
    announce_execution(context, body, previous[0])
    return True


def iso(moment: float) -> str:
    """Return epoch seconds as these events write times."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _present(detail: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if value is not None}


class Execution:
    """One execution under way; the record in the store is the truth."""

    def __init__(self, context: Context, arn: str) -> None:
        self._context = context
        self._arn = arn
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        body = context.store.get("PipelineExecution", arn) or {}
        self._definition: Definition = read_definition(body[DEFINITION])
        self._parameters = body[PARAMETERS]
        self._variables = execution_variables(body)
        self._parallel = body.get("ParallelismConfiguration", {}).get(
            "MaxParallelExecutionSteps", _PARALLEL
        )
        self._finished: dict[str, dict[str, Any]] = {}  # properties of what succeeded
        self._skipped: set[str] = set()
        self._failed = False

    def run(self) -> None:
        """Run the graph to its end and record how it ended."""
        waiting = {step.name: step for step in self._definition.steps}
        running: dict[Future[dict[str, Any]], Step] = {}
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="step") as pool:
            while True:
                for step in self._ready(waiting, self._parallel - len(running)):
                    del waiting[step.name]
                    running[pool.submit(self._run_step, step)] = step
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(running.pop(future), future)
        if self.abandoned.is_set():
            return
        if self._failed:
            end, reason = "Failed", STEP_FAILURE
        elif self.stopping.is_set():
            end, reason = "Stopped", None
        else:
            end, reason = "Succeeded", None
        live = frozenset({"Executing", "Stopping"})
        move_execution(self._context, self._arn, end, allowed=live, reason=reason)

    def _ready(self, waiting: dict[str, Step], room: int) -> list[Step]:
        """Return what may start now, and mark what the conditions have ruled out."""
        if self._failed or self.stopping.is_set() or self.abandoned.is_set():
            return []
        ruled_out = True
        while ruled_out:  # a step that needs a skipped one is skipped too
            ruled_out = False
            for step in list(waiting.values()):
                if self._is_skipped(step):
                    self._skipped.add(step.name)
                    del waiting[step.name]
                    ruled_out = True
        ready = [step for step in waiting.values() if step.needs <= self._finished.keys()]
        return ready[:room]

    def _is_skipped(self, step: Step) -> bool:
        if step.needs & self._skipped:
            return True
        if step.branch is None or step.branch.condition not in self._finished:
            return False
        outcome = self._finished[step.branch.condition]["Outcome"] == "True"
        return outcome is not step.branch.outcome

    def _settle(self, step: Step, future: Future[dict[str, Any]]) -> None:
        error = future.exception()
        if error is None:
            self._finished[step.name] = future.result()
        elif not isinstance(error, StepStoppedError | AbandonedError):
            self._failed = True

    def _run_step(self, step: Step) -> dict[str, Any]:
        """Run one step in its thread, from the first event to the last."""
        entry: dict[str, Any] = {
            "StepName": step.name,
            "StepDisplayName": step.display_name,
            "StepDescription": step.description,
            "StartTime": time.time(),
            "StepStatus": "Starting",
            "AttemptCount": 1,
            "_Type": step.type,
        }
        self._write(entry, previous=None)
        run = StepRun(
            context=self._context,
            step=step,
            parameters=self._parameters,
            variables=self._variables,
            finished=dict(self._finished),
            property_files={s.name: s.property_files for s in self._definition.steps},
            stopping=self.stopping,
            abandoned=self.abandoned,
            progress=lambda **changes: self._move(entry, "Executing", **changes),
        )
        try:
            properties = run.run()
        except AbandonedError:
            raise
        except StepStoppedError:
            self._move(entry, "Stopped", EndTime=time.time())
            raise
        except StepError as error:
            self._fail(entry, str(error), error.metadata)
            raise
        except Exception as error:
            logger.exception("step %s of %s", step.name, self._arn)
            self._fail(entry, f"InternalServerError: the local SageMaker erred: {error!r}", {})
            raise
        self._move(entry, "Succeeded", EndTime=time.time())
        return properties

    def _fail(self, entry: dict[str, Any], reason: str, metadata: dict[str, Any]) -> None:
        self._move(
            entry,
            "Failed",
            EndTime=time.time(),
            FailureReason=reason[:_REASON_LIMIT],
            **({"Metadata": metadata} if metadata else {}),
        )

    def _move(self, entry: dict[str, Any], status: str, **changes: Any) -> None:
        previous = entry["StepStatus"]
        entry.update(changes, StepStatus=status)
        self._write(entry, previous)

    def _write(self, entry: dict[str, Any], previous: str | None) -> None:
        """Put a step's entry into the record; announce it if its status has changed."""

        def change(body: dict[str, Any]) -> None:
            others = [step for step in body[STEPS] if step["StepName"] != entry["StepName"]]
            body[STEPS] = [*others, entry]

        body = self._context.store.edit("PipelineExecution", self._arn, change)
        if entry["StepStatus"] != previous:
            announce_step(self._context, body, entry, previous)


class PipelineRunner:
    """The executions of one service; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._executions: dict[str, tuple[Execution, threading.Thread]] = {}
        self.starting = threading.RLock()  # held by whoever adds or removes executions

    def start(self, arn: str) -> None:
        """Run an execution in the background."""
        execution = Execution(self._context, arn)
        thread = threading.Thread(
            target=self._run, args=(arn, execution), name="pipeline", daemon=True
        )
        with self._lock:
            self._executions[arn] = (execution, thread)
        thread.start()

    def stop(self, arn: str) -> None:
        """Ask an execution to stop its jobs and end."""
        with self._lock:
            found = self._executions.get(arn)
        if found is not None:
            found[0].stopping.set()

    def close(self) -> None:
        """Leave every execution as its record stands; the next start says they were interrupted."""
        with self._lock:
            running = list(self._executions.values())
        for execution, _ in running:
            execution.abandoned.set()
        for _, thread in running:
            thread.join(_JOIN_SECONDS)

    def recover(self) -> None:
        """Fail what an earlier service left under way, and the steps it was at."""
        for body in self._context.store.rows("PipelineExecution"):
            if body["PipelineExecutionStatus"] in {"Executing", "Stopping"}:
                self._interrupt(body)

    def _interrupt(self, body: dict[str, Any]) -> None:
        arn, now = body["PipelineExecutionArn"], time.time()
        open_steps = {
            step["StepName"]: step["StepStatus"]
            for step in body[STEPS]
            if step["StepStatus"] in {"Starting", "Executing", "Stopping"}
        }

        def change(record: dict[str, Any]) -> None:
            for step in record[STEPS]:
                if step["StepName"] in open_steps:
                    step.update(StepStatus="Failed", FailureReason=INTERRUPTED, EndTime=now)

        record = self._context.store.edit("PipelineExecution", arn, change)
        for step in record[STEPS]:
            if step["StepName"] in open_steps:
                announce_step(self._context, record, step, open_steps[step["StepName"]])
        live = frozenset({"Executing", "Stopping"})
        move_execution(self._context, arn, "Failed", allowed=live, reason=INTERRUPTED)

    def _run(self, arn: str, execution: Execution) -> None:
        try:
            execution.run()
        except Exception:  # the thread ends here; the next start fails the execution
            logger.exception("pipeline execution %s", arn)
        finally:
            with self._lock:
                self._executions.pop(arn, None)


@on_start
def recover_executions(context: Context) -> None:
    """Fail the executions that an earlier service left under way."""
    context.part(PipelineRunner).recover()


@on_stop
def close_executions(context: Context) -> None:
    """Leave the executions under way to the next start."""
    context.part(PipelineRunner).close()
