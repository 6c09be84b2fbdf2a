"""
Say what a delivery's check came to, and have the trigger decided that follows.

Called by `statemachines/check.asl.json`, state ConcludeCheck.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Queue
from tidemill.adapters.conclusions import Conclusions
from tidemill.adapters.stores import Stores
from tidemill.contracts import CheckRef
from tidemill.settings import ConcludeCheckSettings

logger = Logger()
settings = ConcludeCheckSettings.from_env()
conclusions = Conclusions(
    Stores(
        boto3.client("dynamodb"),
        state_table=settings.state_table,
        ledger_table=settings.ledger_table,
        ledger_days=settings.ledger_retention_days,
    ),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CheckRef.parse(event)
    checked = conclusions.draw(request, time.time())
    logger.info("check_concluded", extra={"delivery": request.delivery, **checked.facts})
    return {"reason": checked.reason, **checked.facts}
