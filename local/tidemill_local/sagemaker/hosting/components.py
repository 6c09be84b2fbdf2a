"""The operations on inference components; `copies` does the work behind them."""

from collections.abc import Callable
from typing import Any

from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError, ValidationError
from tidemill_local.sagemaker.hosting.component_routes import KIND
from tidemill_local.sagemaker.hosting.component_specs import described, merged, workload_of
from tidemill_local.sagemaker.hosting.copies import Copies, new_copies
from tidemill_local.sagemaker.hosting.deployments import DEPLOYED, PENDING
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.paging import page
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_HOSTING = frozenset(
    {"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"}
)
_IN_PROGRESS = {
    "Creating": "CREATE_IN_PROGRESS",
    "Updating": "UPDATE_IN_PROGRESS",
    "Deleting": "DELETE_IN_PROGRESS",
}
_DIFFERS = (
    "at most four processes serve a component; ComputeResourceRequirements are kept, and not held "
    "against the instances; BaseInferenceComponentName (adapters), DataCacheConfig, InstanceType "
    "and ContainerMetricsConfig are refused; ModelDataDownloadTimeoutInSeconds and "
    "SchedulingConfig do nothing"
)


@operation("CreateInferenceComponent", refused=("Specifications",), differs=_DIFFERS)
def create_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start the copies of a model on an endpoint; the component is Creating until all serve."""
    name, endpoint = request["InferenceComponentName"], request["EndpointName"]
    specification = request.get("Specification")
    if specification is None:
        raise ValidationError("CreateInferenceComponent needs a Specification.")
    arn = arn_of(context, "inference-component", name)
    count = request.get("RuntimeConfig", {}).get("CopyCount", 1)
    if context.store.find_arn(arn) is not None:  # names differ in more than letter case
        raise _existing(arn)
    variant = _variant(_host(context, endpoint), request.get("VariantName"))
    workload = workload_of(context, name, endpoint, variant["VariantName"], specification)
    routing = variant.get("RoutingConfig", {}).get("RoutingStrategy")
    with context.store.transaction():
        host = _host(context, endpoint)  # it may have been deleted or updated meanwhile
        _variant(host, variant["VariantName"])
        body = {
            "InferenceComponentName": name,
            "InferenceComponentArn": arn,
            "EndpointName": host["EndpointName"],
            "EndpointArn": host["EndpointArn"],
            "VariantName": variant["VariantName"],
            "InferenceComponentStatus": "Creating",
            "Specification": described(specification),
            "RuntimeConfig": {"DesiredCopyCount": count, "CurrentCopyCount": 0},
            PENDING: new_copies(workload, specification, count, routing),
        }
        try:
            context.store.insert(KIND, name, body, request.get("Tags", []))
        except DuplicateRecordError:
            raise _existing(arn) from None
    context.part(Copies).create(name)
    return {"InferenceComponentArn": arn}


@operation("DescribeInferenceComponent")
def describe_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer how the component is, and how many copies serve."""
    body = context.store.get(KIND, request["InferenceComponentName"])
    if body is None:
        raise _missing(context, request["InferenceComponentName"])
    return body


