"""
Close a delivery when nothing more is expected, or look again later.

Called by the delivery queue: one delayed message per open delivery.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.stores import Stores
from tidemill.contracts import CloseDelivery
from tidemill.domain.delivery import Close, judge
from tidemill.settings import CloseDeliverySettings

logger = Logger()
settings = CloseDeliverySettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
sqs = boto3.client("sqs")
delivery_queue = Queue(sqs, settings.delivery_queue_url)
trigger_queue = Queue(sqs, settings.trigger_queue_url)
bus = Bus(boto3.client("events"), settings.bus_name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    for record in event["Records"]:  # the event source sends one at a time
        message = json.loads(record["body"])
        look(CloseDelivery.parse(message), message, time.time())


def look(request: CloseDelivery, message: dict[str, Any], now: float) -> None:
    spec = stores.specs.find(request.ref)
    delivery = stores.deliveries.open(request.ref)
    if spec is None or delivery is None or delivery.id != request.delivery:
        trigger_queue.send({"project": request.project, "model": request.model})
        return  # closed before, perhaps by an attempt that died before it could say so
    verdict = judge(delivery, spec.delivery, now)
    if not isinstance(verdict, Close):
        delivery_queue.send(message, verdict.seconds)
        return
    if not stores.deliveries.close(request.ref, delivery, verdict.reason, now):
        delivery_queue.send(message, 1)  # an upload came in between
        return
    logger.info("delivery_closed", extra={"delivery": delivery.id, "reason": verdict.reason})
    trigger_queue.send({"project": request.project, "model": request.model})
    bus.put("Delivery Closed", request.ref, delivery=delivery.id, reason=verdict.reason)
