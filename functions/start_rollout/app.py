"""
Start a rollout for a new approval of ours, and for nothing else.

Called by the rule on SageMaker's Model Package State Change: one rollout an approval, however often
that event comes.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.registry import Registry
from tidemill.adapters.rollouts import Rollouts
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.rollouts import PackageChanged
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
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    changed = PackageChanged.parse(event["detail"])
    name = rollouts.approved(changed, time.time())
    if name is not None:
        logger.info("rollout_started", extra={"execution": name})