@operation("ListInferenceComponents")
def list_components(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List components, newest first."""
    wanted = {
        field: request[f"{field}Equals"]
        for field in ("EndpointName", "VariantName")
        if f"{field}Equals" in request
    }
    rows = [row for row in context.store.rows(KIND) if wanted.items() <= row.items()]
    return page(
        request,
        rows,
        answer="InferenceComponents",
        name="InferenceComponentName",
        status="InferenceComponentStatus",
        order="Descending",
    )


@operation(
    "UpdateInferenceComponent",
    refused=("Specifications",),
    differs="all old copies stay until the new ones serve, so that a rollback is one step "
    "(RollbackMaximumBatchSize does nothing); a new number of copies comes at once; what a "
    "Specification leaves out stays as it was",
)
def update_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start the move to other copies or another number of them; the component answers meanwhile."""
    name, given = request["InferenceComponentName"], request.get("Specification")
    if given is None:
        if "RuntimeConfig" not in request:
            raise ValidationError(
                "UpdateInferenceComponent needs a Specification or a RuntimeConfig."
            )
        return _rescale(context, name, request["RuntimeConfig"]["CopyCount"])
    before = describe_component(context, {"InferenceComponentName": name})
    _check_updatable(before)
    deployed = before[DEPLOYED]
    specification = merged(deployed["specification"], given)
    endpoint, variant = before["EndpointName"], before["VariantName"]
    workload = workload_of(context, name, endpoint, variant, specification)
    policy = request.get("DeploymentConfig")

    def change(body: dict[str, Any]) -> None:
        _check_updatable(body)
        if body[DEPLOYED]["directory"] != deployed["directory"]:
            raise _in_progress(body, "UPDATE_IN_PROGRESS")  # another update came between
        current = body[DEPLOYED]["count"]
        count = request.get("RuntimeConfig", {}).get("CopyCount", current)
        body["InferenceComponentStatus"] = "Updating"
        body["FailureReason"] = None
        body["RuntimeConfig"] = {"DesiredCopyCount": count, "CurrentCopyCount": current}
        body["LastDeploymentConfig"] = policy
        body[PENDING] = new_copies(workload, specification, count, deployed["routing"])

    body = _edit(context, name, change)
    context.part(Copies).update(name)
    return {"InferenceComponentArn": body["InferenceComponentArn"]}


@operation("UpdateInferenceComponentRuntimeConfig")
def update_runtime_config(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Start the move to another number of copies."""
    count = request["DesiredRuntimeConfig"]["CopyCount"]
    return _rescale(context, request["InferenceComponentName"], count)


@operation("DeleteInferenceComponent")
def delete_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop a component; later requests are refused at once, those under way are answered."""
    name = request["InferenceComponentName"]

    def change(body: dict[str, Any]) -> None:
        _check_idle(body)
        body["InferenceComponentStatus"] = "Deleting"

    _edit(context, name, change)
    context.part(Copies).delete(name)
    return {}


def _rescale(context: Context, name: str, count: int) -> dict[str, Any]:
    def change(body: dict[str, Any]) -> None:
        _check_updatable(body)
        body["InferenceComponentStatus"] = "Updating"
        body["FailureReason"] = None
        body["RuntimeConfig"]["DesiredCopyCount"] = count

    body = _edit(context, name, change)
    context.part(Copies).scale(name)
    return {"InferenceComponentArn": body["InferenceComponentArn"]}


def _host(context: Context, endpoint: str) -> dict[str, Any]:
    """Return the record of an endpoint that can host a component now."""
    body = context.store.get("Endpoint", endpoint)
    if body is None:
        raise ValidationError(f'Could not find endpoint "{arn_of(context, "endpoint", endpoint)}".')
    if body["EndpointStatus"] not in _HOSTING:
        raise ValidationError(
            f'Cannot create an inference component on endpoint "{body["EndpointArn"]}" while its '
            f"status is {body['EndpointStatus']}; it must be InService."
        )
    return body


def _variant(endpoint: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Return the variant that is to host a component, as its configuration has it."""
    arn = endpoint["EndpointArn"]
    # An update that is under way ends with the variants of its own configuration, or with these.
    deployments = [endpoint[key] for key in (DEPLOYED, PENDING) if key in endpoint]
    found: dict[str, Any] = {}
    for deployment in deployments:
        variants = {v["VariantName"]: v for v in deployment["config"]["ProductionVariants"]}
        if name is None:
            if len(variants) > 1:
                raise ValidationError(
                    f'Endpoint "{arn}" has several variants; say which one with VariantName.'
                )
            (name,) = variants
        if name not in variants:
            raise ValidationError(
                f'Endpoint "{arn}" has no variant {name}; it has {", ".join(sorted(variants))}.'
            )
        found = variants[name]
        if "ModelName" in found:
            raise ValidationError(
                f'Variant {name} of endpoint "{arn}" has a model of its own; inference components '
                "are hosted on variants without a ModelName."
            )
    return found


def _edit(context: Context, name: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    try:
        return context.store.edit(KIND, name, change)
    except MissingRecordError:
        raise _missing(context, name) from None


def _check_updatable(body: dict[str, Any]) -> None:
    _check_idle(body)
    if body["InferenceComponentStatus"] == "Failed":
        raise ValidationError(
            "Cannot update failed inference component "
            f'"{body["InferenceComponentArn"]}"; delete it and create it again.'
        )


def _check_idle(body: dict[str, Any]) -> None:
    progress = _IN_PROGRESS.get(body["InferenceComponentStatus"])
    if progress is not None:
        raise _in_progress(body, progress)


def _in_progress(body: dict[str, Any], progress: str) -> ServiceError:
    return ValidationError(
        "Cannot update in-progress inference component "
        f'"{body["InferenceComponentArn"]}": its status is {progress}.'
    )


def _existing(arn: str) -> ServiceError:
    return ValidationError(f'Cannot create already existing inference component "{arn}".')


def _missing(context: Context, name: str) -> ServiceError:
    arn = arn_of(context, "inference-component", name)
    return ValidationError(f'Could not find inference component "{arn}".')
