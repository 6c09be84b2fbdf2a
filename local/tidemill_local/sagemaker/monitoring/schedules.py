"""The operations on monitoring schedules; `executions` runs them."""

import time
from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import (
    ResourceInUseError,
    ResourceNotFoundError,
    ValidationError,
)
from tidemill_local.sagemaker.monitoring import jobs as monitoring_jobs
from tidemill_local.sagemaker.monitoring.executions import (
    DEFINITION,
    EXECUTION,
    ID,
    NEXT,
    SCHEDULE,
    Monitor,
    inline,
)
from tidemill_local.sagemaker.monitoring.times import hours_of, next_time
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_DIFFERS = (
    "Scheduled at once, and one of NOW is Stopped once it ran; runs 5 seconds after its hour, and "
    "of missed hours the first only"
)
_GOES_ON = "an execution that is underway comes to its end"
_FILTERS = {
    "MonitoringScheduleName": "MonitoringScheduleName",
    "EndpointName": "EndpointName",
    "MonitoringJobDefinitionName": "MonitoringJobDefinitionName",
    "MonitoringTypeEquals": "MonitoringType",
}


@operation("CreateMonitoringSchedule", differs=f"{_DIFFERS}; {monitoring_jobs.DIFFERS}")
def create_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a schedule that runs from now on."""
    name = request["MonitoringScheduleName"]
    arn = arn_of(context, "monitoring-schedule", name.lower())
    config = request["MonitoringScheduleConfig"]
    if context.store.find_arn(arn) is not None:  # names differ in more than letter case
        raise _existing(arn)
    body = {
        "MonitoringScheduleName": name,
        "MonitoringScheduleArn": arn,
        "MonitoringScheduleStatus": "Scheduled",
        "MonitoringScheduleConfig": config,
        NEXT: _due(config),
        **_described(context, config),
    }
    try:
        context.store.insert(SCHEDULE, name, body, request.get("Tags", []))
    except DuplicateRecordError:
        raise _existing(arn) from None
    context.part(Monitor).nudge()
    return {"MonitoringScheduleArn": arn}


@operation("UpdateMonitoringSchedule", differs=f"{_DIFFERS}; {monitoring_jobs.DIFFERS}")
def update_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give a schedule another configuration; a stopped one stays stopped."""
    config = request["MonitoringScheduleConfig"]
    changes = {"MonitoringJobDefinitionName": None, "MonitoringType": None}
    changes |= _described(context, config) | {"MonitoringScheduleConfig": config}

    def change(body: dict[str, Any]) -> None:
        body.update(changes)
        if body["MonitoringScheduleStatus"] == "Scheduled":
            body[NEXT] = _due(config)

    body = _edit(context, request["MonitoringScheduleName"], change)
    context.part(Monitor).nudge()
    return {"MonitoringScheduleArn": body["MonitoringScheduleArn"]}


@operation("DescribeMonitoringSchedule")
def describe_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record, and how the last execution went."""
    body = context.store.get(SCHEDULE, request["MonitoringScheduleName"])
    if body is None:
        raise _missing(context, request["MonitoringScheduleName"])
    created = body["CreationTime"]
    executions = [
        row
        for row in context.store.rows(EXECUTION)
        if row["MonitoringScheduleName"] == body["MonitoringScheduleName"]
        and row["_Schedule"]["CreationTime"] == created
    ]
    return body | {"LastMonitoringExecutionSummary": executions[-1] if executions else None}


@operation("StartMonitoringSchedule")
def start_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Run a stopped schedule again; one that is NOW runs once more."""

    def change(body: dict[str, Any]) -> None:
        if body["MonitoringScheduleStatus"] != "Scheduled":
            body["MonitoringScheduleStatus"] = "Scheduled"
            body[NEXT] = _due(body["MonitoringScheduleConfig"])

    _edit(context, request["MonitoringScheduleName"], change)
    context.part(Monitor).nudge()
    return {}


@operation("StopMonitoringSchedule", differs=_GOES_ON)
def stop_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Run a schedule no more; an execution that is underway comes to its end."""

    def change(body: dict[str, Any]) -> None:
        body["MonitoringScheduleStatus"] = "Stopped"
        body[NEXT] = None

    _edit(context, request["MonitoringScheduleName"], change)
    return {}


@operation("DeleteMonitoringSchedule", differs=_GOES_ON)
def delete_monitoring_schedule(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a schedule; its executions stay listed."""
    try:
        context.store.delete(SCHEDULE, request["MonitoringScheduleName"])
    except MissingRecordError:
        raise _missing(context, request["MonitoringScheduleName"]) from None
    return {}


@operation("ListMonitoringSchedules")
def list_monitoring_schedules(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries, newest first."""
    return paging.page(
        request,
        _matching(context, SCHEDULE, request),
        answer="MonitoringScheduleSummaries",
        name="MonitoringScheduleName",
        status="MonitoringScheduleStatus",
        order="Descending",
    )


@operation("ListMonitoringExecutions")
def list_monitoring_executions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries, newest first."""
    after = request.get("ScheduledTimeAfter", float("-inf"))
    before = request.get("ScheduledTimeBefore", float("inf"))
    rows = _matching(context, EXECUTION, request)
    return paging.page(
        request,
        [row for row in rows if after < row["ScheduledTime"] < before],
        answer="MonitoringExecutionSummaries",
        name=ID,
        status="MonitoringExecutionStatus",
        order="Descending",
    )


def _matching(context: Context, kind: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = {field: request[asked] for asked, field in _FILTERS.items() if asked in request}
    return [
        row
        for row in context.store.rows(kind)
        if all(row.get(field) == value for field, value in wanted.items())
    ]


def _described(context: Context, config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration; return the fields that schedules and executions show of it."""
    hours_of(config.get("ScheduleConfig"))
    name, definition = (
        config.get("MonitoringJobDefinitionName"),
        config.get("MonitoringJobDefinition"),
    )
    if (name is None) == (definition is None):
        raise ValidationError(
            "Exactly one of MonitoringJobDefinition and MonitoringJobDefinitionName must be given"
        )
    kind = config.get("MonitoringType")
    if kind not in (None, "DataQuality"):
        raise ValidationError(f"the local cloud monitors DataQuality, not {kind}")
    if definition is not None:
        return {"EndpointName": monitoring_jobs.check(context, definition)} | (
            {"MonitoringType": kind} if kind else {}
        )
    if kind is None:
        raise ValidationError("MonitoringType must be given with MonitoringJobDefinitionName")
    found = context.store.get(DEFINITION, str(name))
    if found is None:
        raise ValidationError(f"Could not find monitoring job definition {name}")
    return {
        "EndpointName": monitoring_jobs.check(context, inline(found)),
        "MonitoringJobDefinitionName": name,
        "MonitoringType": kind,
    }


def _due(config: dict[str, Any]) -> float:
    hours = hours_of(config.get("ScheduleConfig"))
    now = time.time()
    return next_time(hours, now) if hours else now


def _edit(context: Context, name: str, change: Any) -> dict[str, Any]:
    try:
        return context.store.edit(SCHEDULE, name, change)
    except MissingRecordError:
        raise _missing(context, name) from None


def _existing(arn: str) -> ResourceInUseError:
    return ResourceInUseError(f"Monitoring Schedule names must be unique; {arn} exists already")


def _missing(context: Context, name: str) -> ResourceNotFoundError:
    arn = arn_of(context, "monitoring-schedule", name.lower())
    return ResourceNotFoundError(f"Monitoring Schedule {arn} not found")
