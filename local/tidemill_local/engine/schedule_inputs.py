"""Scheduler's words in a target's input: which schedule it is, and when it was due."""

import json
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge, scheduler

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Surroundings

_SOURCE = "aws.scheduler"


def check() -> None:
    """Require what Scheduler hands its targets to, with an event of its own."""
    expect(eventbridge, "_invoke_target", "(target, event, rule, view=None)")
    expect(scheduler, "_tick_schedules", "()")


def apply(_: Surroundings) -> None:
    """Fill the words in before the target is called."""
    invoke = eventbridge._invoke_target

    def invoke_filled(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        invoke(filled(target, event), event, rule, view)

    eventbridge._invoke_target = invoke_filled


def filled(target: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's *target* with the words of its input replaced; others as they are."""
    if event.get("Source") != _SOURCE or "Input" not in target:
        return target
    due = datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = {
        "schedule-arn": event["Resources"][0],
        "scheduled-time": due,
        "execution-id": event["EventId"],
        "attempt-number": "1",
    }
    text = target["Input"]
    for word, value in words.items():
        text = text.replace(f"<aws.scheduler.{word}>", json.dumps(value)[1:-1])
    return {**target, "Input": text}
