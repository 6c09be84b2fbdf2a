"""Transform jobs: a model asked about every record of some objects."""

from typing import Any

from tidemill_local.sagemaker import paging, quotas
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.jobs import lifecycle
from tidemill_local.sagemaker.lineage import experiments
from tidemill_local.sagemaker.operations import call, on_start, operation
from tidemill_local.sagemaker.store import without_tags
from tidemill_local.sagemaker.transform.filters import Filter, FilterError
from tidemill_local.sagemaker.transform.host import media_type
from tidemill_local.sagemaker.transform.records import CSV, can_process
from tidemill_local.sagemaker.transform.run import KIND, TransformJob

_MOST_MB = 100  # of one payload, and of all that are underway at once
_UNPROCESSED = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}


@operation(
    "CreateTransformJob",
    refused=("DataCaptureConfig",),
    differs="S3Prefix and ManifestFile; MaxPayloadInMB 0 is no limit, without chunked encoding",
)
def create_transform_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a job and queue it; its model must exist."""
    name = request["TransformJobName"]
    experiments.check_config(context, request)
    call(context, "DescribeModel", {"ModelName": request["ModelName"]})
    source = {"CompressionType": "None", "SplitType": "None"} | request["TransformInput"]
    target = {"AssembleWith": "None"} | request["TransformOutput"]
    processing = _UNPROCESSED | request.get("DataProcessing", {})
    _check_places(source, target)
    _check_payload(request)
    resources = request["TransformResources"]
    quotas.check_instance_count(
        context, resources["InstanceCount"], resources["InstanceType"], "transform job usage"
    )
    _check_processing(source, target, processing)
    arn = arn_of(context, "transform-job", name)
    body = without_tags(request) | {
        "TransformJobArn": arn,
        "TransformJobStatus": "InProgress",
        "TransformInput": source,
        "TransformOutput": target,
        "DataProcessing": processing,
        "Environment": request.get("Environment", {}),
    }
    lifecycle.begin(context, TransformJob, body, request.get("Tags", []))
    return {"TransformJobArn": arn}


@operation("DescribeTransformJob")
def describe_transform_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return lifecycle.find(context, KIND, request["TransformJobName"])


@operation("ListTransformJobs")
def list_transform_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    return paging.page(
        request,
        context.store.rows(KIND),
        answer="TransformJobSummaries",
        name="TransformJobName",
        status="TransformJobStatus",
        order="Descending",
    )


@operation("StopTransformJob")
def stop_transform_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """End a job; outputs of objects that were done stay."""
    name = lifecycle.find(context, KIND, request["TransformJobName"])["TransformJobName"]
    lifecycle.stop(context, KIND, name, "transform job")
    return {}


@on_start
def recover_transform_jobs(context: Context) -> None:
    """End what a crash interrupted."""
    lifecycle.recover(context, TransformJob)


def _check_places(source: dict[str, Any], target: dict[str, Any]) -> None:
    place = source["DataSource"]["S3DataSource"]
    if place["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        raise ValidationError(
            f"S3DataType {place['S3DataType']} is not supported in transform jobs; use S3Prefix or "
            "ManifestFile"
        )
    for uri in (place["S3Uri"], target["S3OutputPath"]):
        try:
            split_uri(uri)
        except TransferError as error:
            raise ValidationError(str(error).removeprefix("ClientError: ")) from error


def _check_payload(request: dict[str, Any]) -> None:
    size = request.get("MaxPayloadInMB", 0)
    at_once = max(1, request.get("MaxConcurrentTransforms", 1))
    if size * at_once > _MOST_MB:
        raise ValidationError(
            f"MaxPayloadInMB {size} and MaxConcurrentTransforms {at_once} make {size * at_once} "
            f"MB; MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MOST_MB} MB"
        )


def _check_processing(
    source: dict[str, Any], target: dict[str, Any], processing: dict[str, str]
) -> None:
    """Refuse filters that nobody could apply, as far as the request alone can tell."""
    for member in ("InputFilter", "OutputFilter"):
        try:
            Filter(processing[member])
        except FilterError as error:
            raise ValidationError(f"{member} of DataProcessing: {error}") from error
    if processing == _UNPROCESSED:
        return
    given, wanted = source.get("ContentType", ""), target.get("Accept", "")
    if not can_process(media_type(given)):
        raise ValidationError(
            f"DataProcessing needs ContentType text/csv, application/json or application/jsonlines "
            f"in TransformInput, not {given!r}"
        )
    answers_matter = processing["JoinSource"] == "Input" or processing["OutputFilter"] != "$"
    if answers_matter and media_type(given) != media_type(wanted):
        raise ValidationError(
            f"To join or filter what the model answers, Accept of TransformOutput must be the "
            f"ContentType of TransformInput ({given}), not {wanted!r}"
        )
    splits, assembles = source["SplitType"], target["AssembleWith"]
    if splits not in {"None", "Line"}:
        raise ValidationError(f"DataProcessing needs SplitType None or Line, not {splits}")
    if answers_matter and splits != assembles:
        raise ValidationError(
            f"To join or filter what the model answers, AssembleWith must be the SplitType "
            f"({splits}), not {assembles}"
        )
    if media_type(given) == CSV and splits != "Line":
        raise ValidationError("DataProcessing of text/csv needs SplitType Line")
