"""
Close a delivery when nothing more is expected and start its check, or look again later.

Called by the delivery queue: one delayed message per open delivery.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.checking import Checking
from tidemill.adapters.completion import Completion
from tidemill.adapters.lake import Lake
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.domain_events import DeliveryClosed
from tidemill.contracts.uploads import CloseDelivery
from tidemill.settings import CloseDeliverySettings

logger = Logger()
settings = CloseDeliverySettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
delivery_queue = Queue(boto3.client("sqs"), settings.delivery_queue_url)
checking = Checking(stores, Workflows(boto3.client("stepfunctions"), settings.check_arn))
bus = Bus(boto3.client("events"), settings.bus_name)
lake = Lake(boto3.client("s3"))
completion = Completion(stores, delivery_queue, lake, Quarantine(lake, bus))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    for record in event["Records"]:  # the event source sends one at a time
        request = CloseDelivery.parse(json.loads(record["body"]))
        if int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)) > 1:
            tell(request)  # perhaps the attempt before closed it, and died before it could say so
        reason = completion.look(request, time.time())
        if reason is not None:
            logger.info("delivery_closed", extra={"delivery": request.delivery, "reason": reason})
            tell(request)


def tell(request: CloseDelivery) -> None:
    closed = stores.deliveries.closed(request.ref, request.delivery)
    if closed is not None:
        checking.start(request.ref, request.delivery)
        bus.put(
            DeliveryClosed(
                request.project,
                request.model,
                delivery=request.delivery,
                reason=closed["reason"],
            )
        )
