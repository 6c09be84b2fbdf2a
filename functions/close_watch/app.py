"""
Record that a look at an endpoint's traffic failed; the next one reads what it would have read.

Called by `statemachines/watch.asl.json`, state CloseFailedWatch.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.stores import Stores
from tidemill.contracts.watch import CloseWatch
from tidemill.domain.failure import explain
from tidemill.settings import CloseWatchSettings

logger = Logger()
settings = CloseWatchSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CloseWatch.parse(event)
    failure = request.failure
    reason = explain(failure.state, failure.error, failure.cause).reason
    stores.watches.fail(request.ref, request.watch, reason, time.time())
    logger.info("watch_failed", extra={"watch": request.watch, "reason": reason})
    return {"reason": reason}
