"""Endpoints as DescribeEndpoint and the events show them."""

import time
from collections.abc import Mapping
from typing import Any

from tidemill_local.sagemaker import protocol
from tidemill_local.sagemaker.context import Context

KINDS = ("ProductionVariants", "ShadowProductionVariants")
_DETAIL = "DescribeEndpointOutput"


def announce_endpoint(context: Context, body: dict[str, Any]) -> None:
    """Emit `SageMaker Endpoint State Change`; events write the status in upper snake case."""
    _emit(context, "SageMaker Endpoint State Change", body)


def announce_deployment(context: Context, body: dict[str, Any]) -> None:
    """Emit `SageMaker Endpoint Deployment State Change`: a variant's status has changed."""
    _emit(context, "SageMaker Endpoint Deployment State Change", body)


def _emit(context: Context, detail_type: str, body: dict[str, Any]) -> None:
    detail = protocol.timestamps(_DETAIL, body, 1000)
    status = "".join(f"_{c}" if c.isupper() else c for c in body["EndpointStatus"])
    detail["EndpointStatus"] = status.lstrip("_").upper()
    detail["Tags"] = context.store.tag_map(body["EndpointArn"])
    context.emit(detail_type, detail, [body["EndpointArn"]])


def variant_summary(variant: dict[str, Any], image: str) -> dict[str, Any]:
    """
    Return a production variant as DescribeEndpoint shows it once it serves.

    Args:
        variant: As the configuration has it.
        image: What it runs; a variant that hosts inference components has none.
    """
    weight, count = variant["InitialVariantWeight"], variant.get("InitialInstanceCount", 0)
    summary = {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }
    if image:
        summary["DeployedImages"] = [deployed_image(image)]
    serverless = variant.get("ServerlessConfig")
    if serverless is not None:
        summary |= {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    if "RoutingConfig" in variant:
        summary["RoutingConfig"] = variant["RoutingConfig"]
    return summary


def deployed_image(image: str) -> dict[str, Any]:
    """Return an image as descriptions show it once it is deployed."""
    return {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": time.time()}


def all_live(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the summaries of all variants in an endpoint's record, to be changed in place."""
    return [variant for kind in KINDS for variant in body.get(kind, [])]


def pending_summary(config: dict[str, Any]) -> dict[str, Any]:
    """Return the PendingDeploymentSummary of a deployment that begins."""
    summary = {"EndpointConfigName": config["EndpointConfigName"], "StartTime": time.time()}
    for kind in KINDS:
        if kind in config:
            summary[kind] = [_pending(variant) for variant in config[kind]]
    return summary


def _pending(variant: dict[str, Any]) -> dict[str, Any]:
    return {
        "VariantName": variant["VariantName"],
        "CurrentWeight": 0.0,
        "DesiredWeight": variant["InitialVariantWeight"],
        "CurrentInstanceCount": 0,
        **_wanted(variant),
        "VariantStatus": [variant_status("Creating", _launching(variant))],
    }


def tell_pending(
    body: dict[str, Any], status: str, message: str, active: Mapping[str, int]
) -> None:
    """
    Write into an endpoint's record how far the pending variants are.

    Args:
        body: The record's body, which is changed.
        status: A VariantStatus, such as Baking.
        message: Its StatusMessage.
        active: Instances with traffic, by variant.
    """
    for variant in body.get("PendingDeploymentSummary", {}).get("ProductionVariants", []):
        count = active.get(variant["VariantName"], 0)
        if "DesiredInstanceCount" in variant:
            variant["CurrentInstanceCount"] = count
        variant["CurrentWeight"] = variant["DesiredWeight"] if count else 0.0
        variant["VariantStatus"] = [variant_status(status, message)]


def tell_live(
    body: dict[str, Any], status: str, message: str, left: Mapping[str, int] | None = None
) -> None:
    """Write into an endpoint's record what happens to the variants that serve."""
    for variant in body.get("ProductionVariants", []):
        if left is not None:
            variant["CurrentInstanceCount"] = left.get(variant["VariantName"], 0)
        variant["VariantStatus"] = [variant_status(status, message)]


def variant_status(status: str, message: str) -> dict[str, Any]:
    """Return one entry of VariantStatus, which begins now."""
    return {"Status": status, "StatusMessage": message, "StartTime": time.time()}


def capture_summary(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return DataCaptureConfig as DescribeEndpoint shows it; None without one."""
    capture = config.get("DataCaptureConfig")
    if capture is None:
        return None
    enabled = bool(capture.get("EnableCapture"))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }


def _wanted(variant: dict[str, Any]) -> dict[str, Any]:
    if "ServerlessConfig" in variant:
        return {"DesiredServerlessConfig": variant["ServerlessConfig"]}
    return {
        "DesiredInstanceCount": variant["InitialInstanceCount"],
        "InstanceType": variant["InstanceType"],
    }


def _launching(variant: dict[str, Any]) -> str:
    return f"Launching {variant.get('InitialInstanceCount', 1)} instance(s)."
