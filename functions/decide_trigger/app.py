"""
Decide every pending trigger of a model, and start the run that follows.

Called by the trigger queue. A message says only "look at this model": what is pending is in the
State table, so that a lost, late or repeated message changes nothing.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.decisions import Decisions
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import ModelRef
from tidemill.settings import DecideTriggerSettings

logger = Logger()
settings = DecideTriggerSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
decisions = Decisions(
    stores,
    Workflows(boto3.client("stepfunctions"), settings.retrain_arn),
    Bus(boto3.client("events"), settings.bus_name),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    for record in event["Records"]:  # the event source sends one at a time
        model = ModelRef.parse(json.loads(record["body"]))
        for run in decisions.take(model, time.time()):
            decisions.start(model, run)
            logger.info("run_started", extra={"run": run["run"], "trigger": run["trigger"]})
