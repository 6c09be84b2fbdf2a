"""The operations on executions of pipelines; `runner` does the work."""

import json
import secrets
import string
import time
from typing import Any

from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ConflictError, ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.lineage import tracking
from tidemill_local.sagemaker.lineage.tracking import EXPERIMENT, TRIAL
from tidemill_local.sagemaker.operations import call, operation
from tidemill_local.sagemaker.paging import page
from tidemill_local.sagemaker.pipelines.definition import (
    Definition,
    DefinitionError,
    read_definition,
)
from tidemill_local.sagemaker.pipelines.expressions import Scope, evaluate
from tidemill_local.sagemaker.pipelines.operations import TOKEN, created, executions, find_pipeline
from tidemill_local.sagemaker.pipelines.record import (
    LIVE,
    PARAMETERS,
    SELECTED,
    STEPS,
    announce_execution,
    execution_variables,
    move_execution,
)
from tidemill_local.sagemaker.pipelines.reuse import SelectionError, reused_steps
from tidemill_local.sagemaker.pipelines.runner import PipelineRunner
from tidemill_local.sagemaker.pipelines.versions import (
    change_version,
    definition_of,
    find_version,
    latest_version,
)

_RETRY_TOKEN = "_RetryToken"  # noqa: S105 - the caller's idempotency token, no secret
_ID_LENGTH = 12
_ID_LETTERS = string.ascii_lowercase + string.digits
_RETRIED = frozenset({"Failed", "Stopped"})
_SOURCES = frozenset({"Failed", "Succeeded"})


@operation("StartPipelineExecution", refused=("MlflowExperimentName",))
def start_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start an execution; a repeated ClientRequestToken answers the execution it started."""
    runner = context.part(PipelineRunner)
    with runner.starting:  # two requests with one token must not both find nothing
        pipeline = find_pipeline(context, name_in(request["PipelineName"]))
        number = request.get("PipelineVersionId") or latest_version(context, pipeline)
        version = find_version(context, pipeline, number)
        definition, values = _read(version["PipelineDefinition"], request)
        for run in executions(context, pipeline):
            if run[TOKEN] == request["ClientRequestToken"]:
                if run[PARAMETERS] != values:
                    raise ConflictError(
                        "The ClientRequestToken was used before with other parameters."
                    )
                return {"PipelineExecutionArn": run["PipelineExecutionArn"]}
        body = _new_execution(pipeline, request, values) | {"PipelineVersionId": number}
        body |= _experiment(context, definition, body)
        body |= _selection(context, pipeline, definition, request)
        arn = body["PipelineExecutionArn"]
        body = context.store.insert("PipelineExecution", arn, body)
        context.store.update("Pipeline", pipeline["PipelineName"], LastRunTime=body["CreationTime"])
        change_version(context, pipeline, number, {"LastExecutionPipelineExecutionArn": arn})
    announce_execution(context, body, previous=None)
    runner.start(arn)
    return {"PipelineExecutionArn": arn}


@operation("RetryPipelineExecution")
def retry_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Let an execution that failed or was stopped go on: what succeeded is not run again."""
    arn, token = request["PipelineExecutionArn"], request["ClientRequestToken"]
    runner = context.part(PipelineRunner)
    previous: list[str] = []

    def change(body: dict[str, Any]) -> None:
        status = body["PipelineExecutionStatus"]
        if body.get(_RETRY_TOKEN) == token:
            return
        if status not in _RETRIED:
            raise ConflictError(
                f"Pipeline execution {arn} has status {status}; only one that has failed or was "
                "stopped can be retried."
            )
        previous.append(status)
        body[STEPS] = [step for step in body[STEPS] if step["StepStatus"] == "Succeeded"]
        body["PipelineExecutionStatus"] = "Executing"
        body["FailureReason"] = None
        body[_RETRY_TOKEN] = token
        if "ParallelismConfiguration" in request:
            body["ParallelismConfiguration"] = request["ParallelismConfiguration"]

    with runner.starting:
        find_execution(context, arn)
        body = context.store.edit("PipelineExecution", arn, change)
        if previous:
            announce_execution(context, body, previous[0])
            runner.start(arn)
    return {"PipelineExecutionArn": arn}


@operation("StopPipelineExecution")
def stop_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop the jobs under way and start no more; asking twice does no harm."""
    arn = request["PipelineExecutionArn"]
    status = find_execution(context, arn)["PipelineExecutionStatus"]
    if status not in LIVE:
        raise ConflictError(
            f"Pipeline execution {arn} has ended with status {status} and cannot be stopped."
        )
    if status == "Executing":
        move_execution(context, arn, "Stopping", allowed=LIVE)
    context.part(PipelineRunner).stop(arn)
    return {"PipelineExecutionArn": arn}


@operation("UpdatePipelineExecution")
def update_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change an execution's name, description, or how many of its steps run at once."""
    arn = request["PipelineExecutionArn"]
    find_execution(context, arn)
    fields = (
        "PipelineExecutionDisplayName",
        "PipelineExecutionDescription",
        "ParallelismConfiguration",
    )
    changes = {field: request[field] for field in fields if field in request}
    body = context.store.update("PipelineExecution", arn, **changes)
    context.part(PipelineRunner).change_parallelism(arn, body)
    return {"PipelineExecutionArn": arn}


