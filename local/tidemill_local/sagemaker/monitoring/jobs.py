"""The processing job of a monitoring execution: which files it reads, and what it is told."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tidemill_local.sagemaker.containers.channels import is_empty
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.hosting.deployments import DEPLOYED
from tidemill_local.sagemaker.jobs import processing
from tidemill_local.sagemaker.monitoring.times import folders, period, written

_BASELINE = "/opt/ml/processing/baseline"
_FORMAT = {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}
_NO_OFFSETS = ("StartTimeOffset", "EndTimeOffset")
_SCRIPTS = ("RecordPreprocessorSourceUri", "PostAnalyticsProcessorSourceUri")
_RESOURCES = (  # field of BaselineConfig, input's name, variable, folder
    ("ConstraintsResource", "constraints", "baseline_constraints", f"{_BASELINE}/constraints"),
    ("StatisticsResource", "baseline", "baseline_statistics", f"{_BASELINE}/stats"),
)


#: What a definition of a monitoring job cannot ask for here, for the page of operations.
DIFFERS = (
    "data quality of an endpoint, by a custom image on one instance; refused: batch input, a "
    "BaseliningJobName, the input's StartTimeOffset and EndTimeOffset, record and analytics "
    "scripts; idle: the input's attributes and S3InputMode, NetworkConfig, KMS keys"
)


class NoDataError(Exception):
    """There is nothing to analyze; the message is fit for a FailureReason."""


def check(context: Context, definition: Mapping[str, Any]) -> str:
    """
    Refuse a MonitoringJobDefinition that could not run; return its endpoint's name.

    Raises:
        ValidationError: It needs what the local cloud does not do, or its endpoint is missing or
            captures nothing.
    """
    source = definition["MonitoringInputs"][0].get("EndpointInput")
    if source is None:
        raise ValidationError(
            "the local cloud monitors endpoints, not batch transform jobs; give an EndpointInput"
        )
    for fields, given in (
        (_NO_OFFSETS, source),
        (_SCRIPTS, definition["MonitoringAppSpecification"]),
    ):
        for field in fields:
            if field in given:
                raise ValidationError(f"the local cloud does not support {field}; leave it out")
    output = definition["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]
    processing.check_place("the monitoring input", source["LocalPath"])
    processing.check_place("the monitoring output", output["LocalPath"])
    cluster = definition["MonitoringResources"]["ClusterConfig"]
    if cluster.get("InstanceCount") != 1 or "InstanceType" not in cluster:
        raise ValidationError(
            "the local cloud monitors on one instance; set ClusterConfig's InstanceType and "
            "InstanceCount 1"
        )
    if "BaseliningJobName" in definition.get("BaselineConfig", {}):
        raise ValidationError(
            "the local cloud does not look up a BaseliningJobName; name the ConstraintsResource "
            "and the StatisticsResource"
        )
    endpoint: str = source["EndpointName"]
    if context.store.get("Endpoint", endpoint) is None:
        raise ValidationError(f'Could not find endpoint "{endpoint}".')
    if _destination(context, endpoint) is None:
        raise ValidationError(f'Endpoint "{endpoint}" does not have data capture enabled.')
    return endpoint


def job_name(schedule: Mapping[str, Any], scheduled: float) -> str:
    """Return the name of the job of a scheduled time: the same whenever it is asked."""
    text = f"{schedule['MonitoringScheduleArn']} {schedule['CreationTime']} {scheduled}"
    kind = "data-quality" if schedule.get("MonitoringJobDefinitionName") else "model"
    minute = written(scheduled)[:16].translate(str.maketrans("", "", "-T:"))
    return f"{kind}-monitoring-{minute}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def job_request(
    context: Context, schedule: Mapping[str, Any], definition: Mapping[str, Any], scheduled: float
) -> dict[str, Any]:
    """
    Return the CreateProcessingJob request of a scheduled time.

    Raises:
        NoDataError: The endpoint is gone, captures nothing, or captured nothing in the period.
        TransferError: S3 refuses.
    """
    name = schedule["MonitoringScheduleName"]
    source = definition["MonitoringInputs"][0]["EndpointInput"]
    endpoint = source["EndpointName"]
    begin, end = period(schedule["MonitoringScheduleConfig"].get("ScheduleConfig"), scheduled)
    inputs = list(_traffic(context, endpoint, source["LocalPath"], begin, end))
    if not inputs:
        raise NoDataError("Job inputs had no data")
    output = definition["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]
    environment = dict(definition.get("Environment", {})) | {
        "dataset_format": json.dumps(_FORMAT, separators=(",", ":")),
        "dataset_source": source["LocalPath"],
        "output_path": output["LocalPath"],
        "start_time": written(begin),
        "end_time": written(end),
        "publish_cloudwatch_metrics": "Enabled",
        "sagemaker_endpoint_name": endpoint,
        "sagemaker_monitoring_schedule_name": name,
    }
    for field, title, variable, folder in _RESOURCES:
        uri = definition.get("BaselineConfig", {}).get(field, {}).get("S3Uri")
        if uri:
            inputs.append(_input(title, uri, folder))
            environment[variable] = f"{folder}/{uri.rpartition('/')[2]}"
    hour = written(scheduled)[:13].replace("-", "/").replace("T", "/")
    target = output | {
        "S3Uri": f"{output['S3Uri'].rstrip('/')}/{endpoint}/{name}/{hour}",
        "S3UploadMode": output.get("S3UploadMode", "Continuous"),
    }
    request = {
        "ProcessingJobName": job_name(schedule, scheduled),
        "MonitoringScheduleArn": schedule["MonitoringScheduleArn"],
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": target}]},
        "ProcessingResources": definition["MonitoringResources"],
        "AppSpecification": dict(definition["MonitoringAppSpecification"]),
        "Environment": environment,
        "RoleArn": definition["RoleArn"],
    }
    optional = ("StoppingCondition", "NetworkConfig")
    return request | {field: definition[field] for field in optional if field in definition}


def _traffic(
    context: Context, endpoint: str, place: str, begin: float, end: float
) -> Iterator[dict[str, Any]]:
    """Yield an input for each variant and hour that captured something."""
    destination = _destination(context, endpoint)
    if destination is None:
        raise NoDataError(f'Endpoint "{endpoint}" is gone, or captures no data')
    body = context.store.get("Endpoint", endpoint) or {}
    number = 0
    for variant in body.get("ProductionVariants", []):
        for hour in folders(begin, end):
            path = f"{endpoint}/{variant['VariantName']}/{hour}"
            uri = f"{destination}/{path}"
            if not is_empty(context.s3, f"{uri}/"):
                number += 1
                yield _input(f"endpoint_input_{number}", uri, f"{place.rstrip('/')}/{path}")


def _destination(context: Context, endpoint: str) -> str | None:
    body = context.store.get("Endpoint", endpoint) or {}
    deployed = body.get(DEPLOYED) or body.get("_Pending") or {}
    capture = deployed.get("config", {}).get("DataCaptureConfig") or {}
    return str(capture["DestinationS3Uri"]).rstrip("/") if capture.get("EnableCapture") else None


def _input(name: str, uri: str, place: str) -> dict[str, Any]:
    source = {
        "S3Uri": uri,
        "LocalPath": place,
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    return {"InputName": name, "S3Input": source}
