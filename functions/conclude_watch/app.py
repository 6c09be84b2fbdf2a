"""
Compare the windows of a look with the baseline, decide what they come to, and tell it.

Called by `statemachines/watch.asl.json`, state ConcludeWatch. Comparing is the jobs' own code,
which reads profiles and no traffic: here it meets the control plane.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.adapters.looking import Looking
from tidemill.adapters.stores import Stores
from tidemill.adapters.watch_metrics import WatchMetrics
from tidemill.contracts.watch import ConcludeWatch
from tidemill.settings import ConcludeWatchSettings
from tidemill_jobs import windows

logger = Logger()
settings = ConcludeWatchSettings.from_env()
looking = Looking(
    Stores.of(boto3.client("dynamodb"), settings),
    Lake(boto3.client("s3")),
    Bus(boto3.client("events"), settings.bus_name),
    WatchMetrics(boto3.client("cloudwatch")),
    windows,
    bucket=settings.lake_bucket,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = ConcludeWatch.parse(event)
    decision = looking.conclude(request, time.time())
    told = {"verdict": decision.verdict, "reason": decision.reason}
    logger.info("watch_concluded", extra={"watch": request.watch, **told})
    return {**told, "drifted": list(decision.drifted)}
