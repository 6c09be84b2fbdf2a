"""Data quality job definitions: what a monitoring schedule runs, under a name of its own."""

from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceInUseError, ResourceNotFoundError
from tidemill_local.sagemaker.monitoring import jobs as monitoring_jobs
from tidemill_local.sagemaker.monitoring.executions import DEFINITION, inline
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError, without_tags


@operation("CreateDataQualityJobDefinition", differs=monitoring_jobs.DIFFERS)
def create_data_quality_job_definition(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a definition; it never changes."""
    name = request["JobDefinitionName"]
    arn = _arn(context, name)
    endpoint = monitoring_jobs.check(context, inline(request))
    body = without_tags(request) | {
        "JobDefinitionArn": arn,
        "DataQualityJobDefinitionArn": arn,  # under which the store finds it
        "MonitoringJobDefinitionName": name,
        "MonitoringJobDefinitionArn": arn,
        "EndpointName": endpoint,
    }
    try:
        context.store.insert(DEFINITION, name, body, request.get("Tags", []))
    except DuplicateRecordError:
        raise ResourceInUseError(f"Job definition names must be unique; {arn} exists") from None
    return {"JobDefinitionArn": arn}


@operation("DescribeDataQualityJobDefinition")
def describe_data_quality_job_definition(
    context: Context, request: dict[str, Any]
) -> dict[str, Any]:
    """Return the record."""
    body = context.store.get(DEFINITION, request["JobDefinitionName"])
    if body is None:
        raise _missing(context, request["JobDefinitionName"])
    return body


@operation("ListDataQualityJobDefinitions")
def list_data_quality_job_definitions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries, newest first."""
    rows = context.store.rows(DEFINITION)
    if "EndpointName" in request:
        rows = [row for row in rows if row["EndpointName"] == request["EndpointName"]]
    return paging.page(
        request,
        rows,
        answer="JobDefinitionSummaries",
        name="MonitoringJobDefinitionName",
        order="Descending",
    )


@operation("DeleteDataQualityJobDefinition")
def delete_data_quality_job_definition(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a definition; a schedule that names it fails from then on."""
    try:
        context.store.delete(DEFINITION, request["JobDefinitionName"])
    except MissingRecordError:
        raise _missing(context, request["JobDefinitionName"]) from None
    return {}


def _arn(context: Context, name: str) -> str:
    return arn_of(context, "data-quality-job-definition", name.lower())


def _missing(context: Context, name: str) -> ResourceNotFoundError:
    return ResourceNotFoundError(f"Job definition {_arn(context, name)} not found")
