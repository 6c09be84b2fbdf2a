"""What starts runs by itself, and what holds them back, on the real engine."""

import time

import pytest

from deployed import soon, table

pytestmark = pytest.mark.e2e


def test_a_schedule_starts_a_run_once(stack):
    ref = stack.apply("by-the-clock", triggers={"schedule": [soon()]})

    run = stack.ended_run(ref)

    assert (run["trigger"], run["status"]) == ("schedule", "refused"), stack.story(ref)
    assert "at(" in run["why"]
    stack.apply("by-the-clock", triggers={"schedule": [soon(-60)]}, deploy__count=2)
    time.sleep(2)  # Scheduler is looked at twice a second
    assert len(stack.runs(ref)) == 1, "a time that is over does not fire"
    stack.invoke(
        "DeleteModelFunctionName", {"project": "tests", "model": "by-the-clock", "why": "over"}
    )
    listed = stack.cloud.client("scheduler").list_schedules(NamePrefix="tidemill--tests--by-the")
    assert listed["Schedules"] == []


def test_drift_starts_a_run_and_is_told_once(stack):
    ref = stack.apply("drifting")
    found = {
        "version": 1, "project": "tests", "model": "drifting", "finding": "f-1",
        "feature": "x", "window": "w", "reason": "x has a PSI of 0.4",
    }  # fmt: skip
    stack.drift(found)
    stack.drift(found)

    run = stack.ended_run(ref)

    assert (run["trigger"], run["why"]) == ("drift", "drift was found: x has a PSI of 0.4")
    assert len(stack.runs(ref)) == 1


def test_an_alarm_that_a_spec_names_starts_a_run(stack):
    cloudwatch = stack.cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="auc-fell", Namespace="Tests", MetricName="Auc", Statistic="Average",
        Period=60, EvaluationPeriods=1, Threshold=0.7, ComparisonOperator="LessThanThreshold",
        TreatMissingData="ignore",
    )  # fmt: skip
    ref = stack.apply("alarmed", triggers={"alarms": ["auc-fell"]})
    for value in (0.9, 0.5):  # a first state, and then the one that counts
        cloudwatch.set_alarm_state(
            AlarmName="auc-fell",
            StateValue="ALARM" if value < 0.7 else "OK",
            StateReason=f"the AUC was {value}",
        )

    run = stack.ended_run(ref)

    assert (run["trigger"], run["why"]) == (
        "drift", "the alarm auc-fell went off: the AUC was 0.5",
    )  # fmt: skip


def test_a_cooldown_puts_the_next_run_off_and_then_it_starts(stack):
    ref = stack.apply("cooling", triggers={"cooldown": "30s"}, approve="manual")
    stack.start(ref, "the first")
    stack.ended_run(ref)
    stack.put(ref, "a.csv", table())

    put_off = stack.entry(ref, "trigger", verdict="defer")
    run = stack.ended_run(ref, number=2)

    assert "and the cooldown is 30s; this may start at" in put_off["reason"]
    first = stack.runs(ref)[0]
    assert run["started_at"] >= first["finished_at"] + 30
    assert (run["trigger"], run["status"]) == ("data", "succeeded"), stack.story(ref)
