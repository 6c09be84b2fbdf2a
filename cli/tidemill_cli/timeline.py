"""
How a run went, step by step: Step Functions' history, the pipeline's steps, the jobs' logs.

Reads only. What a service does not know any more (executions are kept 90 days) is left out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import is_missing
from tidemill_cli.stack import Stack

#: What a run does in each state of `statemachines/retrain.asl.json`; a test keeps the two in step.
STAGES = {
    "OpenRun": "fixing the dataset",
    "PrepareSmall": "preparing the data",
    "Prepare": "preparing the data",
    "StartPipeline": "starting the pipeline",
    "AwaitPipeline": "waiting for the pipeline",
    "ReadOutcome": "reading the outcome",
    "Approve": "approving the version",
    "CloseRun": "recording the end",
    "CloseFailedRun": "recording the failure",
}
#: What goes on while the pipeline is in a step.
PIPELINE_STAGES = {
    "Train": "training",
    "Evaluate": "evaluating on the test rows",
    "Gate": "comparing with the gate",
    "Register": "registering the version",
    "Refuse": "refusing the version",
}
LOG_GROUPS = {
    "processing-job": "/aws/sagemaker/ProcessingJobs",
    "training-job": "/aws/sagemaker/TrainingJobs",
}
EXCERPT_LINES = 20
_STEP_STATUS = {
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Stopped": "stopped",
    "Stopping": "running",
    "Executing": "running",
    "Starting": "running",
}
_GONE = ("ExecutionDoesNotExist", "ResourceNotFoundException", "ResourceNotFound", "NoSuchKey")


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of a run. Times are seconds since 1970; *job* is the SageMaker job's ARN.

    *request* is the id of the function's call that failed, by which its log lines are found.
    """

    step: str
    place: str  # "workflow" or "pipeline"
    status: str
    started: float | None
    finished: float | None
    reason: str | None = None
    job: str | None = None
    request: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.started is None or self.finished is None:
            return None
        return round(self.finished - self.started, 3)


def steps_of(stack: Stack, run: Mapping[str, Any]) -> list[Step]:
    """Return a run's steps in order; the pipeline's stand where the workflow waits for them."""
    found: list[Step] = []
    for step in workflow_steps(_history(stack, run)):
        if step.step == "AwaitPipeline" and run.get("pipeline"):
            found += _pipeline_steps(stack, str(run["pipeline"]))
        else:
            found.append(step)
    return found


def stage_of(stack: Stack, run: Mapping[str, Any]) -> str:
    """Return in a few words what a run that is going does now."""
    if run["status"] == "starting":
        return "starting"
    going = [step for step in steps_of(stack, run) if step.status == "running"]
    if not going:
        return "between two steps"
    step = going[-1]
    names = PIPELINE_STAGES if step.place == "pipeline" else STAGES
    return names.get(step.step, step.step)


