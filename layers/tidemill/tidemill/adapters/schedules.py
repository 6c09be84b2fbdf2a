"""A model's schedules: EventBridge Scheduler calls `raise_trigger` by the clock."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidemill.domain.watch import SETTLING_SECONDS, window_of
from tidemill.errors import InvalidInputError
from tidemill.names import aws_name
from tidemill.spec.compiled import Spec
from tidemill.times import seconds_at

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

_AT = re.compile(r"at\((.+)\)")
#: Tried again for so long; then it goes to the dead letters, and the next firing comes anyway.
_RETRY = {"MaximumEventAgeInSeconds": 21_600, "MaximumRetryAttempts": 20}


@dataclass(frozen=True, slots=True)
class Target:
    """What the schedules call, as what, and where goes what could not be delivered: ARNs."""

    function: str  # for runs
    watch: str  # the function for looks at the endpoint's traffic
    role: str
    dead_letters: str


class Schedules:
    """
    The schedules of a stack's group; a model's are numbered from 0 without a gap.

    They are made in rising and deleted in falling order, so that they have no gap either when the
    one who does it dies: nobody has to list the group to find what is left over.
    """

    def __init__(self, client: "EventBridgeSchedulerClient", stack: str, group: str) -> None:
        self._client = client
        self._stack = stack
        self._group = group

    def sync(self, spec: Spec, target: Target, now: float) -> None:
        """
        Have the schedules be as *spec* says: no other, and none that was over before *now*.

        Raises:
            InvalidInputError: The time of an `at(…)` is none.
        """
        for number, expression in enumerate(spec.triggers.schedule):
            name = aws_name(self._stack, spec.project, spec.model, str(number))
            wanted = self._wanted(name, spec, expression, target, now)
            there = self._find(name)
            if there is None:
                self._client.create_schedule(**wanted)
            elif any(there.get(field) != value for field, value in wanted.items()):
                self._client.update_schedule(**wanted)  # whole: what is omitted is reset
        self._remove_from(spec.project, spec.model, len(spec.triggers.schedule))
        self._sync_watch(spec, target, now)

    def remove(self, project: str, model: str) -> list[str]:
        """Delete a model's schedules; return their names."""
        watch = watch_schedule(self._stack, project, model)
        names = [watch] if self._find(watch) else []
        for name in names:
            self._client.delete_schedule(GroupName=self._group, Name=name)
        return self._remove_from(project, model, 0) + names

    def _sync_watch(self, spec: Spec, target: Target, now: float) -> None:
        name, every = watch_schedule(self._stack, spec.project, spec.model), _every(spec)
        there = self._find(name)
        if not every:
            if there is not None:
                self._client.delete_schedule(GroupName=self._group, Name=name)
            return
        wanted = self._watch(name, spec, every, target)
        first = window_of(now, spec.watch.every_seconds) + spec.watch.every_seconds
        start = datetime.fromtimestamp(first + SETTLING_SECONDS, UTC)
        if there is None:
            self._client.create_schedule(**wanted, StartDate=start)
        elif any(there.get(field) != value for field, value in wanted.items()):
            self._client.update_schedule(**wanted, StartDate=start)

    def _watch(self, name: str, spec: Spec, every: str, target: Target) -> dict[str, Any]:
        message = {
            "project": spec.project,
            "model": spec.model,
            "at": "<aws.scheduler.scheduled-time>",
        }
        return {
            "GroupName": self._group,
            "Name": name,
            "Description": f"Looks at the traffic of {spec.ref}",
            "ScheduleExpression": every,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "NONE",
            "State": "ENABLED",
            "Target": _call(target, target.watch, message),
        }

    def _remove_from(self, project: str, model: str, first: int) -> list[str]:
        """Delete a model's numbered schedules from *first* on; return their names."""
        names: list[str] = []
        while self._find(name := aws_name(self._stack, project, model, str(first + len(names)))):
            names.append(name)
        for name in reversed(names):
            self._client.delete_schedule(GroupName=self._group, Name=name)
        return names

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._client.get_schedule(GroupName=self._group, Name=name))
        except self._client.exceptions.ResourceNotFoundException:
            return None

    def _wanted(
        self, name: str, spec: Spec, expression: str, target: Target, now: float
    ) -> dict[str, Any]:
        over = _is_over(expression, spec.triggers.time_zone, now)
        message = {
            "project": spec.project,
            "model": spec.model,
            "expression": expression,
            "schedule": "<aws.scheduler.schedule-arn>",
            "at": "<aws.scheduler.scheduled-time>",
        }
        return {
            "GroupName": self._group,
            "Name": name,
            "Description": f"Starts runs of {spec.ref}",
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": spec.triggers.time_zone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "NONE",  # one that is gone would be made, and fire, again
            "State": "DISABLED" if over else "ENABLED",
            "Target": _call(target, target.function, message),
        }


def watch_schedule(stack: str, project: str, model: str) -> str:
    """Return the name of the schedule of a model's watch."""
    return aws_name(stack, project, model, "watch")


def _call(target: Target, function: str, message: dict[str, str]) -> dict[str, Any]:
    return {
        "Arn": function,
        "RoleArn": target.role,
        "Input": json.dumps(message),
        "DeadLetterConfig": {"Arn": target.dead_letters},
        "RetryPolicy": _RETRY,
    }


def _every(spec: Spec) -> str:
    """
    Return the expression of the watch: Scheduler counts in minutes.

    It is empty for never, and where SageMaker's schedule starts the looks.
    """
    if spec.watch.backend == "sagemaker":
        return ""
    minutes = math.ceil(spec.watch.every_seconds / 60)
    return f"rate({minutes} minute{'' if minutes == 1 else 's'})" if minutes else ""


def _is_over(expression: str, zone: str, now: float) -> bool:
    once = _AT.fullmatch(expression)
    try:
        return once is not None and seconds_at(once[1], zone) <= now
    except ValueError as error:
        raise InvalidInputError(f"triggers.schedule: {expression}: {error}") from error
