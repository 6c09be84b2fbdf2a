"""
Store the trigger of what happened by itself; `decide_trigger` says whether it starts or waits.

Called by a model's schedules, by the rule on `Drift Found`, and by the rule on CloudWatch's alarms.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.raising import Raising
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DriftFound
from tidemill.contracts.runs import AlarmChanged, ScheduleFired
from tidemill.settings import RaiseTriggerSettings
from tidemill.times import seconds

logger = Logger()
settings = RaiseTriggerSettings.from_env()
raising = Raising(
    Stores.of(boto3.client("dynamodb"), settings),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    Bus(boto3.client("events"), settings.bus_name),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    match event.get("detail-type"):
        case "CloudWatch Alarm State Change":
            changed = AlarmChanged.of_event(event)
            logger.info("alarm_raised", extra={"models": raising.alarm(changed)})
        case DriftFound.detail_type:
            found = DriftFound.parse(event["detail"])
            trigger = raising.drift(found, seconds(event["time"]))
            logger.info("drift_raised", extra={"model": found.ref, "trigger": trigger})
        case _:
            fired = ScheduleFired.parse(event)
            trigger = raising.schedule(fired)
            logger.info("schedule_raised", extra={"model": fired.ref, "trigger": trigger})
