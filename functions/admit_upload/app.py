"""
Give every upload its verdict, and put the accepted ones into the model's open delivery.

Called by the intake queue, with S3's Object Created events and the sweep's findings.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.intake import Intake
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.contracts import ObjectCreated
from tidemill.settings import AdmitUploadSettings

logger = Logger()
settings = AdmitUploadSettings.from_env()
intake = Intake(
    Stores(
        boto3.client("dynamodb"),
        state_table=settings.state_table,
        ledger_table=settings.ledger_table,
    ),
    Lake(boto3.client("s3")),
    Queue(boto3.client("sqs"), settings.delivery_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    failed = []
    for record in event["Records"]:
        try:
            upload = ObjectCreated.of_event(json.loads(record["body"]))
            verdict = intake.admit(upload, time.time())
            logger.info("upload_judged", extra={"key": upload.key, "verdict": verdict})
        except Exception:  # one poisoned message must not hold up the rest of its batch
            logger.exception("upload_not_judged", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
