"""
Put a compiled spec in force: store it; upsert the model's pipeline, package group and schedules.

Called by `tidemill apply`. The caller needs neither PassRole nor CreatePipeline.
"""

import secrets
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.applying import Applying, read_spec
from tidemill.adapters.bus import Queue
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake
from tidemill.adapters.log_groups import LogGroups
from tidemill.adapters.monitoring import Monitoring
from tidemill.adapters.registry import Registry
from tidemill.adapters.schedules import Schedules, Target
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import ApplyModel
from tidemill.pipeline.definition import define
from tidemill.pipeline.monitoring import monitoring_config
from tidemill.pipeline.own_capture import hash_key
from tidemill.settings import ApplyModelSettings

logger = Logger()
settings = ApplyModelSettings.from_env()
lake, sagemaker = Lake(boto3.client("s3")), boto3.client("sagemaker")
stores, registry = Stores.of(boto3.client("dynamodb"), settings), Registry(sagemaker)
applying = Applying(
    stores, registry, Jobs(sagemaker),
    Schedules(boto3.client("scheduler"), settings.stack_name, settings.schedule_group),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    log_groups=LogGroups(boto3.client("logs"), int(settings.log_retention_days)),
    monitoring=Monitoring(stores, registry, lake, sagemaker, settings, config=monitoring_config),
    stack=settings.stack_name,
)  # fmt: skip
target = Target(
    settings.raise_trigger_arn, settings.start_watch_arn,
    settings.scheduler_role_arn, settings.event_dead_letters_arn,
)  # fmt: skip


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    spec = read_spec(ApplyModel.parse(event))
    definition = define(spec, settings, by=context.invoked_function_arn)
    if uri := hash_key(spec, settings.artifact_bucket):
        lake.put_once(uri, secrets.token_hex(32))
    done = applying.apply(
        spec, definition, target,
        role=settings.execution_role_arn, image=settings.jobs_image_uri, now=time.time(),
    )  # fmt: skip
    for warning in done.warnings:
        logger.warning("applied_with_warning", extra={"model": spec.ref, "reason": warning})
    logger.info("spec_applied", extra={"model": spec.ref, "new": done.changed})
    return {"changed": done.changed, "name": applying.name(spec), "warnings": list(done.warnings)}
