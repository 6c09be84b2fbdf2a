"""
Record how a workflow ended that could not do it itself: it was stopped, or timed out.

Called by the rule on Step Functions' FAILED, TIMED_OUT and ABORTED. A workflow that recorded its
own failure comes by too; then nothing changes.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.closing import Closing
from tidemill.adapters.interruptions import Interruptions
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.runs import ExecutionChanged
from tidemill.settings import CloseRunSettings

logger = Logger()
settings = CloseRunSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
workflows = boto3.client("stepfunctions")
closing = Closing(
    stores,
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
)
interruptions = Interruptions(stores, Jobs(boto3.client("sagemaker")), closing)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    changed = ExecutionChanged.parse(event["detail"])
    done = interruptions.settle(changed, Workflows(workflows, changed.stateMachineArn), time.time())
    logger.info("execution_settled", extra={"execution": changed.name, "recorded": done})
