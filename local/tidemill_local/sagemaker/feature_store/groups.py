"""Feature groups: what their records hold, and where those are kept."""

import importlib.util
import time
from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of, name_in
from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import (
    ResourceInUseError,
    ResourceNotFoundError,
    ValidationError,
)
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.feature_store.offline_store import OfflineStore
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError, without_tags

KIND = "FeatureGroup"
METADATA = "_Metadata"  # of features, by name: description, parameters, times
_RESERVED = frozenset({"is_deleted", "write_time", "api_invocation_time"})
_DIFFERS = (
    "Created at once; no collections; the offline store is Parquet files within seconds, without "
    "a Glue table"
)


@operation("CreateFeatureGroup", idle=("ThroughputConfig",), differs=_DIFFERS)
def create_feature_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a group that takes records from now on."""
    name = request["FeatureGroupName"]
    _check_features(request)
    now = time.time()
    offline = request.get("OfflineStoreConfig")
    body = without_tags(request) | {
        "FeatureGroupArn": arn_of(context, "feature-group", name.lower()),
        "FeatureGroupStatus": "Created",
        "CreationTime": now,
        "LastModifiedTime": now,
        METADATA: {},
    }
    if offline is not None:
        body["OfflineStoreConfig"] = _offline(context, name, int(now), offline)
        body["OfflineStoreStatus"] = {"Status": "Active"}
    elif not _online(request):
        raise ValidationError(
            "Validation Error: At least one of OnlineStoreConfig and OfflineStoreConfig is needed."
        )
    try:
        body = context.store.insert(KIND, name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        raise ResourceInUseError(
            f"Resource Already Exists: FeatureGroup with name {name} already exists. "
            "Choose a different name."
        ) from error
    announce(context, KIND, body)
    return {"FeatureGroupArn": body["FeatureGroupArn"]}


@operation("DescribeFeatureGroup")
def describe_feature_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record, all features at once."""
    return found(context, request["FeatureGroupName"]) | {"NextToken": ""}


