"""The operations on endpoints; `deployment` does the work behind them."""

from typing import Any

from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError, ValidationError
from tidemill_local.sagemaker.hosting.component_routes import hosted
from tidemill_local.sagemaker.hosting.configurations import all_variants, is_serverless
from tidemill_local.sagemaker.hosting.deployment import Deployer
from tidemill_local.sagemaker.hosting.deployment_plan import plan
from tidemill_local.sagemaker.hosting.deployments import DEPLOYED, PENDING, new_deployment
from tidemill_local.sagemaker.hosting.summaries import (
    all_live,
    announce_endpoint,
    pending_summary,
)
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.paging import page
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_RETAINABLE = ("DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig")


@operation("CreateEndpoint")
def create_endpoint(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start an endpoint; it is Creating until its containers are healthy."""
    name, config = request["EndpointName"], request["EndpointConfigName"]
    arn = arn_of(context, "endpoint", name)
    if context.store.find_arn(arn) is not None:  # names differ in more than letter case
        raise _existing(arn)
    pending = new_deployment(context, name, config)
    plan(request.get("DeploymentConfig"), pending["config"]["ProductionVariants"])
    body = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": config,
        "EndpointStatus": "Creating",
        "LastDeploymentConfig": request.get("DeploymentConfig"),
        "PendingDeploymentSummary": pending_summary(pending["config"]),
        PENDING: pending,
    }
    try:
        body = context.store.insert(
            "Endpoint",
            name,
            {field: value for field, value in body.items() if value is not None},
            request.get("Tags", []),
        )
    except DuplicateRecordError:
        raise _existing(arn) from None
    announce_endpoint(context, body)
    context.part(Deployer).create(name)
    return {"EndpointArn": arn}


@operation("DescribeEndpoint")
def describe_endpoint(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer how the endpoint is, and how its update goes."""
    body = context.store.get("Endpoint", request["EndpointName"])
    if body is None:
        raise _missing(context, request["EndpointName"])
    return body


@operation("ListEndpoints")
def list_endpoints(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoints, newest first."""
    rows = context.store.rows("Endpoint")
    return page(
        request,
        rows,
        answer="Endpoints",
        name="EndpointName",
        status="EndpointStatus",
        order="Descending",
    )


@operation("UpdateEndpoint")
def update_endpoint(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start the move to another configuration; the endpoint answers all the while."""
    name, config = request["EndpointName"], request["EndpointConfigName"]
    pending = new_deployment(context, name, config)

    def change(body: dict[str, Any]) -> None:
        _check_idle(body)
        if body["EndpointConfigName"] == config:
            raise ValidationError(
                f'Cannot update endpoint "{body["EndpointArn"]}" to the endpoint configuration '
                f'"{pending["config"]["EndpointConfigArn"]}" that it has already; create a new one.'
            )
        _check_conversion(body, pending["config"])
        _check_hosted(context, body, pending["config"])
        _retain(request, body, pending["config"])
        policy = request.get("DeploymentConfig")
        if request.get("RetainDeploymentConfig"):
            policy = body.get("LastDeploymentConfig")
        live = [variant["VariantName"] for variant in body["ProductionVariants"]]
        plan(policy, pending["config"]["ProductionVariants"], live)
        pending["policy"] = policy
        body["EndpointStatus"] = "Updating"
        body["FailureReason"] = None
        body["LastDeploymentConfig"] = policy
        body[PENDING] = pending
        body["PendingDeploymentSummary"] = pending_summary(pending["config"])

    body = _edit(context, name, change)
    announce_endpoint(context, body)
    context.part(Deployer).update(name)
    return {"EndpointArn": body["EndpointArn"]}


@operation(
    "UpdateEndpointWeightsAndCapacities",
    differs="at most four processes serve a variant",
)
def update_weights(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change shares of traffic and instance counts; the containers stay as they are."""
    name = request["EndpointName"]
    desired = {item["VariantName"]: item for item in request["DesiredWeightsAndCapacities"]}

    def change(body: dict[str, Any]) -> None:
        _check_idle(body)
        unknown = set(desired) - {v["VariantName"] for v in all_live(body)}
        if unknown:
            raise ValidationError(
                f'Endpoint "{body["EndpointArn"]}" has no variant {", ".join(sorted(unknown))}.'
            )
        emptied = [name for name, each in desired.items() if each.get("DesiredInstanceCount") == 0]
        if emptied and "AsyncInferenceConfig" not in body:
            raise ValidationError(
                f"Variant {emptied[0]} must have at least 1 instance: only asynchronous endpoints "
                "may have none."
            )
        for variant in all_live(body):
            wanted = desired.get(variant["VariantName"], {})
            for field in ("DesiredWeight", "DesiredInstanceCount"):
                variant[field] = wanted.get(field, variant[field])
        body["EndpointStatus"] = "Updating"

    body = _edit(context, name, change)
    announce_endpoint(context, body)
    context.part(Deployer).reweigh(name)
    return {"EndpointArn": body["EndpointArn"]}


@operation("DeleteEndpoint")
def delete_endpoint(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop an endpoint; later requests are refused at once, those under way are answered."""
    name = request["EndpointName"]

    def change(body: dict[str, Any]) -> None:
        if body["EndpointStatus"] in _IN_PROGRESS:
            raise _in_progress(body)
        components = [each["InferenceComponentName"] for each in hosted(context, name)]
        if components:
            raise ValidationError(
                f'Cannot delete endpoint "{body["EndpointArn"]}": it has inference components; '
                f"delete them first: {', '.join(components)}."
            )
        body["EndpointStatus"] = "Deleting"

    announce_endpoint(context, _edit(context, name, change))
    context.part(Deployer).delete(name)
    return {}


def _edit(context: Context, name: str, change: Any) -> dict[str, Any]:
    try:
        return context.store.edit("Endpoint", name, change)
    except MissingRecordError:
        raise _missing(context, name) from None


def _check_idle(body: dict[str, Any]) -> None:
    if body["EndpointStatus"] in _IN_PROGRESS:
        raise _in_progress(body)
    if body["EndpointStatus"] == "Failed":
        raise ValidationError(
            f'Cannot update failed endpoint "{body["EndpointArn"]}"; delete it and create it again.'
        )


def _check_conversion(body: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse the way to serverless; the way back is open."""
    if is_serverless(config) and not is_serverless(body[DEPLOYED]["config"]):
        raise ValidationError(
            f'Cannot update endpoint "{body["EndpointArn"]}" to a serverless configuration: it has '
            "instances; delete it and create it again."
        )


def _check_hosted(context: Context, body: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse to take the variant away from under an inference component."""
    bare = {each["VariantName"] for each in config["ProductionVariants"] if "ModelName" not in each}
    for component in hosted(context, body["EndpointName"]):
        if component["VariantName"] not in bare:
            raise ValidationError(
                f'Cannot update endpoint "{body["EndpointArn"]}" to the endpoint configuration '
                f'"{config["EndpointConfigArn"]}": inference component '
                f"{component['InferenceComponentName']} needs a variant "
                f"{component['VariantName']} without a ModelName."
            )


def _retain(request: dict[str, Any], body: dict[str, Any], config: dict[str, Any]) -> None:
    """Carry live weights, counts and capture over into the new configuration, where asked."""
    if not request.get("RetainAllVariantProperties"):
        return
    excluded = {
        item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])
    }
    kept = [kind for kind in _RETAINABLE if kind not in excluded]
    live = {variant["VariantName"]: variant for variant in all_live(body)}
    for variant in all_variants(config):
        now = live.get(variant["VariantName"], {})
        if "DesiredWeight" in kept and now:
            variant["InitialVariantWeight"] = now["CurrentWeight"]
        counted = now and "CurrentServerlessConfig" not in now and "InstanceType" in variant
        if "DesiredInstanceCount" in kept and counted:
            variant["InitialInstanceCount"] = now["CurrentInstanceCount"]
    capture = body[DEPLOYED]["config"].get("DataCaptureConfig")
    if "DataCaptureConfig" in kept and capture is not None:
        config["DataCaptureConfig"] = capture


def _existing(arn: str) -> ServiceError:
    return ValidationError(f'Cannot create already existing endpoint "{arn}".')


def _missing(context: Context, name: str) -> ServiceError:
    return ValidationError(f'Could not find endpoint "{arn_of(context, "endpoint", name)}".')


def _in_progress(body: dict[str, Any]) -> ServiceError:
    return ValidationError(f'Cannot update in-progress endpoint "{body["EndpointArn"]}".')
