"""
Start the look at an endpoint's traffic that its schedule asks for, if there is an endpoint.

Called by EventBridge Scheduler: each model with a watch has a schedule. With `watch.backend:
sagemaker` that is a MonitoringSchedule, and what its jobs leave in S3 calls this instead.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.stores import Stores
from tidemill.adapters.watching import Watching
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.watch import StartWatch
from tidemill.settings import StartWatchSettings

logger = Logger()
settings = StartWatchSettings.from_env()
watching = Watching(
    Stores.of(boto3.client("dynamodb"), settings),
    Workflows(boto3.client("stepfunctions"), settings.watch_arn),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    request = StartWatch.of_event(event)
    watch = watching.start(request.ref, time.time())
    logger.info("watch_started", extra={"model": request.ref, "at": request.at, "watch": watch})
