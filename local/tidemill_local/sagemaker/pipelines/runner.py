"""
How a pipeline execution runs: its graph, and a thread per step under way.

Steps whose needs are met run at once, up to the execution's parallelism. When a step fails, those
under way finish, nothing else starts, and the execution is Failed, as on SageMaker. The record in
the store is the truth: an execution goes on from it after a crash, and when it is retried.
"""

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.pipelines import job_steps, message_steps
from tidemill_local.sagemaker.pipelines.definition import Definition, Step, read_definition
from tidemill_local.sagemaker.pipelines.expressions import ExpressionError
from tidemill_local.sagemaker.pipelines.record import (
    CACHE_KEY,
    ENDED_STEP,
    LIVE,
    PARAMETERS,
    PROPERTIES,
    SELECTED,
    STEPS,
    TYPE,
    execution_variables,
    move_execution,
    write_step,
)
from tidemill_local.sagemaker.pipelines.reuse import cache_key, find_earlier
from tidemill_local.sagemaker.pipelines.steps import (
    LOOK_SECONDS,
    AbandonedError,
    Action,
    Properties,
    StepError,
    StepRun,
    StepStoppedError,
)
from tidemill_local.sagemaker.pipelines.versions import definition_of

logger = logging.getLogger(__name__)

MOST_PARALLEL = 50  # SageMaker's own limit when none is given
_JOIN_SECONDS = 60.0
_REASON_LIMIT = 1024
STEP_FAILURE = "Step failure: One or multiple steps failed."
_ACTIONS: dict[str, Action] = {
    "Callback": message_steps.await_callback,
    "Condition": job_steps.decide,
    "Fail": job_steps.fail,
    "Lambda": message_steps.invoke_function,
    "Model": job_steps.make_model,
    "RegisterModel": job_steps.register_model,
}


def parallelism(body: dict[str, Any]) -> int:
    """Return how many steps of an execution may run at once."""
    given = body.get("ParallelismConfiguration", {}).get("MaxParallelExecutionSteps", MOST_PARALLEL)
    return int(min(given, MOST_PARALLEL))


class Execution:
    """One execution under way."""

    def __init__(self, context: Context, arn: str) -> None:
        self._context = context
        self._arn = arn
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        body = context.store.get("PipelineExecution", arn) or {}
        self._pipeline_arn = body["PipelineArn"]
        self._definition: Definition = read_definition(definition_of(context, body))
        self._parameters = body[PARAMETERS]
        self._variables = execution_variables(body)
        self._selected = body.get(SELECTED)
        self._experiment = body.get("PipelineExperimentConfig", {})
        self.parallel = parallelism(body)
        self._entries = {entry["StepName"]: entry for entry in body[STEPS]}
        statuses = {entry["StepStatus"] for entry in self._entries.values()}
        self._finished: dict[str, Properties] = {
            name: entry.get(PROPERTIES, {})
            for name, entry in self._entries.items()
            if entry["StepStatus"] == "Succeeded"
        }
        self._skipped: set[str] = set()
        self._failed = "Failed" in statuses
        if body["PipelineExecutionStatus"] == "Stopping":
            self.stopping.set()

    def run(self) -> None:
        """Run the graph to its end and record how it ended."""
        waiting = {step.name: step for step in self._definition.steps if self._is_open(step.name)}
        running: dict[Future[Properties], Step] = {}
        with ThreadPoolExecutor(MOST_PARALLEL, thread_name_prefix="step") as pool:
            while True:
                for step in self._ready(waiting, self.parallel - len(running)):
                    del waiting[step.name]
                    running[pool.submit(self._run_step, step)] = step
                if not running:
                    break
                # Looks up now and then: the parallelism may have been changed.
                done, _ = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
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
        move_execution(self._context, self._arn, end, allowed=LIVE, reason=reason)

    def _is_open(self, name: str) -> bool:
        if name in self._entries and self._entries[name]["StepStatus"] in ENDED_STEP:
            return False
        return self._selected is None or name in self._selected

    def _ready(self, waiting: dict[str, Step], room: int) -> list[Step]:
        """Return what may start now, and mark what the conditions have ruled out."""
        if self.abandoned.is_set():
            return []
        # What an earlier service had begun comes to its end, whatever else has happened.
        begun = [step for step in waiting.values() if step.name in self._entries]
        if self._failed or self.stopping.is_set():
            return begun
        ruled_out = True
        while ruled_out:  # a step that needs a skipped one is skipped too
            ruled_out = False
            for step in list(waiting.values()):
                if self._is_skipped(step):
                    self._skipped.add(step.name)
                    del waiting[step.name]
                    ruled_out = True
        ready = [step for step in waiting.values() if step.needs <= self._finished.keys()]
        ready.sort(key=lambda step: step.name not in self._entries)
        return ready[: max(room, len(begun))]

    def _is_skipped(self, step: Step) -> bool:
        if step.needs & self._skipped:
            return True
        if step.branch is None or step.branch.condition not in self._finished:
            return False
        outcome = self._finished[step.branch.condition].get("Outcome") == "True"
        return outcome is not step.branch.outcome

    def _settle(self, step: Step, future: Future[Properties]) -> None:
        error = future.exception()
        if error is None:
            self._finished[step.name] = future.result()
        elif not isinstance(error, StepStoppedError | AbandonedError):
            self._failed = True

    def _run_step(self, step: Step) -> Properties:
        """Run one step in its thread, from the first event to the last."""
        entry = self._entries.pop(step.name, None)
        if entry is None:
            entry = {
                "StepName": step.name,
                "StepDisplayName": step.display_name,
                "StepDescription": step.description,
                "StartTime": time.time(),
                "StepStatus": "Starting",
                "AttemptCount": 1,
                TYPE: step.type,
            }
            write_step(self._context, self._arn, entry, previous=None)
        run = StepRun(
            context=self._context,
            step=step,
            entry=entry,
            parameters=self._parameters,
            variables=self._variables,
            finished=dict(self._finished),
            experiment=self._experiment,
            property_files={s.name: s.property_files for s in self._definition.steps},
            stopping=self.stopping,
            abandoned=self.abandoned,
            move=lambda status, **changes: self._move(entry, status, **changes),
        )
        try:
            properties = self._earlier(run)
            if properties is None:
                properties = run.run(_ACTIONS.get(step.type, job_steps.run_job))
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
        self._move(entry, "Succeeded", EndTime=time.time(), **{PROPERTIES: properties})
        return properties

    def _earlier(self, run: StepRun) -> Properties | None:
        """Take the result of an earlier run that may stand for this one, if there is one."""
        if CACHE_KEY in run.entry:
            return None
        try:
            key = cache_key(run.step, run.scope())
        except ExpressionError:
            return None  # the step itself will say what is wrong
        if key is None:
            return None
        hit = find_earlier(self._context, self._pipeline_arn, run.step, key)
        if hit is None:
            run.entry[CACHE_KEY] = key  # goes into the record with the step's next change
            return None
        arn, entry = hit
        run.entry["CacheHitResult"] = {"SourcePipelineExecutionArn": arn}
        run.entry["Metadata"] = entry.get("Metadata", {})
        properties: Properties = entry[PROPERTIES]
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
        for field in [name for name, value in changes.items() if value is None]:
            del entry[field]
        write_step(self._context, self._arn, entry, previous)


