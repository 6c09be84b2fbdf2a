"""What S3 and CloudWatch tell EventBridge: object versions, and alarms that change their state."""

import contextvars
import json
from datetime import UTC, datetime
from typing import Any

from ministack.services import cloudwatch, eventbridge, s3

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Surroundings

_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version", default=None)


def check() -> None:
    """Require where the two kinds of event come from, and where they go."""
    expect(
        s3, "_fire_s3_event",
        "(bucket_name, key, event_name, size=0, etag='', deletion_type=None, "
        "restore_event_data=None, version_id=None, sequencer=None, object_extra=None, "
        "record_extra=None)",
    )  # fmt: skip
    expect(
        cloudwatch, "_record_history",
        "(alarm_name, old_state, new_state, reason, alarm_type='MetricAlarm', reason_data=None)",
    )  # fmt: skip
    expect(eventbridge, "_dispatch_event", "(event, view=None)")
    expect(eventbridge, "_put_events", "(data, allow_aws_source=False)")


def apply(_: Surroundings) -> None:
    """Add what ministack leaves out."""
    _name_versions()
    _announce_alarms()


def emit(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, default=str),
        "Resources": resources,
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _name_versions() -> None:
    """On AWS the event of an object in a versioned bucket has `object.version-id`."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*arguments: Any, **named: Any) -> None:
        token = _version.set(named.get("version_id"))
        try:
            fire(*arguments, **named)
        finally:
            _version.reset(token)

    def dispatch_with_version(event: dict[str, Any], view: Any = None) -> None:
        version = _version.get()
        if version is not None and event["Source"] == "aws.s3" and view is None:
            _version.set(None)  # whatever the event sets off is no event of this object
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, view)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version


def _announce_alarms() -> None:
    record = cloudwatch._record_history

    def record_and_announce(name: str, old: str, new: str, *more: Any, **named: Any) -> None:
        record(name, old, new, *more, **named)
        if old != new:
            alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
            reason = alarm.get("StateReason", "")
            detail = _alarm_detail(alarm, name, old, new, reason)
            arn = alarm.get("AlarmArn", "")
            emit("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [arn])

    cloudwatch._record_history = record_and_announce


def _alarm_detail(
    alarm: dict[str, Any], name: str, old: str, new: str, reason: str
) -> dict[str, Any]:
    """Return the detail as documented under "Alarm events and EventBridge"."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    configuration: dict[str, Any] = {"description": alarm.get("AlarmDescription", "")}
    if "AlarmRule" in alarm:
        configuration["alarmRule"] = alarm["AlarmRule"]
    else:
        dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or ()}
        metric = {
            "namespace": alarm.get("Namespace", ""),
            "name": alarm.get("MetricName", ""),
            "dimensions": dimensions,
        }
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
        stat = {"metric": metric, "period": alarm.get("Period"), "stat": statistic}
        configuration["metrics"] = [{"id": "m1", "metricStat": stat, "returnData": True}]
    return {
        "alarmName": name,
        "state": {"value": new, "reason": reason, "timestamp": now},
        "previousState": {"value": old},
        "configuration": configuration,
    }