def workflow_steps(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """
    Return the task states of an execution's history, each once per time it was entered.

    A state that was caught has failed, whether or not its exit is in the history.
    """
    steps: list[Step] = []
    current: Step | None = None
    for event in events:
        kind, at = str(event["type"]), event["timestamp"].timestamp()
        if kind.endswith("StateEntered"):
            if current is not None:
                steps.append(_ended(current, at))
            current = None
            if kind == "TaskStateEntered":
                name = event["stateEnteredEventDetails"]["name"]
                current = Step(name, "workflow", "running", at, None)
        elif current is not None:
            current = _after(current, kind, event)
            if kind == "TaskStateExited" or kind.startswith("Execution"):
                steps.append(_ended(current, at))
                current = None
    return steps + ([current] if current is not None else [])


def _ended(step: Step, at: float) -> Step:
    status = "succeeded" if step.status == "running" else step.status
    return replace(step, status=status, finished=at)


def _after(step: Step, kind: str, event: Mapping[str, Any]) -> Step:
    """Return *step* as one event of the history leaves it."""
    match kind:
        case "TaskFailed" | "TaskTimedOut" | "TaskSubmitFailed" | "TaskStartFailed":
            details: Mapping[str, Any] = next(
                (value for key, value in event.items() if key.endswith("EventDetails")), {}
            )
            reason, document = _cause(details.get("error", ""), details.get("cause", ""))
            return replace(
                step,
                status="failed",
                reason=reason,
                job=_job(document) or step.job,
                request=document.get("requestId"),
            )
        case "ExecutionFailed" | "ExecutionTimedOut":
            return replace(step, status="failed")
        case "ExecutionAborted":
            return replace(step, status="stopped")
        case "TaskScheduled":  # tried again
            return replace(step, status="running", reason=None, job=None, request=None)
        case "TaskSubmitted" | "TaskSucceeded":
            details = event.get(f"t{kind[1:]}EventDetails", {})
            job = _job(_document(details.get("output", "")) or {}) or step.job
            return replace(step, status="running", reason=None, job=job, request=None)
        case _:
            return step


def _cause(error: str, cause: str) -> tuple[str, dict[str, Any]]:
    """Return the sentence in a task's cause, and the cause itself when it is a document."""
    document = _document(cause)
    if document is None:
        return cause or error, {}
    said = next(
        (
            document[key]
            for key in ("ExitMessage", "FailureReason", "errorMessage")
            if document.get(key)
        ),
        error,
    )
    return str(said), document


def _document(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _job(document: Mapping[str, Any]) -> str | None:
    """Return the ARN of the job that a task's answer describes, or None."""
    return document.get("ProcessingJobArn") or document.get("TrainingJobArn")


def _pipeline_steps(stack: Stack, execution: str) -> list[Step]:
    try:
        raw = stack.jobs.steps(execution)
    except ClientError as error:
        if is_gone(error):
            return []
        raise
    return [_pipeline_step(step) for step in raw]


def _pipeline_step(step: Mapping[str, Any]) -> Step:
    metadata = step.get("Metadata", {})
    jobs = [
        metadata[kind].get("Arn") for kind in ("TrainingJob", "ProcessingJob") if kind in metadata
    ]
    return Step(
        step=step["StepName"],
        place="pipeline",
        status=_STEP_STATUS.get(step["StepStatus"], "running"),
        started=_seconds(step.get("StartTime")),
        finished=_seconds(step.get("EndTime")),
        reason=step.get("FailureReason"),
        job=jobs[0] if jobs else None,
    )


def _history(stack: Stack, run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    execution = run.get("execution") or stack.retrain.arn(run["run"])
    client = stack.clients.stepfunctions
    try:
        pages = client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [dict(event) for page in pages for event in page["events"]]
    except ClientError as error:
        if is_gone(error):
            return []
        raise


def is_gone(error: ClientError) -> bool:
    """Say whether AWS does not know any more what was asked about."""
    return error.response["Error"]["Code"] in _GONE or is_missing(error)


def _seconds(moment: Any) -> float | None:
    return moment.timestamp() if moment is not None else None


def evaluation_of(stack: Stack, steps: Iterable[Step]) -> dict[str, Any] | None:
    """Return the metric that the Evaluate step wrote, also of a run that was refused."""
    for step in steps:
        if step.step == "Evaluate" and step.job and step.status == "succeeded":
            try:
                output = stack.jobs.processing_output(step.job, "evaluation")
                document = stack.lake.get_json(f"{output}/evaluation.json")
            except (ClientError, KeyError):
                return None  # the job or its output is gone; the record may still hold the metric
            return (document or {}).get("metric")
    return None


def inputs_of(stack: Stack, ref: str, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the object versions that a run reads, with what Prepare said of each."""
    if not run.get("dataset"):
        return []
    uri = f"s3://{stack.artifact_bucket}/datasets/{ref}/{run['dataset']}/dataset.json"
    dataset = stack.lake.get_json(uri) or {}
    summary = (
        stack.lake.get_json(f"{run['prepared']}/summary.json") if run.get("prepared") else None
    )
    judged = {(file["uri"], file["version_id"]): file for file in (summary or {}).get("files", [])}
    found = []
    for item in dataset.get("objects", []):
        file = judged.get((item["uri"], item["version_id"]), {})
        found.append(
            {
                "uri": item["uri"],
                "version_id": item["version_id"],
                "size": item["size"],
                "rows": file.get("rows"),
                "verdict": file.get("verdict"),
                "reason": file.get("reason") or None,
            }
        )
    return found


def excerpts(stack: Stack, steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return the last lines that each failed step's job printed."""
    found = []
    for step in steps:
        if step.status != "failed" or not step.job:
            continue
        group, job = log_of(step.job)
        lines = _last_lines(stack, group, job) if group else []
        if lines:
            found.append({"step": step.step, "group": group, "job": job, "lines": lines})
    return found


def log_of(job: str) -> tuple[str | None, str]:
    """Return a job's log group and its name, which its streams begin with; *job* is its ARN."""
    kind, _, name = job.rpartition(":")[2].partition("/")
    return LOG_GROUPS.get(kind), name


def _last_lines(stack: Stack, group: str, job: str) -> list[str]:
    logs = stack.clients.logs
    lines: list[str] = []
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")
        for stream in streams["logStreams"]:
            events = logs.get_log_events(
                logGroupName=group,
                logStreamName=stream["logStreamName"],
                startFromHead=False,
                limit=EXCERPT_LINES,
            )["events"]
            lines += [event["message"].rstrip("\n") for event in events]
    except ClientError as error:
        if not is_gone(error):
            raise
    return lines[-EXCERPT_LINES:]


def as_rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return steps as plain rows, with their duration."""
    return [
        {
            "step": step.step,
            "place": step.place,
            "status": step.status,
            "started": step.started,
            "finished": step.finished,
            "seconds": step.seconds,
            "reason": step.reason,
            "job": step.job,
        }
        for step in steps
    ]
