"""
Divide what a look has to read into parts: captured files that no partial profile covers.

Called by `statemachines/watch.asl.json`, state PlanWatch.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.lake import Lake
from tidemill.adapters.planning import Planning
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.watch import WatchRef
from tidemill.pipeline.hosting import VARIANT
from tidemill.pipeline.plan_job import plan_job
from tidemill.settings import PlanWatchSettings

logger = Logger()
settings = PlanWatchSettings.from_env()
planning = Planning(
    Stores.of(boto3.client("dynamodb"), settings),
    Lake(boto3.client("s3")),
    Registry(boto3.client("sagemaker")),
    stack=settings.stack_name,
    bucket=settings.lake_bucket,
    variant=VARIANT,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = WatchRef.parse(event)
    planned = planning.plan(request, time.time())
    parts = [
        {
            "plan": part.uri,
            "small": part.small,
            "job": plan_job(
                planned.spec,
                "watch",
                stack=settings.stack_name,
                name=f"{request.watch}-{number}",
                plan_uri=part.uri,
                largest_bytes=part.largest_bytes,
                image_uri=settings.jobs_image_uri,
                role_arn=settings.execution_role_arn,
            ),
        }
        for number, part in enumerate(planned.parts)
    ]
    logger.info("watch_planned", extra={"watch": request.watch, "parts": len(parts)})
    return {"plan": planned.uri, "parts": parts}
