"""
Bring an earlier version back into service.

Called by `tidemill rollback`. Without a number it is the version that the champion replaced.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.registry import Registry
from tidemill.adapters.rollouts import Rollouts
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.rollouts import RequestRollback
from tidemill.settings import StartRolloutSettings

logger = Logger()
settings = StartRolloutSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
rollouts = Rollouts(
    stores,
    Registry(boto3.client("sagemaker")),
    Workflows(boto3.client("stepfunctions"), settings.rollout_arn),
    stack=settings.stack_name,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    return rollouts.back(RequestRollback.parse(event), time.time_ns())