@operation("ListFeatureGroups")
def list_feature_groups(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    rows = [
        row
        for row in context.store.rows(KIND)
        if _status(row) == request.get("OfflineStoreStatusEquals", _status(row))
        and row[_STATUS] == request.get("FeatureGroupStatusEquals", row[_STATUS])
    ]
    sorted_by = {"OfflineStoreStatus": "CreationTime"}.get(request.get("SortBy", ""))
    asked = request | ({"SortBy": sorted_by} if sorted_by else {})
    return paging.page(
        asked, rows, answer="FeatureGroupSummaries", name="FeatureGroupName", status=_STATUS
    )


@operation("UpdateFeatureGroup", idle=("ThroughputConfig",))
def update_feature_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add features, or change how long records live online."""
    name = found(context, request["FeatureGroupName"])["FeatureGroupName"]

    def change(body: dict[str, Any]) -> None:
        added = request.get("FeatureAdditions", [])
        body["FeatureDefinitions"] = body["FeatureDefinitions"] + added
        _check_features(body)
        if "OnlineStoreConfig" in request:
            if not _online(body):
                raise ValidationError(f"{name} has no online store; it cannot be changed.")
            body["OnlineStoreConfig"] |= request["OnlineStoreConfig"]
        body["LastUpdateStatus"] = {"Status": "Successful"}

    body = context.store.edit(KIND, name, change)
    return {"FeatureGroupArn": body["FeatureGroupArn"]}


@operation("DeleteFeatureGroup")
def delete_feature_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a group and its online records; what is in S3 stays there."""
    name = request["FeatureGroupName"]
    body = found(context, name)
    context.part(OfflineStore).flush(name)
    try:
        context.store.delete(KIND, name)
    except MissingRecordError:
        raise _missing(name) from None
    context.store.delete_all(record_kind(name))
    announce(context, KIND, body | {_STATUS: "Deleting"})
    return {}


@operation("DescribeFeatureMetadata")
def describe_feature_metadata(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what people said of a feature."""
    body = found(context, request["FeatureGroupName"])
    feature = _feature(body, request["FeatureName"])
    times: dict[str, Any] = {field: body[field] for field in ("CreationTime", "LastModifiedTime")}
    said = body[METADATA].get(feature["FeatureName"], {})
    named = {field: body[field] for field in ("FeatureGroupArn", "FeatureGroupName")}
    answer: dict[str, Any] = {**feature, **times, **said, **named}
    return answer


@operation("UpdateFeatureMetadata")
def update_feature_metadata(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say something of a feature: a description, parameters by key."""
    name = found(context, request["FeatureGroupName"])["FeatureGroupName"]

    def change(body: dict[str, Any]) -> None:
        feature = _feature(body, request["FeatureName"])["FeatureName"]
        said = body[METADATA].setdefault(feature, {})
        if "Description" in request:
            said["Description"] = request["Description"]
        known = {each["Key"]: each for each in said.get("Parameters", [])}
        known |= {each["Key"]: each for each in request.get("ParameterAdditions", [])}
        gone = set(request.get("ParameterRemovals", []))
        said["Parameters"] = [each for key, each in known.items() if key not in gone]
        said["LastModifiedTime"] = body["LastModifiedTime"]

    context.store.edit(KIND, name, change)
    return {}


def found(context: Context, name_or_arn: str) -> dict[str, Any]:
    """
    Return a group's record.

    Raises:
        ResourceNotFoundError: There is none.
    """
    place = context.store.find_arn(name_or_arn) if name_or_arn.startswith("arn:") else None
    body = context.store.get(KIND, place[1] if place else name_in(name_or_arn))
    if body is None:
        raise _missing(name_or_arn)
    return body


def record_kind(group: str) -> str:
    """Return the kind under which the store keeps a group's online records."""
    return f"FeatureRecord:{group}"


def _missing(name: str) -> ResourceNotFoundError:
    return ResourceNotFoundError(
        f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}. "
        "Check the name, or create it."
    )


_STATUS = "FeatureGroupStatus"


def _status(body: dict[str, Any]) -> str:
    return str(body.get("OfflineStoreStatus", {}).get("Status", "Disabled"))


def _online(body: dict[str, Any]) -> bool:
    return bool(body.get("OnlineStoreConfig", {}).get("EnableOnlineStore"))


def _feature(body: dict[str, Any], name: str) -> dict[str, Any]:
    for definition in body["FeatureDefinitions"]:
        if definition["FeatureName"] == name:
            return dict(definition)
    raise ResourceNotFoundError(
        f"Resource Not Found: FeatureGroup {body['FeatureGroupName']} has no feature {name}."
    )


def _check_features(body: dict[str, Any]) -> None:
    types = {each["FeatureName"]: each["FeatureType"] for each in body["FeatureDefinitions"]}
    if len({name.lower() for name in types}) < len(body["FeatureDefinitions"]):
        raise ValidationError("Validation Error: FeatureDefinitions must name each feature once.")
    reserved = sorted(_RESERVED & {name.lower() for name in types})
    if reserved:
        raise ValidationError(f"Validation Error: {', '.join(reserved)} is a reserved name.")
    if any("CollectionType" in each for each in body["FeatureDefinitions"]):
        raise ValidationError("CollectionType is not supported by the local SageMaker.")
    for field in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if body[field] not in types:
            raise ValidationError(
                f"Validation Error: {field} {body[field]} is not among FeatureDefinitions."
            )
    if types[body["EventTimeFeatureName"]] == "Integral":
        raise ValidationError(
            "Validation Error: the EventTimeFeatureName must be of type String or Fractional."
        )


def _offline(context: Context, name: str, created: int, config: dict[str, Any]) -> dict[str, Any]:
    """Return the offline store's configuration with the place of its files."""
    if config.get("TableFormat", "Default") == "Iceberg":
        raise ValidationError("TableFormat Iceberg is not supported by the local SageMaker.")
    if importlib.util.find_spec("polars") is None:
        raise ValidationError(
            "the local SageMaker writes offline stores with polars, which is not installed: "
            "pip install 'tidemill[jobs]'"
        )
    storage = config["S3StorageConfig"]
    try:
        bucket, prefix = split_uri(storage["S3Uri"])
        context.s3.head_bucket(Bucket=bucket)
    except TransferError as error:
        raise ValidationError(f"Validation Error: {error}") from None
    except context.s3.exceptions.ClientError:
        raise ValidationError(
            f"Validation Error: the bucket {bucket} of S3StorageConfig does not exist."
        ) from None
    base = "/".join(part for part in (bucket, prefix.strip("/")) if part)
    store = f"{context.account}/sagemaker/{context.region}/offline-store/{name}-{created}"
    resolved = f"s3://{base}/{store}/data"
    return config | {"S3StorageConfig": storage | {"ResolvedOutputS3Uri": resolved}}
