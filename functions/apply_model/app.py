"""
Put a compiled spec in force: store it, and upsert the model's pipeline and package group.

Called by `tidemill apply`. The caller needs neither PassRole nor CreatePipeline.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.applying import Applying, read_spec
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts import ApplyModel
from tidemill.pipeline.definition import emit
from tidemill.settings import ApplyModelSettings
from tidemill.spec.diff import breaking_changes

logger = Logger()
settings = ApplyModelSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
sagemaker = boto3.client("sagemaker")
applying = Applying(stores, Registry(sagemaker), Jobs(sagemaker), stack=settings.stack_name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    spec = read_spec(ApplyModel.parse(event))
    before = stores.specs.find(spec.ref)
    breaking = breaking_changes(before, spec) if before else []
    applying.permit(spec, [f"{change}: {change.effect}" for change in breaking])
    partition, region, account = place(context.invoked_function_arn)
    definition = emit(
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
    applying.upsert(spec, definition, settings.execution_role_arn)
    changed = before != spec
    if changed:
        applying.record(spec, before, time.time())
        logger.info("spec_applied", extra={"model": spec.ref, "digest": spec.digest})
    return {"changed": changed, "name": applying.name(spec)}


def place(function_arn: str) -> tuple[str, str, str]:
    """Return partition, region and account, as this function's own ARN has them."""
    _, partition, _, region, account, *_ = function_arn.split(":")
    return partition, region, account
