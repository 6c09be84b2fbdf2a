"""
Put a compiled spec in force: store it, and upsert the model's pipeline and package group.

Called by `tidemill apply`. The caller needs neither PassRole nor CreatePipeline.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.jobs import Jobs
from tidemill.adapters.ledger import Entry
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts import ApplyModel
from tidemill.errors import BreakingChangeError, InvalidInputError
from tidemill.names import aws_name
from tidemill.pipeline.definition import emit
from tidemill.settings import ApplyModelSettings
from tidemill.spec.compiled import Spec
from tidemill.spec.diff import breaking_changes
from tidemill.times import iso

logger = Logger()
settings = ApplyModelSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
sagemaker = boto3.client("sagemaker")
jobs, registry = Jobs(sagemaker), Registry(sagemaker)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = ApplyModel.parse(event)
    spec = Spec.parse(request.spec)
    if spec.digest != request.digest:
        raise InvalidInputError(
            "the spec and its digest differ: compile it again with this version"
        )
    before = stores.specs.find(spec.ref)
    name = aws_name(settings.stack_name, spec.project, spec.model)
    refused = breaking_changes(before, spec) if before else []
    versions = len(registry.versions(name)) if refused else 0
    if versions:
        said = "; ".join(f"{change}: {change.effect}" for change in refused)
        raise BreakingChangeError(f"{spec.ref} has {versions} versions. {said}")
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
    registry.ensure_group(name, f"Versions of {spec.ref}")
    jobs.upsert_pipeline(name, definition, settings.execution_role_arn)
    if before == spec:
        return {"changed": False, "name": name}
    now = time.time()
    verdict = "change" if before else "create"
    facts = {"digest": spec.digest, "before": before.digest if before else None}
    entry = Entry(
        spec.ref,
        f"spec#{spec.digest}#{iso(now)}",
        now,
        "spec",
        "model.yaml",
        verdict,
        f"spec {spec.digest} is in force",
        facts,
    )
    stores.specs.replace(spec, now, stores.ledger, entry)
    logger.info("spec_applied", extra={"model": spec.ref, "digest": spec.digest})
    return {"changed": True, "name": name}


def place(function_arn: str) -> tuple[str, str, str]:
    """Return partition, region and account, as this function's own ARN has them."""
    _, partition, _, region, account, *_ = function_arn.split(":")
    return partition, region, account
