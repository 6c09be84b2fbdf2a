"""A local cloud that runs for weeks forgets its oldest logs, metrics and finished executions."""

import itertools
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, stepfunctions

from tidemill_local.engine.durable_executions import forget
from tidemill_local.engine.hooks import expect_value
from tidemill_local.engine.surroundings import Surroundings

_STREAMS = 500  # per log group; ministack opens one per invocation
_EXECUTIONS = 1000  # finished ones; AWS keeps 90 days
_METRIC_SECONDS = 24 * 3600
_METRIC_POINTS = 5000  # of one metric: an endpoint under load adds some every second
_EVERY = 15  # seconds


def check() -> None:
    """Require the three stores that only grow."""
    expect_value(cloudwatch_logs, "_log_groups", cloudwatch_logs.AccountRegionScopedDict)
    expect_value(cloudwatch, "TWO_WEEKS_SECONDS", int)
    expect_value(cloudwatch, "_metrics", cloudwatch.AccountRegionScopedDict)
    expect_value(stepfunctions, "_executions", stepfunctions.AccountRegionScopedDict)


def apply(surroundings: Surroundings) -> None:
    """Trim them now and then."""
    cloudwatch.TWO_WEEKS_SECONDS = _METRIC_SECONDS
    seconds = itertools.count()

    def trim() -> None:
        if next(seconds) % _EVERY == 0:
            for group in cloudwatch_logs._log_groups.all_values():
                drop_oldest(group["streams"], _STREAMS)
            for points in list(cloudwatch._metrics.all_values()):
                del points[:-_METRIC_POINTS]
            for arn in old_executions():
                forget(surroundings.records, arn)

    surroundings.every_second.append(trim)


def drop_oldest(streams: dict[str, Any], kept: int) -> None:
    """Leave the *kept* streams that were opened last."""
    for name in list(streams)[: max(0, len(streams) - kept)]:
        streams.pop(name, None)


def old_executions(kept: int = _EXECUTIONS) -> list[str]:
    """Return the ARNs of finished executions beyond the *kept* latest."""
    finished = [
        (execution["stopDate"], execution["executionArn"])
        for execution in stepfunctions._executions.all_values()
        if execution["status"] != "RUNNING" and execution["stopDate"]
    ]
    return [arn for _, arn in sorted(finished, reverse=True)[kept:]]
