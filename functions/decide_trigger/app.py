"""
Decide every pending trigger of a model, and start the run that follows.

Called by the trigger queue. A message says only "look at this model": what is pending is in the
State table, so that a lost, late or repeated message changes nothing. What has to wait for a time
sends itself a delayed one.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.decisions import Decisions
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.models import LookAtModel
from tidemill.settings import DecideTriggerSettings

logger = Logger()
settings = DecideTriggerSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
decisions = Decisions(
    stores,
    Workflows(boto3.client("stepfunctions"), settings.retrain_arn),
    Bus(boto3.client("events"), settings.bus_name),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    for record in event["Records"]:  # the event source sends one at a time
        request = LookAtModel.parse(json.loads(record["body"]))
        repeated = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)) > 1
        for run in decisions.take(request, time.time(), repeated=repeated):
            decisions.start(request, run)
            logger.info("run_started", extra={"run": run["run"], "trigger": run["trigger"]})