@operation("DescribePipelineExecution")
def describe_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer how an execution is."""
    return find_execution(context, request["PipelineExecutionArn"])


@operation("ListPipelineExecutions")
def list_pipeline_executions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a pipeline's executions, newest first."""
    pipeline = find_pipeline(context, name_in(request["PipelineName"]))
    rows = [
        run
        | {
            "StartTime": run["CreationTime"],
            "PipelineExecutionFailureReason": run.get("FailureReason"),
        }
        for run in executions(context, pipeline)
    ]
    return page(
        created(request),
        rows,
        answer="PipelineExecutionSummaries",
        name="PipelineExecutionArn",
        order="Descending",
    )


@operation("ListPipelineExecutionSteps")
def list_pipeline_execution_steps(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the steps that have started, the latest first."""
    if "PipelineExecutionArn" not in request:  # optional in the service model, for no reason
        raise ValidationError("Give the PipelineExecutionArn of the execution whose steps to list.")
    steps = find_execution(context, request["PipelineExecutionArn"])[STEPS]
    rows = [step | {"CreationTime": step["StartTime"]} for step in steps]
    return page(request, rows, answer="PipelineExecutionSteps", name="StepName", order="Descending")


@operation("DescribePipelineDefinitionForExecution")
def describe_definition(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer the definition that an execution runs, whatever became of the pipeline."""
    body = find_execution(context, request["PipelineExecutionArn"])
    text = definition_of(context, body)
    return {"PipelineDefinition": text, "CreationTime": body["CreationTime"]}


@operation("ListPipelineParametersForExecution")
def list_parameters(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the values an execution runs with, defaults included."""
    body = find_execution(context, request["PipelineExecutionArn"])
    rows = [
        {"Name": name, "Value": _as_text(value), "CreationTime": 0}
        for name, value in body[PARAMETERS].items()
    ]
    return page(request | {"SortBy": "Name"}, rows, answer="PipelineParameters", name="Name")


def find_execution(context: Context, arn: str) -> dict[str, Any]:
    """
    Return an execution's record.

    Raises:
        ResourceNotFoundError: There is none.
    """
    body = context.store.get("PipelineExecution", arn)
    if body is None:
        raise ResourceNotFoundError(f"Pipeline execution '{arn}' does not exist.")
    return body


def _read(text: str, request: dict[str, Any]) -> tuple[Definition, dict[str, Any]]:
    """Return the definition that is to run, and its parameters' values."""
    given = request.get("PipelineParameters", [])
    values = {item["Name"]: item["Value"] for item in given}
    if len(values) < len(given):
        raise ValidationError("PipelineParameters must name each parameter once.")
    try:
        definition = read_definition(text)
        return definition, definition.values(values)
    except DefinitionError as error:
        raise ValidationError(str(error)) from None


def _new_execution(
    pipeline: dict[str, Any], request: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    execution_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    now = time.time()
    body = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{execution_id}",
        "PipelineExecutionDisplayName": request.get(
            "PipelineExecutionDisplayName", f"execution-{int(now * 1000)}"
        ),
        "PipelineExecutionStatus": "Executing",
        "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
        "ParallelismConfiguration": request.get("ParallelismConfiguration")
        or pipeline.get("ParallelismConfiguration"),
        "SelectiveExecutionConfig": request.get("SelectiveExecutionConfig"),
        "CreationTime": now,
        PARAMETERS: values,
        STEPS: [],
        TOKEN: request["ClientRequestToken"],
    }
    return {field: value for field, value in body.items() if value is not None}


def _experiment(context: Context, definition: Definition, body: dict[str, Any]) -> dict[str, Any]:
    """Return the experiment and trial that the definition names, and make those that are new."""
    scope = Scope(parameters=body[PARAMETERS], execution=execution_variables(body))
    named = {k: v for k, v in definition.experiment.items() if v is not None}
    config = evaluate(named, scope)
    experiment, trial = config.get("ExperimentName"), config.get("TrialName")
    if experiment is not None and tracking.find(context, EXPERIMENT, experiment) is None:
        call(context, "CreateExperiment", {"ExperimentName": experiment})
    if trial is not None and tracking.find(context, TRIAL, trial) is None:
        call(context, "CreateTrial", {"TrialName": trial, "ExperimentName": experiment})
    return {"PipelineExperimentConfig": config} if config else {}


def _selection(
    context: Context, pipeline: dict[str, Any], definition: Definition, request: dict[str, Any]
) -> dict[str, Any]:
    """Return what a selective execution begins with: the results of another that it reuses."""
    config = request.get("SelectiveExecutionConfig")
    if config is None:
        return {}
    selected = [step["StepName"] for step in config["SelectedSteps"]]
    source = None
    if "SourcePipelineExecutionArn" in config:
        source = find_execution(context, config["SourcePipelineExecutionArn"])
        if source["PipelineArn"] != pipeline["PipelineArn"]:
            raise ValidationError("SourcePipelineExecutionArn must be of the same pipeline.")
        if source["PipelineExecutionStatus"] not in _SOURCES:
            raise ValidationError(
                "The execution of SourcePipelineExecutionArn must have succeeded or failed; "
                f"its status is {source['PipelineExecutionStatus']}."
            )
    try:
        return {SELECTED: selected, STEPS: reused_steps(definition, selected, source)}
    except SelectionError as error:
        raise ValidationError(str(error)) from None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
