"""The model registry: model package groups, and the versions in them."""

from collections.abc import Callable
from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of, name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ConflictError, ValidationError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import DuplicateRecordError, without_tags

GROUP = "ModelPackageGroup"
PACKAGE = "ModelPackage"
_UPDATED_BY = "_UpdatedBy"  # the ClientToken of the last update that had one
_MOST_PROPERTIES = 50  # of CustomerMetadataProperties, by the API


@operation("CreateModelPackageGroup", idle=("ManagedConfiguration",))
def create_model_package_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make an empty group."""
    name = request["ModelPackageGroupName"]
    arn = arn_of(context, "model-package-group", name)
    body = without_tags(request) | {
        "ModelPackageGroupArn": arn,
        "ModelPackageGroupStatus": "Completed",
        "CreatedBy": {},
        "LastVersion": 0,
    }
    try:
        context.store.insert(GROUP, name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        raise ValidationError(f"Model Package Group already exists: {arn}") from error
    return {"ModelPackageGroupArn": arn}


@operation("DescribeModelPackageGroup")
def describe_model_package_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return _group(context, request["ModelPackageGroupName"])


@operation("ListModelPackageGroups", idle=("CrossAccountFilterOption",))
def list_model_package_groups(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    return paging.page(
        request,
        context.store.rows(GROUP),
        answer="ModelPackageGroupSummaryList",
        name="ModelPackageGroupName",
    )


@operation("DeleteModelPackageGroup")
def delete_model_package_group(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a group that has no versions left."""
    name = _group(context, request["ModelPackageGroupName"])["ModelPackageGroupName"]
    if any(body.get("ModelPackageGroupName") == name for body in context.store.rows(PACKAGE)):
        raise ConflictError(
            f"Model Package Group {name} cannot be deleted because it still contains Model "
            "Packages; delete them first"
        )
    context.store.delete(GROUP, name)
    return {}


