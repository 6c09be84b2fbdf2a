"""`cron(…)` and `at(…)` are times of the schedule's own zone (ScheduleExpressionTimezone)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ministack.services import eventbridge, scheduler

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Surroundings


def check() -> None:
    """Require what a tick reads an expression with, and where schedules are kept."""
    expect(scheduler, "_tick_schedules", "()")
    expect(scheduler, "_at_time_epoch", "(expr)")
    expect(eventbridge, "_parse_cron_fields", "(expr)")
    expect(eventbridge, "_cron_next_fire", "(fields, after_dt)")


class Expression(str):
    """An expression that knows its zone; ministack's own hands on no more than the text."""

    __slots__ = ("zone",)
    zone: ZoneInfo

    @classmethod
    def of(cls, schedule: dict[str, Any]) -> str:
        """Return a schedule's expression; one in UTC, or in no zone that there is, is plain."""
        text = str(schedule["ScheduleExpression"])
        name = schedule.get("ScheduleExpressionTimezone") or "UTC"
        if name == "UTC":
            return text
        found = cls(text)
        try:
            found.zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return text
        return found


class Fields(tuple[Any, ...]):  # noqa: SLOT001  # a tuple has no room for slots
    """What a cron expression matches, with its zone."""

    zone: ZoneInfo


def apply(_: Surroundings) -> None:
    """Give each expression its zone before every tick, and read it there."""
    tick, at = scheduler._tick_schedules, scheduler._at_time_epoch
    parse, following = eventbridge._parse_cron_fields, eventbridge._cron_next_fire

    def ticking() -> None:
        for schedule in list(scheduler._schedules._data.values()):
            schedule["ScheduleExpression"] = Expression.of(schedule)
        tick()

    def at_zone(expression: str) -> float | None:
        epoch: float | None = at(expression)
        if epoch is None or not isinstance(expression, Expression):
            return epoch
        wall = datetime.fromtimestamp(epoch, UTC)  # the text was read as if it were UTC
        return wall.replace(tzinfo=expression.zone).timestamp()

    def parsed(expression: str) -> Any:
        fields = parse(expression)
        if fields is None or not isinstance(expression, Expression):
            return fields
        found = Fields(fields)
        found.zone = expression.zone
        return found

    def next_fire(fields: Any, after: datetime) -> datetime | None:
        if not isinstance(fields, Fields):
            found: datetime | None = following(fields, after)
            return found
        return next_in_zone(fields, after, following)

    scheduler._tick_schedules = ticking
    scheduler._at_time_epoch = at_zone
    eventbridge._parse_cron_fields = parsed
    eventbridge._cron_next_fire = next_fire


def next_in_zone(
    fields: Fields, after: datetime, following: Callable[[Any, datetime], datetime | None]
) -> datetime | None:
    """
    Return when a cron expression matches next after *after*, by the clocks of its zone.

    As Scheduler does it: an hour that clocks leave out in spring has no turn, and one that they
    show twice in autumn has one.
    """
    wall = following(fields, after.astimezone(fields.zone).replace(tzinfo=UTC, fold=0))
    while wall is not None:
        found = wall.replace(tzinfo=fields.zone).astimezone(UTC)
        if found.astimezone(fields.zone).replace(tzinfo=UTC, fold=0) == wall:
            return found
        wall = following(fields, wall)
    return None
