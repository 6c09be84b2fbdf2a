"""The executions of monitoring schedules: started when they are due, followed to their end."""

import logging
import threading
import time
from typing import Any

from tidemill_local.sagemaker.containers.channels import TransferError
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceInUseError, ServiceError
from tidemill_local.sagemaker.jobs import processing
from tidemill_local.sagemaker.jobs.runnable import short_reason
from tidemill_local.sagemaker.monitoring import jobs as monitoring_jobs
from tidemill_local.sagemaker.monitoring.jobs import NoDataError
from tidemill_local.sagemaker.monitoring.times import hours_of, next_time
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

SCHEDULE, EXECUTION, DEFINITION = (
    "MonitoringSchedule",
    "MonitoringExecution",
    "DataQualityJobDefinition",
)
NEXT = "_Next"  # when a schedule is due, in seconds since 1970; not there when it is not
ID = "_Id"  # an execution's name in the store
_SETTLES = 5.0  # seconds after the hour, until what was captured in it is in S3
_LOOKS = 1.0  # seconds between two looks
_JOIN_SECONDS = 30.0
_VIOLATIONS = "CompletedWithViolations"


class _NotDueError(Exception):
    """The schedule was stopped, changed or run in the meantime."""


class Monitor:
    """
    Looks once a second at what is due and what has ended; a part of a service's context.

    Its thread begins with the first schedule. An execution is written down together with the
    schedule's next time, and its job's name follows from its own, so it runs once whenever the
    service is killed.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        rows = self._store.rows(EXECUTION)
        self._underway = {row[ID]: None for row in rows if not has_ended(row)}

    def nudge(self) -> None:
        """Look now, and from now on."""
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)
                self._thread.start()
        self._wake.set()

    def resume(self) -> None:
        """Go on with what an earlier service knew."""
        if self._underway or self._store.rows(SCHEDULE):
            self.nudge()

    def stop(self) -> None:
        """End the thread; records stay as they are."""
        with self._lock:
            self._stopping.set()
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(_JOIN_SECONDS)

    def look(self, now: float) -> None:
        """Start what is due at a time, in seconds since 1970, and follow what runs."""
        for schedule in self._store.rows(SCHEDULE):
            due = schedule.get(NEXT)
            settled = due is not None and now >= due + (_SETTLES if _recurs(schedule) else 0.0)
            if settled and schedule["MonitoringScheduleStatus"] == "Scheduled":
                self._take(schedule["MonitoringScheduleName"], now)
        for name in list(self._underway):
            self._follow(name)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look(time.time())
            except Exception:  # the next look may do better
                logger.exception("monitoring schedules")
            self._wake.wait(_LOOKS)
            self._wake.clear()

    def _take(self, name: str, now: float) -> None:
        """
        Write down an execution and the next time, both or neither.

        Of several that were missed only the first runs: the others are of hours in which nothing
        here could be asked.
        """
        made: list[str] = []

        def change(body: dict[str, Any]) -> None:
            scheduled = body.get(NEXT)
            if (
                scheduled is None
                or scheduled > now
                or body["MonitoringScheduleStatus"] != "Scheduled"
            ):
                raise _NotDueError
            hours = hours_of(body["MonitoringScheduleConfig"].get("ScheduleConfig"))
            body[NEXT] = next_time(hours, now) if hours else None
            if not hours:
                body["MonitoringScheduleStatus"] = "Stopped"
            made.append(self._insert(body, scheduled))

        try:
            self._store.edit(SCHEDULE, name, change)
        except (_NotDueError, MissingRecordError):
            return
        self._underway.update(dict.fromkeys(made))

    def _insert(self, schedule: dict[str, Any], scheduled: float) -> str:
        name = monitoring_jobs.job_name(schedule, scheduled)
        known = ("MonitoringScheduleName", "EndpointName", "MonitoringType")
        body = {field: schedule[field] for field in known if field in schedule} | {
            ID: name,
            "ScheduledTime": scheduled,
            "MonitoringExecutionStatus": "Pending",
            "_Schedule": schedule,
        }
        if "MonitoringJobDefinitionName" in schedule:
            body["MonitoringJobDefinitionName"] = schedule["MonitoringJobDefinitionName"]
        self._store.insert(EXECUTION, name, body)
        return name

    def _follow(self, name: str) -> None:
        body = self._store.get(EXECUTION, name)
        if body is not None and body["MonitoringExecutionStatus"] == "Pending":
            body = self._start(body)
        if body is not None and not has_ended(body):
            body = self._read(body)
        if body is None or has_ended(body):
            self._underway.pop(name, None)

    def _start(self, body: dict[str, Any]) -> dict[str, Any]:
        schedule, name = body["_Schedule"], body[ID]
        try:
            definition = definition_of(self._context, schedule)
            request = monitoring_jobs.job_request(
                self._context, schedule, definition, body["ScheduledTime"]
            )
            processing.create_processing_job(self._context, request)
        except ResourceInUseError:
            logger.info("the job of %s was there already", name)
        except (NoDataError, TransferError, ServiceError) as error:
            return self._end(body, "Failed", str(error))
        return self._store.update(
            EXECUTION,
            name,
            MonitoringExecutionStatus="InProgress",
            ProcessingJobArn=processing.describe_processing_job(
                self._context, {"ProcessingJobName": name}
            )["ProcessingJobArn"],
        )

    def _read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take over what became of the execution's job."""
        job = self._store.get("ProcessingJob", body[ID])
        if job is None:
            return self._end(body, "Failed", "InternalServerError: the processing job is gone")
        status = job["ProcessingJobStatus"]
        if status == "Completed":
            message = job.get("ExitMessage", "")
            found = message.startswith(_VIOLATIONS)
            return self._end(body, _VIOLATIONS if found else "Completed", message)
        if status in ("Failed", "Stopped"):
            reason = job.get("FailureReason") or job.get("ExitMessage", "")
            return self._end(body, status, reason)
        if status != body["MonitoringExecutionStatus"]:
            return self._store.update(EXECUTION, body[ID], MonitoringExecutionStatus=status)
        return body

    def _end(self, body: dict[str, Any], status: str, reason: str) -> dict[str, Any]:
        said = short_reason(reason) if reason and status != "Completed" else None
        return self._store.update(
            EXECUTION, body[ID], MonitoringExecutionStatus=status, FailureReason=said
        )


