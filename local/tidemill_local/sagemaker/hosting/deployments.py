"""
What an endpoint runs for good: a copy of its configuration, and the fleet that it makes.

A deployment is a part of the endpoint's record: configuration and models may be deleted while the
endpoint goes on.
"""

import shutil
import time
import uuid
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.capture import CaptureWriter, read_rule
from tidemill_local.sagemaker.hosting.configurations import all_variants, endpoint_config, workloads
from tidemill_local.sagemaker.hosting.fleets import BareInstance, Fleet, Process, Variant
from tidemill_local.sagemaker.hosting.multi_model import MOST_LOADED, MultiModelProcess
from tidemill_local.sagemaker.hosting.serving import ServingProcess, Workload

# Fields of an endpoint's record that the API does not know.
DEPLOYED = "_Deployed"  # the deployment that serves
PENDING = "_Pending"  # the one of the update that is under way


def new_deployment(context: Context, endpoint: str, config_name: str) -> dict[str, Any]:
    """
    Return what a deployment needs for good: copies, and the name of its directory.

    Raises:
        ValidationError: There is no such configuration, or a model of it has been deleted.
    """
    config = endpoint_config(context, config_name)
    return {
        "config": config,
        "workloads": [asdict(workload) for workload in workloads(context, endpoint, config)],
        "directory": new_directory(endpoint),
    }


def make_fleet(context: Context, endpoint: str, deployment: dict[str, Any]) -> Fleet:
    """Return the fleet of a deployment, with nothing started."""
    config = deployment["config"]
    directory = directory_of(context, deployment)
    weights, counts = deployment.get("weights", {}), deployment.get("counts", {})

    def made(variant: dict[str, Any], fields: dict[str, Any]) -> Variant:
        workload = Workload(**fields)
        name = workload.variant
        routing = variant.get("RoutingConfig", {}).get("RoutingStrategy")
        return Variant(
            workload,
            weights.get(name, variant["InitialVariantWeight"]),
            counts.get(name, variant.get("InitialInstanceCount", 1)),
            partial(serving_process, context, workload, directory),
            concurrency=variant.get("ServerlessConfig", {}).get("MaxConcurrency"),
            least_outstanding=routing == "LEAST_OUTSTANDING_REQUESTS",
        )

    everyone = list(map(made, all_variants(config), deployment["workloads"]))
    number = len(config["ProductionVariants"])
    rule = read_rule(config.get("DataCaptureConfig"))
    capture = None if rule is None else CaptureWriter(endpoint, rule, partial(_put, context))
    return Fleet(
        config["EndpointConfigName"],
        everyone[:number],
        capture,
        everyone[number:],
        config.get("AsyncInferenceConfig"),
    )


def live_properties(body: dict[str, Any]) -> dict[str, Any]:
    """Return the weights and instance counts that an endpoint has now, for its deployment."""
    variants = [*body["ProductionVariants"], *body.get("ShadowProductionVariants", [])]
    return {
        "weights": {v["VariantName"]: v["CurrentWeight"] for v in variants},
        "counts": {
            v["VariantName"]: v["CurrentInstanceCount"]
            for v in variants
            if "CurrentServerlessConfig" not in v
        },
    }


def restore_properties(deployment: dict[str, Any], variant: dict[str, Any]) -> None:
    """Give a variant's summary the weight and count that its deployment has."""
    name = variant["VariantName"]
    variant["DesiredWeight"] = variant["CurrentWeight"]
    initial = {
        each["VariantName"]: each.get("InitialInstanceCount", 0)
        for each in all_variants(deployment["config"])
    }
    count = (initial | deployment.get("counts", {})).get(name, 0)
    variant["DesiredInstanceCount"] = variant["CurrentInstanceCount"] = count


def root_of(context: Context) -> Path:
    """Return the directory of all endpoints."""
    return context.root / "endpoints"


def directory_of(context: Context, deployment: dict[str, Any]) -> Path:
    """Return the directory of one deployment."""
    return root_of(context) / str(deployment["directory"])


def new_directory(owner: str) -> str:
    """Return a directory that nothing has, below the one of what it serves."""
    return f"{owner}/{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:8]}"


def remove_all_but(root: Path, used: set[Path]) -> None:
    """Remove the directories of deployments that nothing serves from any more."""
    # Deletions that a recovery took up again remove directories at the same time.
    for owner in _listed(root):
        for directory in _listed(owner):
            if directory not in used:
                shutil.rmtree(directory, ignore_errors=True)


def _listed(directory: Path) -> list[Path]:
    """Return what is in a directory; nothing when it is gone, or no directory."""
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def serving_process(context: Context, workload: Workload, directory: Path, index: int) -> Process:
    """Make an instance's process; a dot is in no variant's name."""
    if workload.bare:
        return BareInstance(workload)
    own = workload.variant if index == 0 else f"{workload.variant}.{index}"
    if workload.multi_model:
        most = MOST_LOADED if workload.cached else 0
        return MultiModelProcess(context, workload, directory / own, most)
    return ServingProcess(context, workload, directory / own)


def _put(context: Context, bucket: str, key: str, body: bytes) -> None:
    context.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/jsonlines")
