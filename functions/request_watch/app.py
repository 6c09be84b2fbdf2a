"""
Look at an endpoint's traffic now.

Called by `tidemill watch`.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.stores import Stores
from tidemill.adapters.watching import Watching
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.watch import RequestWatch
from tidemill.settings import StartWatchSettings

logger = Logger()
settings = StartWatchSettings.from_env()
watching = Watching(
    Stores.of(boto3.client("dynamodb"), settings),
    Workflows(boto3.client("stepfunctions"), settings.watch_arn),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = RequestWatch.parse(event)
    watch = watching.ask(request.ref, request.id or context.aws_request_id, time.time())
    logger.info("watch_requested", extra={"model": request.ref, "watch": watch})
    return {"watch": watch}
