"""
Take the model's rollout lease, and say what must be created, updated or replaced.

Called by `statemachines/rollout.asl.json`, state PlanRollout.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.monitoring import MonitoringSchedules
from tidemill.adapters.registry import Registry
from tidemill.adapters.rollout_plans import RolloutPlans
from tidemill.adapters.stores import Stores
from tidemill.contracts.rollouts import RolloutRef
from tidemill.pipeline.hosting import requests, smoke_uri
from tidemill.settings import PlanRolloutSettings

logger = Logger()
settings = PlanRolloutSettings.from_env()
sagemaker = boto3.client("sagemaker")
plans = RolloutPlans(
    Stores.of(boto3.client("dynamodb"), settings),
    Registry(sagemaker),
    Endpoints(sagemaker),
    monitoring=MonitoringSchedules(sagemaker, settings.stack_name),
    stack=settings.stack_name,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = RolloutRef.parse(event)
    planned = plans.make(request, time.time())
    action, tags = planned.plan.action, planned.tags
    logger.info("rollout_planned", extra={"version": request.version, "action": action})
    return {
        "action": action,
        "reason": planned.plan.reason,
        "endpoint": planned.endpoint,
        "config": planned.unique,
        "before": planned.before,
        "smoke": smoke_uri(planned.package),
        **requests(
            planned.unique, planned.spec, planned.package,
            endpoint=planned.endpoint, tags=tags, role_arn=settings.execution_role_arn,
            lake_bucket=settings.lake_bucket, artifact_bucket=settings.artifact_bucket,
        ),
    }  # fmt: skip
