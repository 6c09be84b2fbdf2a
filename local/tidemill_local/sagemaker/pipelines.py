"""The operations on pipelines and their executions; `pipeline_runner` does the work."""

import json
import secrets
import string
import time
from typing import Any

from botocore.exceptions import ClientError

from tidemill_local.sagemaker.arns import arn_of, name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import (
    ConflictError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.paging import page
from tidemill_local.sagemaker.pipeline_checks import check_definition
from tidemill_local.sagemaker.pipeline_definition import (
    KINDS,
    Definition,
    DefinitionError,
    read_definition,
)
from tidemill_local.sagemaker.pipeline_runner import (
    DEFINITION,
    PARAMETERS,
    STEPS,
    PipelineRunner,
    announce_execution,
    move_execution,
)
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_TOKEN = "_Token"  # noqa: S105 - the caller's idempotency token, no secret
_ID_LENGTH = 12
_ID_LETTERS = string.ascii_lowercase + string.digits
_STEPS = f"steps of the types {', '.join(sorted(KINDS))}; others are refused by name"
_LIVE = frozenset({"Executing", "Stopping"})


@operation("CreatePipeline", differs=_STEPS)
def create_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a pipeline whose definition can be run."""
    name, token = request["PipelineName"], request["ClientRequestToken"]
    text = _definition_text(context, request)
    _read(text)
    arn = arn_of(context, "pipeline", name)
    body = {
        "PipelineName": name,
        "PipelineArn": arn,
        "PipelineDisplayName": request.get("PipelineDisplayName", name),
        "PipelineDefinition": text,
        "PipelineDescription": request.get("PipelineDescription", ""),
        "RoleArn": request["RoleArn"],
        "PipelineStatus": "Active",
        _TOKEN: token,
    }
    if "ParallelismConfiguration" in request:
        body["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    try:
        context.store.insert("Pipeline", name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        if error.body[_TOKEN] != token:
            raise ValidationError(
                "Pipeline names must be unique within an AWS account and region. "
                f"Pipeline with name ({name}) already exists."
            ) from None
    return {"PipelineArn": arn}


@operation("UpdatePipeline", differs=_STEPS)
def update_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a pipeline; executions under way keep the definition they began with."""
    name = request["PipelineName"]
    _pipeline(context, name)
    changes: dict[str, Any] = {
        field: request[field]
        for field in (
            "PipelineDisplayName",
            "PipelineDescription",
            "RoleArn",
            "ParallelismConfiguration",
        )
        if field in request
    }
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        changes["PipelineDefinition"] = _definition_text(context, request)
        _read(changes["PipelineDefinition"])
    try:
        body = context.store.update("Pipeline", name, **changes)
    except MissingRecordError:
        raise _missing_pipeline(context, name) from None
    return {"PipelineArn": body["PipelineArn"]}


@operation("DescribePipeline", refused=("PipelineVersionId",))
def describe_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a pipeline by name or ARN."""
    return _pipeline(context, name_in(request["PipelineName"]))


@operation("ListPipelines")
def list_pipelines(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List pipelines, newest first."""
    prefix = request.get("PipelineNamePrefix", "")
    rows = [
        row | {"LastExecutionTime": row.get("LastRunTime")}
        for row in context.store.rows("Pipeline")
        if row["PipelineName"].startswith(prefix)
    ]
    return page(
        _created(request), rows, answer="PipelineSummaries", name="PipelineName", order="Descending"
    )


@operation("DeletePipeline")
def delete_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a pipeline and its past executions; refused while one is under way."""
    name = request["PipelineName"]
    with context.part(PipelineRunner).starting:
        pipeline = _pipeline(context, name)
        executions = _executions(context, pipeline)
        live = [run for run in executions if run["PipelineExecutionStatus"] in _LIVE]
        if live:
            raise ConflictError(
                f"Pipeline {pipeline['PipelineArn']} has executions under way; stop "
                f"{live[0]['PipelineExecutionArn']} first."
            )
        for run in executions:
            context.store.delete("PipelineExecution", run["PipelineExecutionArn"])
        context.store.delete("Pipeline", name)
    return {"PipelineArn": pipeline["PipelineArn"]}


@operation(
    "StartPipelineExecution",
    refused=("SelectiveExecutionConfig", "PipelineVersionId", "MlflowExperimentName"),
)
def start_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start an execution; a repeated ClientRequestToken answers the execution it started."""
    runner = context.part(PipelineRunner)
    with runner.starting:  # two requests with one token must not both find nothing
        pipeline = _pipeline(context, name_in(request["PipelineName"]))
        given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        try:
            values = read_definition(pipeline["PipelineDefinition"]).values(given)
        except DefinitionError as error:
            raise ValidationError(str(error)) from None
        token = request["ClientRequestToken"]
        for run in _executions(context, pipeline):
            if run[_TOKEN] == token:
                if run[PARAMETERS] != values:
                    raise ConflictError(
                        "The ClientRequestToken was used before with other parameters."
                    )
                return {"PipelineExecutionArn": run["PipelineExecutionArn"]}
        body = _new_execution(pipeline, request, values)
        arn = body["PipelineExecutionArn"]
        body = context.store.insert("PipelineExecution", arn, body)
        context.store.update("Pipeline", pipeline["PipelineName"], LastRunTime=body["CreationTime"])
    announce_execution(context, body, previous=None)
    runner.start(arn)
    return {"PipelineExecutionArn": arn}


@operation("StopPipelineExecution")
def stop_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop the jobs under way and start no more; asking twice does no harm."""
    arn = request["PipelineExecutionArn"]
    status = _execution(context, arn)["PipelineExecutionStatus"]
    if status not in _LIVE:
        raise ConflictError(
            f"Pipeline execution {arn} has ended with status {status} and cannot be stopped."
        )
    if status == "Executing":
        move_execution(context, arn, "Stopping", allowed=_LIVE)
    context.part(PipelineRunner).stop(arn)
    return {"PipelineExecutionArn": arn}


@operation("DescribePipelineExecution")
def describe_pipeline_execution(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer how an execution is."""
    return _execution(context, request["PipelineExecutionArn"])


@operation("ListPipelineExecutions")
def list_pipeline_executions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a pipeline's executions, newest first."""
    pipeline = _pipeline(context, name_in(request["PipelineName"]))
    rows = [
        run
        | {
            "StartTime": run["CreationTime"],
            "PipelineExecutionFailureReason": run.get("FailureReason"),
        }
        for run in _executions(context, pipeline)
    ]
    return page(
        _created(request),
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
    steps = _execution(context, request["PipelineExecutionArn"])[STEPS]
    rows = [step | {"CreationTime": step["StartTime"]} for step in steps]
    return page(request, rows, answer="PipelineExecutionSteps", name="StepName", order="Descending")


@operation("DescribePipelineDefinitionForExecution")
def describe_definition(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer the definition that an execution runs, whatever became of the pipeline."""
    body = _execution(context, request["PipelineExecutionArn"])
    return {"PipelineDefinition": body[DEFINITION], "CreationTime": body["CreationTime"]}


@operation("ListPipelineParametersForExecution")
def list_parameters(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the values an execution runs with, defaults included."""
    body = _execution(context, request["PipelineExecutionArn"])
    rows = [
        {"Name": name, "Value": _as_text(value), "CreationTime": 0}
        for name, value in body[PARAMETERS].items()
    ]
    return page(request | {"SortBy": "Name"}, rows, answer="PipelineParameters", name="Name")


def _new_execution(
    pipeline: dict[str, Any], request: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    execution_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    display = f"execution-{int(time.time() * 1000)}"
    body = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{execution_id}",
        "PipelineExecutionDisplayName": request.get("PipelineExecutionDisplayName", display),
        "PipelineExecutionStatus": "Executing",
        "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
        "ParallelismConfiguration": request.get("ParallelismConfiguration")
        or pipeline.get("ParallelismConfiguration"),
        DEFINITION: pipeline["PipelineDefinition"],
        PARAMETERS: values,
        STEPS: [],
        _TOKEN: request["ClientRequestToken"],
    }
    return {field: value for field, value in body.items() if value is not None}


def _definition_text(context: Context, request: dict[str, Any]) -> str:
    place = request.get("PipelineDefinitionS3Location")
    if (place is None) == ("PipelineDefinition" not in request):
        raise ValidationError(
            "Give either PipelineDefinition or PipelineDefinitionS3Location, and not both."
        )
    if place is None:
        text: str = request["PipelineDefinition"]
        return text
    version = {"VersionId": place["VersionId"]} if "VersionId" in place else {}
    try:
        answer = context.s3.get_object(Bucket=place["Bucket"], Key=place["ObjectKey"], **version)
    except ClientError as error:
        uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
        raise ValidationError(f"The definition at {uri} cannot be read: {error}") from error
    with answer["Body"] as stream:
        return stream.read().decode()


def _read(text: str) -> Definition:
    try:
        definition = read_definition(text)
        check_definition(definition)
    except DefinitionError as error:
        raise ValidationError(f"Unable to parse pipeline definition. {error}") from None
    return definition


def _created(request: dict[str, Any]) -> dict[str, Any]:
    """Return a list request in the words that all other lists use."""
    renamed = {"CreatedAfter": "CreationTimeAfter", "CreatedBefore": "CreationTimeBefore"}
    return {renamed.get(field, field): value for field, value in request.items()}


def _pipeline(context: Context, name: str) -> dict[str, Any]:
    body = context.store.get("Pipeline", name)
    if body is None:
        raise _missing_pipeline(context, name)
    return body


def _missing_pipeline(context: Context, name: str) -> ServiceError:
    return ResourceNotFoundError(f"Pipeline '{arn_of(context, 'pipeline', name)}' does not exist.")


def _execution(context: Context, arn: str) -> dict[str, Any]:
    body = context.store.get("PipelineExecution", arn)
    if body is None:
        raise ResourceNotFoundError(f"Pipeline execution '{arn}' does not exist.")
    return body


def _executions(context: Context, pipeline: dict[str, Any]) -> list[dict[str, Any]]:
    rows = context.store.rows("PipelineExecution")
    return [row for row in rows if row["PipelineArn"] == pipeline["PipelineArn"]]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
