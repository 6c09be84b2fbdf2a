"""
Read how the pipeline ended: a registered version, a gate that refused, or a failure.

Called by `statemachines/retrain.asl.json`, state ReadOutcome. It also gives files that Prepare left
out their verdict, since only Prepare has read them whole.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake
from tidemill.adapters.outcomes import Outcomes
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import VersionRegistered
from tidemill.contracts.runs import ReadOutcome
from tidemill.settings import ReadOutcomeSettings

logger = Logger()
settings = ReadOutcomeSettings.from_env()
sagemaker = boto3.client("sagemaker")
stores = Stores.of(boto3.client("dynamodb"), settings)
lake = Lake(boto3.client("s3"))
bus = Bus(boto3.client("events"), settings.bus_name)
outcomes = Outcomes(stores, Jobs(sagemaker), Registry(sagemaker), lake, Quarantine(lake, bus))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = ReadOutcome.parse(event)
    now = time.time()
    outcomes.judge_files(request, now)
    outcome = outcomes.read(request, now)
    if outcome["status"] == "registered":
        bus.put(
            VersionRegistered(
                request.project,
                request.model,
                run=request.run,
                number=outcome["version"],
                package=outcome["package"],
            )
        )
    logger.info("outcome_read", extra={"run": request.run, "status": outcome["status"]})
    return outcome
