"""The operations on pipelines; `executions` has those on their executions."""

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
from tidemill_local.sagemaker.pipelines import callbacks
from tidemill_local.sagemaker.pipelines.checks import check_definition
from tidemill_local.sagemaker.pipelines.definition import DefinitionError, read_definition
from tidemill_local.sagemaker.pipelines.property_types import AssignmentError
from tidemill_local.sagemaker.pipelines.record import LIVE
from tidemill_local.sagemaker.pipelines.runner import PipelineRunner
from tidemill_local.sagemaker.pipelines.step_types import KINDS
from tidemill_local.sagemaker.pipelines.versions import (
    add_version,
    change_version,
    find_version,
    forget_versions,
    latest_version,
    versions_of,
)
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

TOKEN = "_Token"  # noqa: S105 - the caller's idempotency token, no secret
_LONGEST_DEFINITION = 1_048_576  # characters, inline or in S3
_STEPS = f"steps of the types {', '.join(sorted(KINDS))}; others are refused by name"


@operation("CreatePipeline", differs=_STEPS)
def create_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a pipeline whose definition can be run."""
    name, token = request["PipelineName"], request["ClientRequestToken"]
    text = _definition_text(context, request)
    _check(text)
    arn = arn_of(context, "pipeline", name)
    body = {
        "PipelineName": name,
        "PipelineArn": arn,
        "PipelineDisplayName": request.get("PipelineDisplayName", name),
        "PipelineDefinition": text,
        "PipelineDescription": request.get("PipelineDescription", ""),
        "RoleArn": request["RoleArn"],
        "PipelineStatus": "Active",
        TOKEN: token,
    }
    if "ParallelismConfiguration" in request:
        body["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    try:
        with context.store.transaction():
            latest_version(
                context, context.store.insert("Pipeline", name, body, request.get("Tags", []))
            )
    except DuplicateRecordError as error:
        if error.body[TOKEN] != token:
            raise ValidationError(
                "Pipeline names must be unique within an AWS account and region. "
                f"Pipeline with name ({name}) already exists."
            ) from None
    return {"PipelineArn": arn}


@operation("UpdatePipeline", differs=_STEPS)
def update_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a pipeline; executions under way keep the definition they began with."""
    name = request["PipelineName"]
    find_pipeline(context, name)
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
    text = None
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        text = _definition_text(context, request)
        _check(text)
    try:
        with context.store.transaction():
            body = context.store.update("Pipeline", name, **changes)
            number = latest_version(context, body)
            if text is not None and text != body["PipelineDefinition"]:
                number = add_version(context, find_pipeline(context, name), text)
    except MissingRecordError:
        raise _missing_pipeline(context, name) from None
    return {"PipelineArn": body["PipelineArn"], "PipelineVersionId": number}


@operation("DescribePipeline")
def describe_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a pipeline by name or ARN, as it is or as one of its versions was defined."""
    pipeline = find_pipeline(context, name_in(request["PipelineName"]))
    number = request.get("PipelineVersionId")
    if number is None:
        number = latest_version(context, pipeline)
    version = find_version(context, pipeline, number)
    shown = (
        "PipelineDefinition",
        "PipelineVersionDisplayName",
        "PipelineVersionDescription",
    )
    return pipeline | {field: version[field] for field in shown if field in version}


@operation("ListPipelineVersions")
def list_pipeline_versions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a pipeline's versions, newest first."""
    pipeline = find_pipeline(context, name_in(request["PipelineName"]))
    return page(
        created(request),
        versions_of(context, pipeline),
        answer="PipelineVersionSummaries",
        name="PipelineVersionId",
        order="Descending",
    )


@operation("UpdatePipelineVersion")
def update_pipeline_version(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change what people read of a version."""
    pipeline = find_pipeline(context, name_in(request["PipelineArn"]))
    number = request["PipelineVersionId"]
    find_version(context, pipeline, number)
    fields = ("PipelineVersionDisplayName", "PipelineVersionDescription")
    changes = {field: request[field] for field in fields if field in request}
    change_version(context, pipeline, number, changes)
    return {"PipelineArn": pipeline["PipelineArn"], "PipelineVersionId": number}


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
        created(request), rows, answer="PipelineSummaries", name="PipelineName", order="Descending"
    )


@operation("DeletePipeline")
def delete_pipeline(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a pipeline and its past executions; refused while one is under way."""
    name = request["PipelineName"]
    with context.part(PipelineRunner).starting:
        pipeline = find_pipeline(context, name)
        runs = executions(context, pipeline)
        live = [run for run in runs if run["PipelineExecutionStatus"] in LIVE]
        if live:
            raise ConflictError(
                f"Pipeline {pipeline['PipelineArn']} has executions under way; stop "
                f"{live[0]['PipelineExecutionArn']} first."
            )
        for run in runs:
            callbacks.forget(context, run["PipelineExecutionArn"])
            context.store.delete("PipelineExecution", run["PipelineExecutionArn"])
        forget_versions(context, pipeline)
        context.store.delete("Pipeline", name)
    return {"PipelineArn": pipeline["PipelineArn"]}


def find_pipeline(context: Context, name: str) -> dict[str, Any]:
    """
    Return a pipeline's record.

    Raises:
        ResourceNotFoundError: There is none.
    """
    body = context.store.get("Pipeline", name)
    if body is None:
        raise _missing_pipeline(context, name)
    return body


def executions(context: Context, pipeline: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a pipeline's executions, oldest first."""
    rows = context.store.rows("PipelineExecution")
    return [row for row in rows if row["PipelineArn"] == pipeline["PipelineArn"]]


def created(request: dict[str, Any]) -> dict[str, Any]:
    """Return a list request in the words that all other lists use."""
    renamed = {"CreatedAfter": "CreationTimeAfter", "CreatedBefore": "CreationTimeBefore"}
    return {renamed.get(field, field): value for field, value in request.items()}


def _definition_text(context: Context, request: dict[str, Any]) -> str:
    place = request.get("PipelineDefinitionS3Location")
    if (place is None) == ("PipelineDefinition" not in request):
        raise ValidationError(
            "Give either PipelineDefinition or PipelineDefinitionS3Location, and not both."
        )
    if place is None:
        text: str = request["PipelineDefinition"]
        return text
    uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
    version = {"VersionId": place["VersionId"]} if "VersionId" in place else {}
    try:
        answer = context.s3.get_object(Bucket=place["Bucket"], Key=place["ObjectKey"], **version)
    except ClientError as error:
        raise ValidationError(f"The definition at {uri} cannot be read: {error}") from error
    with answer["Body"] as stream:
        if answer["ContentLength"] > _LONGEST_DEFINITION:
            raise ValidationError(
                f"The definition at {uri} has {answer['ContentLength']} bytes; "
                f"at most {_LONGEST_DEFINITION} are read."
            )
        try:
            return stream.read().decode()
        except UnicodeDecodeError as error:
            raise ValidationError(f"The definition at {uri} is not UTF-8: {error}") from error


def _check(text: str) -> None:
    """Refuse a definition that cannot run, in SageMaker's words where they are known."""
    try:
        check_definition(read_definition(text))
    except AssignmentError as error:
        raise ValidationError(str(error)) from None
    except DefinitionError as error:
        raise ValidationError(f"Unable to parse pipeline definition. {error}") from None
    except RecursionError:
        raise ValidationError(
            "Unable to parse pipeline definition. It is nested too deeply."
        ) from None


def _missing_pipeline(context: Context, name: str) -> ServiceError:
    return ResourceNotFoundError(f"Pipeline '{arn_of(context, 'pipeline', name)}' does not exist.")