@operation(
    "CreateModelPackage",
    idle=(
        "ValidationSpecification",
        "SourceAlgorithmSpecification",
        "CertifyForMarketplace",
        "SecurityConfig",
        "ManagedStorageType",
    ),
    differs="a package is Completed at once: nothing is validated",
)
def create_model_package(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """
    Register a version in a group, or a package of its own if it has a name; announce it.

    A repeated ClientToken returns the package that it made.
    """
    with context.store.transaction():
        repeated = _by_token(context, request)
        if repeated is not None:
            return {"ModelPackageArn": repeated["ModelPackageArn"]}
        body = _registered(context, request)
    announce(context, PACKAGE, body)
    return {"ModelPackageArn": body["ModelPackageArn"]}


@operation("DescribeModelPackage", idle=("IncludedData",))
def describe_model_package(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return _package(context, request["ModelPackageName"])


@operation("ListModelPackages")
def list_model_packages(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries: of one group's versions, or by ModelPackageType."""
    group = request.get("ModelPackageGroupName")
    wanted = request.get("ModelPackageType", "Unversioned" if group is None else "Both")
    rows = context.store.rows(PACKAGE)
    if group is not None:
        name = _group(context, group)["ModelPackageGroupName"]
        rows = [row for row in rows if row.get("ModelPackageGroupName") == name]
    if wanted != "Both":
        versioned = wanted == "Versioned"
        rows = [row for row in rows if ("ModelPackageVersion" in row) == versioned]
    if "ModelApprovalStatus" in request:
        status = request["ModelApprovalStatus"]
        rows = [row for row in rows if row.get("ModelApprovalStatus") == status]
    # A version has no name of its own; it sorts by, and pages by, its place in the group.
    rows = [row | {"SortName": _sort_name(row)} for row in rows]
    return paging.page(
        request, rows, answer="ModelPackageSummaryList", name="SortName", status=None
    )


@operation("UpdateModelPackage")
def update_model_package(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """
    Change approval, description or metadata, and announce the package as it is now.

    The event goes out whatever was changed, with the status the package has by then;
    `UpdatedModelPackageFields` names the fields whose values are new. A repeated ClientToken
    changes nothing more.
    """
    name = name_in(_package(context, request["ModelPackageArn"])["ModelPackageArn"])
    updated: list[str] = []
    token = request.get("ClientToken")
    if token is not None and _package(context, name).get(_UPDATED_BY) == token:
        return {"ModelPackageArn": request["ModelPackageArn"]}

    def change(body: dict[str, Any]) -> None:
        before = dict(body)
        for field in request.keys() & _UPDATES.keys():
            _UPDATES[field](body, request[field])
        updated.extend(field for field in sorted(body) if body[field] != before.get(field))
        if token is not None:
            body[_UPDATED_BY] = token
        if len(body.get("CustomerMetadataProperties", {})) > _MOST_PROPERTIES:
            raise ValidationError(
                f"a model package can have {_MOST_PROPERTIES} CustomerMetadataProperties; "
                "remove some with CustomerMetadataPropertiesToRemove"
            )

    body = context.store.edit(PACKAGE, name, change)
    announce(context, PACKAGE, body, {"UpdatedModelPackageFields": updated})
    return {"ModelPackageArn": body["ModelPackageArn"]}


@operation("DeleteModelPackage")
def delete_model_package(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a package; its version number is not given out again."""
    body = _package(context, request["ModelPackageName"])
    context.store.delete(PACKAGE, name_in(body["ModelPackageArn"]))
    return {}


def _set(field: str) -> Callable[[dict[str, Any], Any], None]:
    def change(body: dict[str, Any], value: Any) -> None:
        body[field] = value

    return change


def _merge_properties(body: dict[str, Any], added: dict[str, str]) -> None:
    body["CustomerMetadataProperties"] = body.get("CustomerMetadataProperties", {}) | added


def _remove_properties(body: dict[str, Any], keys: list[str]) -> None:
    kept = body.get("CustomerMetadataProperties", {})
    body["CustomerMetadataProperties"] = {
        key: value for key, value in kept.items() if key not in keys
    }


def _add_specifications(body: dict[str, Any], added: list[dict[str, Any]]) -> None:
    present = body.get("AdditionalInferenceSpecifications", [])
    body["AdditionalInferenceSpecifications"] = present + added


_UPDATES: dict[str, Callable[[dict[str, Any], Any], None]] = {
    **{
        field: _set(field)
        for field in (
            "ModelApprovalStatus",
            "ModelPackageRegistrationType",
            "ApprovalDescription",
            "InferenceSpecification",
            "SourceUri",
            "ModelCard",
            "ModelLifeCycle",
        )
    },
    "CustomerMetadataProperties": _merge_properties,
    "CustomerMetadataPropertiesToRemove": _remove_properties,
    "AdditionalInferenceSpecificationsToAdd": _add_specifications,
}


def _group(context: Context, name_or_arn: str) -> dict[str, Any]:
    name = name_in(name_or_arn)
    body = context.store.get(GROUP, name)
    if body is None:
        arn = arn_of(context, "model-package-group", name)
        raise ValidationError(f"ModelPackageGroup {arn} does not exist.")
    return body


def _package(context: Context, name_or_arn: str) -> dict[str, Any]:
    name = name_in(name_or_arn)
    body = context.store.get(PACKAGE, name)
    if body is None:
        arn = arn_of(context, "model-package", name)
        raise ValidationError(f"ModelPackage {arn} does not exist.")
    return body


def _registered(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Write down a new package, in the caller's transaction: a number and its version are one."""
    body = without_tags(request) | {
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CreatedBy": {},
    }
    if "ModelPackageGroupName" in request:
        body = _versioned(context, body)
    elif "ModelPackageName" in request:
        arn = arn_of(context, "model-package", request["ModelPackageName"])
        body |= {"ModelPackageArn": arn}
    else:
        raise ValidationError("Either ModelPackageGroupName or ModelPackageName must be given")
    name = name_in(body["ModelPackageArn"])
    try:
        return context.store.insert(PACKAGE, name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        raise ValidationError(f"Model Package already exists: {body['ModelPackageArn']}") from error


def _versioned(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Give the package its group's next version number."""
    if "ModelPackageName" in body:
        raise ValidationError(
            "ModelPackageName and ModelPackageGroupName cannot both be given: "
            "a version is named by its group and number"
        )
    group = _group(context, body["ModelPackageGroupName"])["ModelPackageGroupName"]

    def count(record: dict[str, Any]) -> None:
        record["LastVersion"] += 1

    version = context.store.edit(GROUP, group, count)["LastVersion"]
    return (
        {"ModelApprovalStatus": "PendingManualApproval"}
        | body
        | {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn_of(context, "model-package", group, str(version)),
        }
    )


def _by_token(context: Context, request: dict[str, Any]) -> dict[str, Any] | None:
    token = request.get("ClientToken")
    if token is None:
        return None
    rows = context.store.rows(PACKAGE)
    return next((row for row in rows if row.get("ClientToken") == token), None)


def _sort_name(body: dict[str, Any]) -> str:
    if "ModelPackageVersion" not in body:
        return str(body["ModelPackageName"])
    return f"{body['ModelPackageGroupName']}/{body['ModelPackageVersion']:09d}"
