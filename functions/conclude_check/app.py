"""
Judge a delivery's uploads by the contract, and have the trigger decided that follows.

Called by `statemachines/check.asl.json`, state ConcludeCheck. Inferring and judging are the jobs'
own code, which reads facts and no files: here it meets the control plane.
"""

import time
from dataclasses import asdict
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.conclusions import Conclusions
from tidemill.adapters.facts import FactsStore
from tidemill.adapters.lake import Lake
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CheckRef
from tidemill.settings import ConcludeCheckSettings
from tidemill_jobs.contract import verdicts

logger = Logger()
settings = ConcludeCheckSettings.from_env()
lake = Lake(boto3.client("s3"))
conclusions = Conclusions(
    Stores.of(boto3.client("dynamodb"), settings),
    lake,
    Quarantine(lake, Bus(boto3.client("events"), settings.bus_name)),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    facts=FactsStore(lake, settings.artifact_bucket),
    rules=verdicts,
    bucket=settings.artifact_bucket,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CheckRef.parse(event)
    checked = conclusions.draw(request, time.time())
    logger.info("check_concluded", extra={"delivery": request.delivery, **checked.facts})
    explain = [asdict(upload) for upload in conclusions.to_explain(request)]
    return {"reason": checked.reason, **checked.facts, "explain": explain}
