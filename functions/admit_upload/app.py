"""
Give every upload its verdict, and put the accepted ones into the model's open delivery.

Called by the intake queue, with S3's Object Created events and the sweep's findings.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.intake import Intake
from tidemill.adapters.lake import Lake
from tidemill.adapters.measures import tally
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ObjectCreated
from tidemill.settings import AdmitUploadSettings

THREADS = 16  # a batch waits for S3 and DynamoDB, not for the processor
SIDE_BY_SIDE = Config(max_pool_connections=THREADS, connect_timeout=3, read_timeout=10)

logger = Logger()
settings = AdmitUploadSettings.from_env()
intake = Intake(
    Stores.of(boto3.client("dynamodb", config=SIDE_BY_SIDE), settings),
    Lake(boto3.client("s3", config=SIDE_BY_SIDE)),
    Queue(boto3.client("sqs"), settings.delivery_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
    each=ThreadPoolExecutor(THREADS).map,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    uploads: dict[str, ObjectCreated] = {}
    failed: dict[str, Exception] = {}
    for record in event["Records"]:
        try:
            uploads[record["messageId"]] = ObjectCreated.of_event(json.loads(record["body"]))
        except Exception as error:  # noqa: BLE001  # a poisoned message must not hold up its batch
            failed[record["messageId"]] = error
    answers = dict(zip(uploads, intake.admit(list(uploads.values()), time.time()), strict=True))
    failed |= {message: each for message, each in answers.items() if isinstance(each, Exception)}
    for message, error in failed.items():
        logger.error("upload_not_judged", exc_info=error, extra={"message_id": message})
    judged = [(uploads[m].key, verdict) for m, verdict in answers.items() if m not in failed]
    verdicts = tally("Uploads", (verdict for _, verdict in judged), stack=settings.bus_name)
    # One line a batch: a line an upload would cost more than its Lambda.
    logger.info("uploads_judged", extra={"verdicts": verdicts, "keys": [key for key, _ in judged]})
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
