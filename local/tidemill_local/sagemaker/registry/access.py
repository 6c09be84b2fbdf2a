"""Model package groups' resource policies, and many packages described at once."""

import json
from typing import Any

from tidemill_local.sagemaker.arns import arn_of, name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.registry.model_packages import GROUP, PACKAGE

_POLICY = "_ResourcePolicy"


@operation(
    "PutModelPackageGroupPolicy", differs="the policy is kept; the local cloud enforces none"
)
def put_model_package_group_policy(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep who else may use a group; it replaces the policy before."""
    body = _group(context, request["ModelPackageGroupName"])
    try:
        policy = json.loads(request["ResourcePolicy"])
    except ValueError as error:
        raise ValidationError(f"ResourcePolicy is not valid JSON: {error}") from error
    if not isinstance(policy, dict) or not policy.get("Statement"):
        raise ValidationError("ResourcePolicy must be a policy document with a Statement")
    name = body["ModelPackageGroupName"]
    context.store.update(GROUP, name, **{_POLICY: request["ResourcePolicy"]})
    return {"ModelPackageGroupArn": body["ModelPackageGroupArn"]}


@operation("GetModelPackageGroupPolicy")
def get_model_package_group_policy(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the policy as it was put."""
    body = _group(context, request["ModelPackageGroupName"])
    return {"ResourcePolicy": _policy(body)}


@operation("DeleteModelPackageGroupPolicy")
def delete_model_package_group_policy(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget the policy."""
    body = _group(context, request["ModelPackageGroupName"])
    _policy(body)
    context.store.update(GROUP, body["ModelPackageGroupName"], **{_POLICY: None})
    return {}


@operation("BatchDescribeModelPackage")
def batch_describe_model_package(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of each package, and for those that cannot be had an error."""
    found: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for arn in request["ModelPackageArnList"]:
        body = context.store.get(PACKAGE, name_in(arn))
        if body is None:
            errors[arn] = _error(f"ModelPackage {arn} does not exist.")
        elif "ModelPackageGroupName" not in body or "InferenceSpecification" not in body:
            errors[arn] = _error(
                f"ModelPackage {arn} is not a version with an InferenceSpecification."
            )
        else:
            found[arn] = body
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}


def _error(message: str) -> dict[str, str]:
    return {"ErrorCode": "ValidationException", "ErrorResponse": message}


def _group(context: Context, name: str) -> dict[str, Any]:
    body = context.store.get(GROUP, name)
    if body is None:
        arn = arn_of(context, "model-package-group", name)
        raise ValidationError(f"Cannot find Model Package Group: {arn}")
    return body


def _policy(body: dict[str, Any]) -> str:
    policy = body.get(_POLICY)
    if policy is None:
        arn = body["ModelPackageGroupArn"]
        raise ValidationError(f"Cannot find resource policy for: {arn}")
    return str(policy)
