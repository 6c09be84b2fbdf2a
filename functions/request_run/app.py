"""
Store a manual trigger; `decide_trigger` says whether it starts, joins or waits.

Called by `tidemill start`.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Queue
from tidemill.adapters.stores import Stores
from tidemill.contracts.runs import RequestRun
from tidemill.domain.trigger import Trigger
from tidemill.errors import InvalidInputError
from tidemill.settings import RequestRunSettings

logger = Logger()
settings = RequestRunSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
queue = Queue(boto3.client("sqs"), settings.trigger_queue_url)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = RequestRun.parse(event)
    if not request.why.strip():
        raise InvalidInputError("a manual run needs a reason: --why")
    stores.specs.get(request.ref)
    identity = f"manual-{request.id or context.aws_request_id}"
    trigger = Trigger(identity, "manual", time.time(), request.why)
    stores.triggers.raised(request.ref, trigger, {}, joins=False)
    queue.send({"project": request.project, "model": request.model})
    logger.info("run_requested", extra={"model": request.ref, "trigger": trigger.id})
    return {"trigger": trigger.id}
