"""Steps that SageMaker itself carries out: jobs, models, model packages, decisions, last words."""

import secrets
import string
from typing import Any

from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.operations import call
from tidemill_local.sagemaker.pipelines.expressions import as_text, evaluate, holds
from tidemill_local.sagemaker.pipelines.property_types import KEYED_LISTS
from tidemill_local.sagemaker.pipelines.record import JOB
from tidemill_local.sagemaker.pipelines.step_types import KINDS, StepKind
from tidemill_local.sagemaker.pipelines.steps import (
    LOOK_SECONDS,
    Properties,
    StepError,
    StepRun,
    StepStoppedError,
)

_SUFFIX_LENGTH = 10
_SUFFIX_LETTERS = string.ascii_letters + string.digits
_MOST_LISTED = 50
_TRACKED = frozenset({"Training", "Processing", "Transform"})
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_REASONS = {
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
}


def run_job(run: StepRun) -> Properties:
    """Make a job, or find the one that an earlier service made, and wait for its end."""
    kind = KINDS[run.step.type]
    name = _make(run, kind)
    described = _await_end(run, kind, name)
    status = described[kind.status]
    if status == "Completed":
        return keyed(described) | _listing(run, kind, described)
    if status == "Stopped" and run.stopping.is_set():
        raise StepStoppedError
    raise _job_failure(run, described, status)


def make_model(run: StepRun) -> Properties:
    """Make a model."""
    kind = KINDS[run.step.type]
    return run.look(kind.describe, {kind.name: _make(run, kind)})


def register_model(run: StepRun) -> Properties:
    """
    Register a model package, and its group before it where that is new.

    The ClientToken is recorded first: whoever goes on after a crash asks with it again, and gets
    the version that is there.
    """
    kind = KINDS[run.step.type]
    known = run.entry.get("Metadata", {}).get(kind.metadata)
    if known is None:
        request = evaluate(run.step.arguments, run.scope())
        if JOB not in run.entry:
            run.check_end()
            run.note(**{JOB: secrets.token_hex(16)})
        group = request.get("ModelPackageGroupName")
        if isinstance(group, str):
            _ensure_group(run, name_in(group))
        request = {"ClientToken": run.entry[JOB]} | request
        known = {"Arn": call(run.context, kind.create, request)[kind.arn]}
        run.progress(Metadata={kind.metadata: known})
    return run.look(kind.describe, {"ModelPackageName": known["Arn"]})


def decide(run: StepRun) -> Properties:
    """Evaluate a Condition step's conditions."""
    outcome = "True" if holds(run.step.arguments["Conditions"], run.scope()) else "False"
    run.progress(Metadata={"Condition": {"Outcome": outcome}})
    return {"Outcome": outcome}


def fail(run: StepRun) -> Properties:
    """Fail with the message that the definition has."""
    message = as_text(evaluate(run.step.arguments["ErrorMessage"], run.scope()))
    raise StepError(message, metadata={"Fail": {"ErrorMessage": message}})


def job_name(prefix: str, execution_id: str, step: str, longest: int = 63) -> str:
    """Return a job's name as pipelines make them, new each time."""
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    head = "-".join(part for part in (prefix, execution_id, step) if part).replace("_", "-")
    return f"{head[: longest - _SUFFIX_LENGTH - 1].rstrip('-')}-{suffix}"


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


def _listing(run: StepRun, kind: StepKind, described: dict[str, Any]) -> dict[str, Any]:
    """Return a tuning job's training jobs, the best first, as property references see them."""
    if not kind.listing:
        return {}
    config = described["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective", {}).get("Type", "Maximize")
    request = {
        kind.name: described[kind.name],
        "SortBy": "FinalObjectiveMetricValue",
        "SortOrder": "Ascending" if objective == "Minimize" else "Descending",
        "MaxResults": _MOST_LISTED,
    }
    return run.look(kind.listing, request)


def _make(run: StepRun, kind: StepKind) -> str:
    """
    Return the name of what this attempt makes, making it unless that has happened.

    The name is recorded first: whoever goes on after a crash looks for it, and makes it once.
    """
    name = run.entry.get(JOB)
    if name is None:
        name = _new_name(run, kind)
        run.check_end()
        run.note(**{JOB: name})
    found = run.context.store.get(kind.name.removesuffix("Name"), name)
    if found is None:
        run.check_end()
        scope = run.scope().with_execution(**{kind.name: name})
        request = {**_experiment(run), **evaluate(run.step.arguments, scope), kind.name: name}
        if kind.stop:
            request["Tags"] = _tags(run, request.get("Tags", []))
        arn = call(run.context, kind.create, request)[kind.arn]
    else:
        arn = found[kind.arn]
    run.progress(Metadata={kind.metadata: {"Arn": arn}})
    return str(name)


def _new_name(run: StepRun, kind: StepKind) -> str:
    given = run.step.arguments.get(kind.name)
    execution_id = run.variables["PipelineExecutionId"]
    if given is not None:
        return job_name(as_text(evaluate(given, run.scope())), execution_id, "", kind.longest_name)
    prefix = "pipelines" if kind.longest_name > len("pipelines") + len(execution_id) * 2 else ""
    return job_name(prefix, execution_id, run.step.name, kind.longest_name)


def _experiment(run: StepRun) -> dict[str, Any]:
    """Return what makes a job part of the execution's trial, where the type knows of trials."""
    if not run.experiment or run.step.type not in _TRACKED:
        return {}
    named = {**run.experiment, "TrialComponentDisplayName": run.step.name}
    return {"ExperimentConfig": named}


def _tags(run: StepRun, given: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a job's tags with those that lead back to its execution and its step."""
    ours = {
        "sagemaker:pipeline-execution-arn": str(run.variables["PipelineExecutionArn"]),
        "sagemaker:pipeline-step-name": run.step.name,
    }
    kept = [tag for tag in given if tag["Key"] not in ours]
    return [*kept, *({"Key": key, "Value": value} for key, value in ours.items())]


def _ensure_group(run: StepRun, group: str) -> None:
    if run.context.store.get("ModelPackageGroup", group) is not None:
        return
    try:
        call(run.context, "CreateModelPackageGroup", {"ModelPackageGroupName": group})
    except ServiceError:
        # Another execution may have been faster; if not, CreateModelPackage says what is wrong.
        if run.context.store.get("ModelPackageGroup", group) is None:
            raise


def _await_end(run: StepRun, kind: StepKind, name: str) -> dict[str, Any]:
    """Wait until the job has ended; pass a stop on to it once."""
    record, told = kind.name.removesuffix("Name"), False

    def ended(body: dict[str, Any] | None) -> bool:
        return body is None or body[kind.status] in _ENDED

    while not ended(run.context.store.wait_for(record, name, ended, LOOK_SECONDS)):
        run.check_abandoned()
        if run.stopping.is_set() and not told:
            told = True
            run.move("Stopping")
            try:
                call(run.context, kind.stop, {kind.name: name})
            except ServiceError:
                continue  # it ended just now: the next look will say how
    return run.look(kind.describe, {kind.name: name})


def _job_failure(run: StepRun, described: dict[str, Any], status: str) -> StepError:
    reason = described.get("FailureReason") or f"The job ended with status {status}."
    kind = _REASONS.get(reason.partition(":")[0], "")
    if run.step.type == "Tuning" and kind == "SageMaker.JOB_INTERNAL_ERROR":
        kind = ""  # SageMaker tries no tuning job again for this
    message = described.get("ExitMessage", "")
    if message and message not in reason:
        reason = f"{reason} Exit message: {message}"
    return StepError(reason, kind=kind)
