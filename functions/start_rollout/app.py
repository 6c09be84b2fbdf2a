"""
Start a rollout for a new approval of ours, and for nothing else.

Called by the rule on SageMaker's Model Package State Change. SageMaker repeats that event with the
current status after every update, so the described package decides, and the time of its last change
names the execution: one rollout an approval, however often the event comes.
"""

import hashlib
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import PackageChanged
from tidemill.names import aws_name
from tidemill.settings import StartRolloutSettings

logger = Logger()
settings = StartRolloutSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
registry = Registry(boto3.client("sagemaker"))
rollout = Workflows(boto3.client("stepfunctions"), settings.rollout_arn)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    changed = PackageChanged.parse(event["detail"])
    fields = changed.UpdatedModelPackageFields  # where it is not said, the package decides
    if fields is not None and "ModelApprovalStatus" not in fields:
        return
    ref = owner(changed.ModelPackageGroupName)
    if ref is None:
        return
    package = registry.describe(changed.ModelPackageArn)
    if package["ModelApprovalStatus"] != "Approved":
        return
    project, _, model = ref.partition("/")
    number = package["ModelPackageVersion"]
    changed_at = package.get("LastModifiedTime") or package["CreationTime"]
    approval = f"{changed.ModelPackageArn} {changed_at.timestamp()}"
    name = f"{model[:40]}-v{number}-{hashlib.sha256(approval.encode()).hexdigest()[:12]}"
    rollout.start(
        name,
        {
            "project": project,
            "model": model,
            "version": number,
            "package": changed.ModelPackageArn,
            "why": package.get("ApprovalDescription") or "approved",
        },
    )
    logger.info("rollout_started", extra={"execution": name})


def owner(group: str) -> str | None:
    """Return the model whose group this is; a group's name alone may carry a hash."""
    for ref in stores.specs.refs():
        project, _, model = ref.partition("/")
        if aws_name(settings.stack_name, project, model) == group:
            return ref
    return None
