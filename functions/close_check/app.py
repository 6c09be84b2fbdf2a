"""
Record that an attempt of a delivery's check failed; the sweep starts the next one.

Called by `statemachines/check.asl.json`, state CloseFailedCheck.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CloseCheck
from tidemill.domain.failure import explain
from tidemill.settings import CloseCheckSettings

logger = Logger()
settings = CloseCheckSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CloseCheck.parse(event)
    failure = request.failure
    reason = explain(failure.state, failure.error, failure.cause).reason
    stores.checks.fail(request.ref, request.delivery, request.attempt, reason, time.time())
    logger.info("check_failed", extra={"delivery": request.delivery, "reason": reason})
    return {"reason": reason}
