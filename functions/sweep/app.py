"""
Find what events missed, and set going again what stopped.

Called by a schedule, and by the local cloud at its start. Everything it does is safe to repeat:
uploads that have a verdict keep it, messages are hints, and what has ended stays ended.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.anchors import Anchors
from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.chain import Chain
from tidemill.adapters.checking import Checking
from tidemill.adapters.closing import Closing
from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake
from tidemill.adapters.late_links import LateLinks
from tidemill.adapters.parking import Parking
from tidemill.adapters.reconciliation import Queues, Reconciliation
from tidemill.adapters.stores import Stores
from tidemill.adapters.sweep import Sweep
from tidemill.adapters.workflows import Workflows
from tidemill.settings import SweepSettings

logger = Logger()
settings = SweepSettings.from_env()
dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
stores = Stores.of(dynamodb, settings)
sqs, workflows, sagemaker = (boto3.client(name) for name in ("sqs", "stepfunctions", "sagemaker"))
triggers = Queue(sqs, settings.trigger_queue_url)
reconciliation = Reconciliation(
    stores,
    Lake(s3),
    Queues(
        intake=Queue(sqs, settings.intake_queue_url),
        deliveries=Queue(sqs, settings.delivery_queue_url),
        triggers=triggers,
    ),
    checking=Checking(stores, Workflows(workflows, settings.check_arn)),
    retrain=Workflows(workflows, settings.retrain_arn),
    rollout=Workflows(workflows, settings.rollout_arn),
    closing=Closing(stores, triggers, Bus(boto3.client("events"), settings.bus_name)),
)
parking = Parking(stores.state, workflows, Jobs(sagemaker), Endpoints(sagemaker))
late = LateLinks(
    stores, Chain(dynamodb, settings.ledger_table), Anchors(s3, settings.anchor_bucket)
)
sweep = Sweep(reconciliation, parking, late, settings.lake_bucket)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:  # noqa: ARG001  # Lambda passes both
    found, failed = sweep.run(time.time(), tell)
    logger.info("swept", extra=found)
    if failed:
        raise RuntimeError(f"the sweep failed at: {', '.join(failed)}")
    return found


def tell(part: str, error: Exception) -> None:
    logger.error("sweep_part_failed", exc_info=error, extra={"part": part})
