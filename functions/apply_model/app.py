"""
Put a compiled spec in force: store it; upsert the model's pipeline, package group and schedules.

Called by `tidemill apply`. The caller needs neither PassRole nor CreatePipeline.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.applying import Applying, read_spec, turn
from tidemill.adapters.bus import Queue
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.log_groups import LogGroups
from tidemill.adapters.registry import Registry
from tidemill.adapters.schedules import Schedules, Target
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import ApplyModel
from tidemill.pipeline.definition import emit
from tidemill.settings import ApplyModelSettings
from tidemill.spec.compiled import Spec
from tidemill.spec.diff import breaking_changes

logger = Logger()
settings = ApplyModelSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
sagemaker = boto3.client("sagemaker")
applying = Applying(
    stores,
    Registry(sagemaker),
    Jobs(sagemaker),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    stack=settings.stack_name,
)
schedules = Schedules(boto3.client("scheduler"), settings.stack_name, settings.schedule_group)
log_groups = LogGroups(boto3.client("logs"), int(settings.log_retention_days))
target = Target(
    settings.raise_trigger_arn, settings.scheduler_role_arn, settings.event_dead_letters_arn
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    spec = read_spec(ApplyModel.parse(event))
    now = time.time()
    with turn(stores, spec.ref, f"apply-{spec.digest}", now):
        before = stores.specs.in_force(spec.ref)
        breaking = breaking_changes(before.spec, spec) if before else []
        applying.permit(spec, [f"{change}: {change.effect}" for change in breaking])
        applying.upsert(spec, define(spec, context), settings.execution_role_arn)
        schedules.sync(spec, target, now)
        warnings = log_groups.retain(applying.name(spec), now)
        changed = applying.record(spec, before, settings.jobs_image_uri, now)
    for warning in warnings:
        logger.warning("log_retention_refused", extra={"model": spec.ref, "reason": warning})
    logger.info("spec_applied", extra={"model": spec.ref, "digest": spec.digest, "new": changed})
    return {"changed": changed, "name": applying.name(spec), "warnings": warnings}


def define(spec: Spec, context: Any) -> str:
    """Return the pipeline's definition; this function's own ARN says where it is to run."""
    _, partition, _, region, account, *_ = context.invoked_function_arn.split(":")
    return emit(
        spec,
        stack=settings.stack_name,
        partition=partition,
        region=region,
        account=account,
        artifact_bucket=settings.artifact_bucket,
        lake_bucket=settings.lake_bucket,
        image_uri=settings.jobs_image_uri,
        role_arn=settings.execution_role_arn,
    )