class PipelineRunner:
    """The executions of one service; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._executions: dict[str, tuple[Execution, threading.Thread]] = {}
        self.starting = threading.RLock()  # held by whoever adds or removes executions

    def start(self, arn: str) -> None:
        """Run an execution in the background, from where its record says it is."""
        execution = Execution(self._context, arn)
        thread = threading.Thread(
            target=self._run, args=(arn, execution), name="pipeline", daemon=True
        )
        with self._lock:
            self._executions[arn] = (execution, thread)
        # Whoever stopped or changed it since its record was read found nobody to tell.
        body = self._context.store.get("PipelineExecution", arn) or {}
        execution.parallel = parallelism(body)
        if body.get("PipelineExecutionStatus") == "Stopping":
            execution.stopping.set()
        thread.start()

    def stop(self, arn: str) -> None:
        """Ask an execution to stop its jobs and end."""
        execution = self._underway(arn)
        if execution is not None:
            execution.stopping.set()

    def change_parallelism(self, arn: str, body: dict[str, Any]) -> None:
        """Let an execution run as many steps at once as its record now says."""
        execution = self._underway(arn)
        if execution is not None:
            execution.parallel = parallelism(body)

    def close(self) -> None:
        """Leave every execution as its record stands; the next start goes on from there."""
        with self._lock:
            running = list(self._executions.values())
        for execution, _ in running:
            execution.abandoned.set()
        for _, thread in running:
            thread.join(_JOIN_SECONDS)

    def recover(self) -> None:
        """Go on with what an earlier service left under way."""
        for body in self._context.store.rows("PipelineExecution"):
            if body["PipelineExecutionStatus"] not in LIVE:
                continue
            arn = body["PipelineExecutionArn"]
            try:
                self.start(arn)
            except Exception as error:  # one record that cannot be read must not end the service
                logger.exception("pipeline execution %s", arn)
                self._give_up(arn, error)

    def _give_up(self, arn: str, error: Exception) -> None:
        reason = f"InternalServerError: the execution cannot go on: {error!r}"[:_REASON_LIMIT]
        move_execution(self._context, arn, "Failed", allowed=LIVE, reason=reason)

    def _underway(self, arn: str) -> Execution | None:
        with self._lock:
            found = self._executions.get(arn)
        return None if found is None else found[0]

    def _run(self, arn: str, execution: Execution) -> None:
        try:
            execution.run()
        except Exception as error:  # nobody else would say that it has ended
            logger.exception("pipeline execution %s", arn)
            self._give_up(arn, error)
        finally:
            with self._lock:
                if self._executions.get(arn, (None, None))[0] is execution:
                    del self._executions[arn]


@on_start
def recover_executions(context: Context) -> None:
    """
    Go on with the executions that an earlier service left under way.

    Jobs that ended with it have failed by now, and so do their steps. A callback still waits.
    """
    context.part(PipelineRunner).recover()


@on_stop
def close_executions(context: Context) -> None:
    """Leave the executions under way to the next start."""
    context.part(PipelineRunner).close()
