"""When a monitoring schedule runs, and which hours of traffic a run looks at; all times are UTC."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tidemill_local.sagemaker.errors import ValidationError

NOW = "NOW"
HOUR = 3600.0
_DAY = 24
_CRON = re.compile(r"cron\(0 (\*|[01]?\d|2[0-3])(?:/(0?[1-9]|1\d|2[0-4]))? \? \* \* \*\)")
_OFFSET = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_DAILY = "cron(0 0 ? * * *)"  # without a ScheduleConfig SageMaker picks an hour


def hours_of(schedule: Mapping[str, Any] | None) -> frozenset[int]:
    """
    Return the hours of the day at which a ScheduleConfig runs; none when it is NOW, and runs once.

    Raises:
        ValidationError: The expression is none that SageMaker supports, or NOW lacks its window.
    """
    config = schedule or {"ScheduleExpression": _DAILY}
    expression = config["ScheduleExpression"]
    for field in ("DataAnalysisStartTime", "DataAnalysisEndTime"):
        if field in config:
            _offset(config[field], field)
        elif expression == NOW:
            raise ValidationError(
                "DataAnalysisStartTime and DataAnalysisEndTime must be given with the "
                "ScheduleExpression NOW, such as -PT1H and -PT0H"
            )
    if expression == NOW:
        return frozenset()
    found = _CRON.fullmatch(expression)
    if found is None:
        raise ValidationError(
            f"Invalid ScheduleExpression {expression}: supported are cron(0 * ? * * *), "
            "cron(0 [00-23] ? * * *), cron(0 [00-23]/[01-24] ? * * *) and NOW"
        )
    first, step = found.groups()
    if first == "*":
        return frozenset(range(0, _DAY, int(step or 1)))
    every = int(step or _DAY)
    return frozenset((int(first) + turn * every) % _DAY for turn in range(_DAY // every))


def next_time(hours: frozenset[int], after: float) -> float:
    """Return the first of these hours after a moment, both in seconds since 1970."""
    at = (after // HOUR + 1) * HOUR
    while datetime.fromtimestamp(at, UTC).hour not in hours:
        at += HOUR
    return at


def period(schedule: Mapping[str, Any] | None, scheduled: float) -> tuple[float, float]:
    """
    Return begin and end of what the run of a time looks at, in seconds since 1970.

    That is what ScheduleConfig's offsets say, else the time since the run before.
    """
    config = schedule or {"ScheduleExpression": _DAILY}
    hours = hours_of(config)
    begin = scheduled - HOUR
    while hours and datetime.fromtimestamp(begin, UTC).hour not in hours:
        begin -= HOUR
    end = scheduled
    if "DataAnalysisStartTime" in config:
        begin = scheduled + _offset(config["DataAnalysisStartTime"], "DataAnalysisStartTime")
    if "DataAnalysisEndTime" in config:
        end = scheduled + _offset(config["DataAnalysisEndTime"], "DataAnalysisEndTime")
    return begin, end


def folders(begin: float, end: float) -> Iterator[str]:
    """Yield the folders `yyyy/mm/dd/hh` in which the traffic of a period may lie."""
    at = begin // HOUR * HOUR
    while at < end:
        yield f"{datetime.fromtimestamp(at, UTC):%Y/%m/%d/%H}"
        at += HOUR


def written(at: float) -> str:
    """Return a moment as containers are told it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _offset(text: str, field: str) -> float:
    found = _OFFSET.fullmatch(text)
    if found is None or not any(found.groups()[1:]):
        raise ValidationError(f"{field} {text} is no ISO 8601 duration, such as -PT1H")
    sign, days, hours, minutes, seconds = found.groups()
    length = timedelta(
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
    ).total_seconds()
    return -length if sign else length
