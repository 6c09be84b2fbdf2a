"""Metric alarms look at their own dimensions, M out of N periods, and notice missing data."""

import contextlib
import itertools
import time
from typing import Any

from ministack.services import cloudwatch

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.surroundings import Surroundings

_EVERY = 10  # seconds
_MISSING = {"breaching": True, "notBreaching": False}


def check() -> None:
    """Require the evaluation that we replace, and what a change of state sets off."""
    expect(cloudwatch, "_evaluate_alarm", "(alarm)")
    expect(cloudwatch, "_evaluate_all_alarms", "()")
    expect(cloudwatch, "_calc_stats", "(points)")
    expect(cloudwatch, "_stat_value", "(stats, stat_name, points=None)")
    expect(cloudwatch, "_dispatch_alarm_actions", "(alarm, old_state, new_state, reason)")
    expect(cloudwatch, "_evaluate_parent_alarms", "(child, seen=frozenset())")
    expect_value(cloudwatch, "_metrics", cloudwatch.AccountRegionScopedDict)


def apply(surroundings: Surroundings) -> None:
    """Evaluate when a metric arrives, and regularly, since silence is a finding too."""
    seconds = itertools.count()

    def regularly() -> None:
        if next(seconds) % _EVERY == 0:
            cloudwatch._evaluate_all_alarms()

    cloudwatch._evaluate_alarm = evaluate
    surroundings.every_second.append(regularly)


def evaluate(alarm: dict[str, Any]) -> None:
    """Bring a metric alarm's state up to date and tell those who asked."""
    if not alarm.get("Namespace") or not alarm.get("MetricName"):
        return  # metric math: ministack does not evaluate it either
    values = _values(alarm, time.time())
    old, new = alarm["StateValue"], _state(alarm, values)
    if new == old:
        return
    shown = ", ".join("no data" if value is None else f"{value:g}" for value in values)
    reason = (
        f"Threshold Crossed: the last {len(values)} datapoint(s) [{shown}] against "
        f"{alarm.get('ComparisonOperator')} {alarm.get('Threshold')}."
    )
    alarm |= {
        "StateValue": new,
        "StateReason": reason,
        "StateUpdatedTimestamp": int(time.time()),
    }
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _state(alarm: dict[str, Any], values: list[float | None]) -> str:
    missing = _MISSING.get(alarm.get("TreatMissingData", "missing"))
    breaching = [missing if value is None else _breaches(alarm, value) for value in values]
    if all(each is None for each in breaching):
        ignore = alarm.get("TreatMissingData") == "ignore"
        return str(alarm["StateValue"]) if ignore else "INSUFFICIENT_DATA"
    wanted = alarm.get("DatapointsToAlarm") or len(values)
    return "ALARM" if breaching.count(True) >= min(wanted, len(values)) else "OK"


def _breaches(alarm: dict[str, Any], value: float) -> bool:
    threshold = float(alarm.get("Threshold") or 0.0)
    return {
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "GreaterThanThreshold": value > threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }.get(alarm.get("ComparisonOperator", ""), False)


def _values(alarm: dict[str, Any], now: float) -> list[float | None]:
    """Return the statistic of each of the last N periods, newest first; None without data."""
    period, count = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    buckets: list[list[Any]] = [[] for _ in range(count)]
    for point in _points(alarm):
        age = int(max(0.0, now - point["Timestamp"]) // period)
        with contextlib.suppress(IndexError):
            buckets[age].append(point)
    return [
        cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
        if points
        else None
        for points in buckets
    ]


def _points(alarm: dict[str, Any]) -> list[Any]:
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or ()}
    return [
        point
        for (namespace, name, _), points in cloudwatch._metrics.items()
        if (namespace, name) == (alarm["Namespace"], alarm["MetricName"])
        for point in points
        if point.get("Dimensions", {}) == dimensions
    ]
