"""
Approve or reject a version, with a reason.

Called by `statemachines/retrain.asl.json`, state Approve, and by `tidemill approve|reject`.
SageMaker's own event then starts the rollout, whoever approved.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.ledger import Entry
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import VersionApproved, VersionRejected
from tidemill.contracts.rollouts import JudgeVersion
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill.names import aws_name
from tidemill.settings import JudgeVersionSettings
from tidemill.times import iso

logger = Logger()
settings = JudgeVersionSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
registry = Registry(boto3.client("sagemaker"))
bus = Bus(boto3.client("events"), settings.bus_name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = JudgeVersion.parse(event)
    if not request.why.strip():
        raise InvalidInputError("an approval or rejection needs a reason: --why")
    if request.verdict == "approve" and stores.specs.applied(request.ref) is None:
        raise NotFoundError(
            f"{request.ref} is deleted or was never applied, so nothing can be put in service; "
            "`tidemill apply` its model.yaml first"
        )
    group = aws_name(settings.stack_name, request.project, request.model)
    found = registry.version(group, request.version)
    now = time.time()
    status = "Approved" if request.verdict == "approve" else "Rejected"
    new = stores.ledger.append(
        Entry(
            request.ref,
            f"approval#{request.version}#{request.id or iso(now)}",
            now,
            "approval",
            f"version {request.version}",
            request.verdict,
            f"{request.why.rstrip('.')} (by {request.by})",
            {"version": request.version, "package": found["package"], "by": request.by},
        )
    )
    if new and found["approval"] == status == "Approved":
        # SageMaker names only what changed: approved again must be a change to start a rollout.
        registry.approve(found["package"], "PendingManualApproval", request.why)
    registry.approve(found["package"], status, request.why)
    announced = VersionApproved if status == "Approved" else VersionRejected
    bus.put(
        announced(
            request.project,
            request.model,
            number=request.version,
            why=request.why,
            by=request.by,
        )
    )
    logger.info("version_judged", extra={"version": request.version, "verdict": request.verdict})
    return {"version": request.version, "status": status}
