"""
Record how a workflow ended that could not do it itself: it was stopped, or timed out.

Called by the rule on Step Functions' FAILED, TIMED_OUT and ABORTED. A workflow that recorded its
own failure comes by too; then nothing changes.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.closing import Closing
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.rollouts import RolloutRef
from tidemill.contracts.runs import ExecutionChanged, RunRef
from tidemill.contracts.uploads import CheckRef
from tidemill.domain.failure import interrupted
from tidemill.settings import CloseRunSettings

logger = Logger()
settings = CloseRunSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
workflows = boto3.client("stepfunctions")
jobs = Jobs(boto3.client("sagemaker"))
closing = Closing(
    stores,
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    changed = ExecutionChanged.parse(event["detail"])
    # The event leaves out a long input, and the cause of an execution that was stopped.
    described = Workflows(workflows, changed.stateMachineArn).find(changed.name) or {}
    document = json.loads(changed.input or described.get("input") or "{}")
    ended = (changed.status, described.get("error") or "", described.get("cause") or "")
    now = time.time()
    if "run" in document:
        request = RunRef.parse(document)
        record = stores.runs.get(request.ref, request.run)
        if record.get("pipeline"):  # also of a run that recorded its own end: nobody waits for it
            jobs.stop_pipeline(record["pipeline"])
        status = "stopped" if changed.status == "ABORTED" else "failed"
        reason = interrupted(*ended, run_of=request.ref)
        done = closing.run(request.ref, request.run, Ended(status, reason), now)
    elif "delivery" in document:
        check = CheckRef.parse(document)
        done = stores.checks.fail(
            check.ref, check.delivery, check.attempt, interrupted(*ended), now
        )
    else:
        rollout = RolloutRef.parse(document)
        done = closing.rollout(rollout.ref, changed.name, rollout.version, interrupted(*ended), now)
    logger.info("execution_settled", extra={"execution": changed.name, "recorded": done})
