"""
End a rollout: the champion or the failure, in the ledger, and the lease.

Called by `statemachines/rollout.asl.json`, states CloseRollout and CloseFailedRollout.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.adapters.monitoring import Monitoring
from tidemill.adapters.registry import Registry
from tidemill.adapters.rollout_ends import RolloutEnds
from tidemill.adapters.stores import Stores
from tidemill.contracts.rollouts import CloseRollout
from tidemill.pipeline.monitoring import monitoring_config
from tidemill.settings import CloseRolloutSettings

logger = Logger()
settings = CloseRolloutSettings.from_env()
sagemaker, stores = boto3.client("sagemaker"), Stores.of(boto3.client("dynamodb"), settings)
rollouts = RolloutEnds(
    stores,
    Bus(boto3.client("events"), settings.bus_name),
    Monitoring(
        stores, Registry(sagemaker), Lake(boto3.client("s3")), sagemaker,
        settings, config=monitoring_config,
    ),
)  # fmt: skip


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CloseRollout.parse(event)
    entry = rollouts.close(request, time.time())
    logger.info("rollout_closed", extra={"version": request.version, "verdict": entry.verdict})
    return {"verdict": entry.verdict, "reason": entry.reason}
