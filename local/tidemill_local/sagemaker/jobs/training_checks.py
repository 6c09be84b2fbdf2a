"""What CreateTrainingJob refuses before anything is recorded."""

import re
from typing import Any

from tidemill_local.sagemaker import quotas
from tidemill_local.sagemaker.containers.channels import TransferError, is_empty, nothing_under
from tidemill_local.sagemaker.containers.workspace import CONTAINER_ROOT, is_container_path
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.jobs.job import DEFAULT_RUNTIME_SECONDS
from tidemill_local.sagemaker.jobs.training_contract import is_piped


def check(context: Context, request: dict[str, Any]) -> None:
    """
    Refuse a request that cannot be carried out here, whatever its channels hold.

    Raises:
        ValidationError: What is wrong with it.
        ResourceLimitExceededError: It asks for too many instances.
    """
    _check_algorithm(request)
    _check_resources(context, request)
    check_waiting(request)
    checkpoints = request.get("CheckpointConfig", {}).get("LocalPath", CONTAINER_ROOT)
    if not is_container_path(checkpoints):
        raise ValidationError(
            f"CheckpointConfig's LocalPath {checkpoints} must be below {CONTAINER_ROOT} in the "
            "local cloud, which has no other container directories"
        )


def _check_algorithm(request: dict[str, Any]) -> None:
    algorithm = request.get("AlgorithmSpecification", {})
    if "TrainingImage" not in algorithm:
        raise ValidationError(
            "AlgorithmSpecification needs a TrainingImage; the local cloud has no algorithms "
            "of its own"
        )
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ValidationError(
                f"the Regex of metric {definition['Name']} is not valid: {error}"
            ) from error


def _check_resources(context: Context, request: dict[str, Any]) -> None:
    resources = request.get("ResourceConfig", {})
    if "InstanceType" not in resources or not resources.get("InstanceCount"):
        raise ValidationError(
            "set ResourceConfig's InstanceType and InstanceCount; the local cloud has no "
            "instance groups"
        )
    quotas.check_instance_count(
        context, resources["InstanceCount"], resources["InstanceType"], "training job usage"
    )


def check_waiting(request: dict[str, Any]) -> None:
    """
    Refuse MaxWaitTimeInSeconds of a job that is no spot job, and a spot job without enough of it.

    Raises:
        ValidationError: In SageMaker's words.
    """
    condition = request.get("StoppingCondition", {})
    wait = condition.get("MaxWaitTimeInSeconds")
    run = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < run:
            raise ValidationError(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds"
            )
    elif wait is not None:
        raise ValidationError(
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is "
            "set to true"
        )


def check_channels(context: Context, request: dict[str, Any]) -> None:
    """
    Refuse channels that cannot be delivered here, or that hold nothing, as SageMaker does at once.

    Raises:
        ValidationError: Which channel, and why.
    """
    seen = set()
    for channel in request.get("InputDataConfig", []):
        name = channel["ChannelName"]
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise ValidationError(
                f"the channel {name} has no S3DataSource; the local cloud reads from S3 only"
            )
        if name in seen:
            raise ValidationError(f"ChannelName must be unique within a job: {name}")
        seen.add(name)
        piped = is_piped(request, channel)
        for member in ("CompressionType", "RecordWrapperType"):
            if not piped and channel.get(member, "None") != "None":
                raise ValidationError(
                    f"the channel {name} has {member} {channel[member]}, which is used in Pipe "
                    "input mode only; in File mode leave it out"
                )
        _check_manifest(name, source, piped=piped)
        _check_source(context, request, source)


def _check_manifest(channel: str, source: dict[str, Any], *, piped: bool) -> None:
    kind = source["S3DataType"]
    if kind not in {"S3Prefix", "ManifestFile", "AugmentedManifestFile"}:
        raise ValidationError(
            f"the channel {channel} has S3DataType {kind}; the local cloud supports S3Prefix, "
            "ManifestFile and AugmentedManifestFile"
        )
    if kind == "AugmentedManifestFile" and not piped:
        raise ValidationError(
            f"the channel {channel} has S3DataType AugmentedManifestFile, which can only be used "
            "if the channel's input mode is Pipe"
        )
    if kind == "AugmentedManifestFile" and not source.get("AttributeNames"):
        raise ValidationError(
            f"the channel {channel} has an AugmentedManifestFile and no AttributeNames; say which"
        )


def _check_source(context: Context, request: dict[str, Any], source: dict[str, Any]) -> None:
    if source["S3DataType"] == "S3Prefix":
        try:
            empty = is_empty(context.s3, source["S3Uri"])
        except TransferError as error:
            raise ValidationError(str(error)) from error
        if empty:
            raise ValidationError(nothing_under(source["S3Uri"], request["RoleArn"]))
