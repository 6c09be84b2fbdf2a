"""
Approve or reject a version, with a reason.

Called by `statemachines/retrain.asl.json`, state Approve, and by `tidemill approve|reject`.
SageMaker's own event then starts the rollout, whoever approved.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.approvals import Approvals
from tidemill.adapters.bus import Bus
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.rollouts import JudgeVersion
from tidemill.settings import JudgeVersionSettings

logger = Logger()
settings = JudgeVersionSettings.from_env()
approvals = Approvals(
    Stores.of(boto3.client("dynamodb"), settings),
    Registry(boto3.client("sagemaker")),
    Bus(boto3.client("events"), settings.bus_name),
    stack=settings.stack_name,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = JudgeVersion.parse(event)
    status = approvals.judge(request, time.time())
    logger.info("version_judged", extra={"version": request.version, "verdict": request.verdict})
    return {"version": request.version, "status": status}
