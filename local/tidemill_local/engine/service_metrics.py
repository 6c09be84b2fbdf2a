"""Metrics come to CloudWatch by themselves: of queues, of workflows, and from log lines (EMF)."""

import itertools
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, sqs, stepfunctions

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.surroundings import Surroundings

logger = logging.getLogger(__name__)

_EVERY = 5  # seconds; AWS takes a minute
_KEPT = 240  # points of each queue metric
_EMF = '"CloudWatchMetrics"'
_EXECUTIONS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def check() -> None:
    """Require the one place that stores log lines, the queues, and who tells of executions."""
    expect(cloudwatch_logs, "_append_log_events", "(stream, events)")
    expect(
        cloudwatch, "record_metric",
        "(namespace, metric_name, value, unit='None', dimensions=None)",
    )  # fmt: skip
    expect(cloudwatch, "_metric_bucket", "(key)")
    expect(cloudwatch, "_dims_key", "(dims)")
    expect(sqs, "_expire_retained", "(q)")
    expect_value(sqs, "_queues", sqs.AccountRegionScopedDict)
    expect(stepfunctions, "_emit_execution_status_event", "(execution)")


def apply(surroundings: Surroundings) -> None:
    """Publish what AWS's services publish, as far as the stack has alarms on it."""
    append, tell = cloudwatch_logs._append_log_events, stepfunctions._emit_execution_status_event
    seconds = itertools.count()

    def append_and_measure(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            if _EMF in event.get("message", ""):
                _record_embedded(event["message"])

    def tell_and_count(execution: dict[str, Any]) -> None:
        tell(execution)
        if name := _EXECUTIONS.get(execution["status"]):
            dimensions = {"StateMachineArn": execution["stateMachineArn"]}
            cloudwatch.record_metric("AWS/States", name, 1, "Count", dimensions)

    def regularly() -> None:
        if next(seconds) % _EVERY == 0:
            _measure_queues(time.time())

    cloudwatch_logs._append_log_events = append_and_measure
    stepfunctions._emit_execution_status_event = tell_and_count
    surroundings.every_second.append(regularly)


def embedded(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """
    Yield the metrics in a log line of the embedded metric format.

    Yields:
        Namespace, name, value, unit and dimensions: one for each value and set of dimensions.
        Nothing when the line is no such JSON; what it names and does not have is left out.
    """
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        for directive in directives:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(document[name]) for name in names if name in document}
                for metric in directive["Metrics"]:
                    values = document.get(metric["Name"], [])
                    for value in values if isinstance(values, list) else [values]:
                        unit = metric.get("Unit", "None")
                        yield directive["Namespace"], metric["Name"], value, unit, dimensions
    except (AttributeError, KeyError, TypeError, ValueError):
        return


def _record_embedded(line: str) -> None:
    for found in embedded(line):
        cloudwatch.record_metric(*found)


def _measure_queues(now: float) -> None:
    for queue in list(sqs._queues.values()):
        sqs._expire_retained(queue)
        waiting = [message for message in queue["messages"] if message["visible_at"] <= now]
        oldest = max((now - message.get("sent_at", now) for message in waiting), default=0.0)
        _put(queue["name"], "ApproximateNumberOfMessagesVisible", len(waiting), "Count")
        _put(queue["name"], "ApproximateAgeOfOldestMessage", oldest, "Seconds")


def _put(queue: str, metric: str, value: float, unit: str) -> None:
    dimensions = {"QueueName": queue}
    cloudwatch.record_metric("AWS/SQS", metric, value, unit, dimensions)
    points = cloudwatch._metric_bucket(("AWS/SQS", metric, cloudwatch._dims_key(dimensions)))
    del points[:-_KEPT]