def has_ended(execution: dict[str, Any]) -> bool:
    """Whether an execution's status is its last."""
    return execution["MonitoringExecutionStatus"] not in ("Pending", "InProgress", "Stopping")


def definition_of(context: Context, schedule: dict[str, Any]) -> dict[str, Any]:
    """
    Return a schedule's MonitoringJobDefinition: its own, or one that it names.

    Raises:
        NoDataError: What it names is gone.
    """
    config = schedule["MonitoringScheduleConfig"]
    if "MonitoringJobDefinition" in config:
        return dict(config["MonitoringJobDefinition"])
    name = config["MonitoringJobDefinitionName"]
    found = context.store.get(DEFINITION, name)
    if found is None:
        raise NoDataError(f"The monitoring job definition {name} was deleted")
    return inline(found)


def inline(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a data quality job definition as a schedule would hold it itself."""
    app = dict(definition["DataQualityAppSpecification"])
    environment = app.pop("Environment", {})
    held = {
        "MonitoringInputs": [definition["DataQualityJobInput"]],
        "MonitoringOutputConfig": definition["DataQualityJobOutputConfig"],
        "MonitoringResources": definition["JobResources"],
        "MonitoringAppSpecification": app,
        "BaselineConfig": definition.get("DataQualityBaselineConfig", {}),
        "Environment": environment,
        "RoleArn": definition["RoleArn"],
    }
    optional = ("StoppingCondition", "NetworkConfig")
    return held | {field: definition[field] for field in optional if field in definition}


def _recurs(schedule: dict[str, Any]) -> bool:
    return bool(hours_of(schedule["MonitoringScheduleConfig"].get("ScheduleConfig")))


@on_start
def resume_monitoring(context: Context) -> None:
    """Go on with the schedules of an earlier service, and with what it left underway."""
    context.part(Monitor).resume()


@on_stop
def stop_monitoring(context: Context) -> None:
    """Start no more executions."""
    context.part(Monitor).stop()
