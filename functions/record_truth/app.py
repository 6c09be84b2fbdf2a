"""
Read truth files as they arrive, and write down their labels for the next look at quality.

Called by the truth queue, with S3's Object Created events and the sweep's findings.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.adapters.measures import tally
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.adapters.truths import Truths
from tidemill.contracts.uploads import ObjectCreated
from tidemill.settings import RecordTruthSettings
from tidemill_jobs.truth.recording import record

logger = Logger()
settings = RecordTruthSettings.from_env()
lake = Lake(boto3.client("s3"))
truths = Truths(
    Stores.of(boto3.client("dynamodb"), settings),
    lake,
    Quarantine(lake, Bus(boto3.client("events"), settings.bus_name)),
    record,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    failed: list[str] = []
    verdicts: list[str] = []
    for message in event["Records"]:
        try:
            upload = ObjectCreated.of_event(json.loads(message["body"]))
            with tempfile.TemporaryDirectory() as work:
                verdict = truths.record(upload, Path(work), time.time())
        except Exception:  # one bad file must not hold up its batch
            logger.exception("truth_not_recorded", extra={"message_id": message["messageId"]})
            failed.append(message["messageId"])
        else:
            logger.info("truth_recorded", extra={"key": upload.key, "verdict": verdict})
            verdicts.append(verdict)
    tally("TruthFiles", verdicts, stack=settings.bus_name)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
