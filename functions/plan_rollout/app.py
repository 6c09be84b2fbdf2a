"""
Take the model's rollout lease, and say what must be created, updated or replaced.

Called by `statemachines/rollout.asl.json`, state PlanRollout.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.rollouts import RolloutRef
from tidemill.domain.rollout import plan
from tidemill.errors import InvalidInputError, RolloutBusyError
from tidemill.names import aws_name, rollout_name
from tidemill.pipeline.hosting import endpoint_config, sagemaker_model, smoke_uri
from tidemill.settings import PlanRolloutSettings

LEASE_SECONDS = 7 * 3600.0  # longer than the rollout machine's own limit

logger = Logger()
settings = PlanRolloutSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
sagemaker = boto3.client("sagemaker")
endpoints = Endpoints(sagemaker)
registry = Registry(sagemaker)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = RolloutRef.parse(event)
    now = time.time()
    if not stores.leases.acquire(
        request.ref, "rollout", holder=request.execution, now=now, seconds=LEASE_SECONDS
    ):
        raise RolloutBusyError(f"another rollout of {request.ref} is under way")
    spec = stores.specs.get(request.ref)
    package = registry.describe(request.package)
    if package["ModelApprovalStatus"] != "Approved":
        raise InvalidInputError(f"version {request.version} is not approved any more")
    name = aws_name(settings.stack_name, request.project, request.model)
    live = endpoints.describe(name)
    champion = stores.champions.find(request.ref)
    decided = plan(live, champion["version"] if champion else None, request.version)
    unique = rollout_name(settings.stack_name, request.project, request.model, request.execution)
    tags = {
        "stack": settings.stack_name,
        "project": request.project,
        "model": request.model,
        "version": str(request.version),
    }
    logger.info("rollout_planned", extra={"version": request.version, "action": decided.action})
    return {
        "action": decided.action,
        "reason": decided.reason,
        "endpoint": name,
        "config": unique,
        "before": live["EndpointConfigName"] if live else "",
        "smoke": smoke_uri(package),
        "create_model": sagemaker_model(
            unique, package, role_arn=settings.execution_role_arn, tags=tags
        ),
        "create_config": endpoint_config(unique, spec, lake_bucket=settings.lake_bucket, tags=tags),
    }
