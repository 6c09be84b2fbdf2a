"""
End a run: its final status with one sentence, the lease, and the triggers that waited.

Called by `statemachines/retrain.asl.json`, states CloseRun and CloseFailedRun.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.closing import Closing
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import Failure
from tidemill.contracts.runs import CloseRun, Registered
from tidemill.domain.failure import explain
from tidemill.settings import CloseRunSettings

logger = Logger()
settings = CloseRunSettings.from_env()
closing = Closing(
    Stores.of(boto3.client("dynamodb"), settings),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CloseRun.parse(event)
    ended = how(request)
    closing.run(request.ref, request.run, ended, time.time())
    logger.info("run_closed", extra={"run": request.run, "status": ended.status})
    return {"status": ended.status, "reason": ended.reason}


def how(request: CloseRun) -> Ended:
    if request.failure is not None:
        failure = Failure.parse(request.failure)
        outcome = explain(failure.state, failure.error, failure.cause)
        return Ended(outcome.status, outcome.reason)
    registered = Registered.parse(request.outcome)
    return Ended("refused" if registered.status == "refused" else "succeeded", registered.reason)
