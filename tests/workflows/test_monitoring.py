"""`watch.backend: sagemaker` on the real engine: the schedule's job, its event, the look."""

import pytest

from deployed import table
from local_cloud import wait_until
from tidemill.names import aws_name

from .test_watch import DRIFT, SECONDS, STATES, ask, execution, traffic

pytestmark = pytest.mark.e2e

ENDED = ("Completed", "CompletedWithViolations", "Failed", "Stopped")
AT_ONCE = {
    "ScheduleExpression": "NOW",
    "DataAnalysisStartTime": "-PT1H",
    "DataAnalysisEndTime": "PT1H",
}


def schedule(stack, ref):
    """Return the model's schedule, described; None when there is none."""
    sagemaker = stack.cloud.client("sagemaker")
    name = aws_name("tidemill", *ref.split("/"), "watch")
    listed = sagemaker.list_monitoring_schedules(NameContains=name)["MonitoringScheduleSummaries"]
    return sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name) if listed else None


def run_now(stack, name):
    """Have the schedule run once, now; return how its execution ended."""
    sagemaker = stack.cloud.client("sagemaker")

    def executions():
        listed = sagemaker.list_monitoring_executions(MonitoringScheduleName=name)
        return listed["MonitoringExecutionSummaries"]

    before = len(executions())
    described = sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name)
    config = described["MonitoringScheduleConfig"] | {"ScheduleConfig": AT_ONCE}
    sagemaker.update_monitoring_schedule(
        MonitoringScheduleName=name, MonitoringScheduleConfig=config
    )
    sagemaker.start_monitoring_schedule(MonitoringScheduleName=name)

    def ended():
        found = executions()
        last = found[0]["MonitoringExecutionStatus"] if len(found) > before else ""
        return last if last in ENDED else None

    return wait_until(ended, SECONDS, lambda: str(executions()))


def test_the_schedule_s_job_finds_what_drifted_and_starts_the_look(stack):
    watch = {"every": "1h", "backend": "sagemaker", "drift": {**DRIFT, "retrain": False}}
    ref = stack.apply("monitored", watch=watch)
    stack.put(ref, "a.csv", table(600))
    stack.entry(ref, "rollout", seconds=SECONDS)
    name = aws_name("tidemill", *ref.split("/"), "watch")
    made = wait_until(lambda: schedule(stack, ref), SECONDS, lambda: stack.story(ref))
    assert made["MonitoringScheduleStatus"] == "Scheduled"
    assert made["EndpointName"] == aws_name("tidemill", *ref.split("/"))

    ask(stack, ref, traffic())
    assert run_now(stack, name) == "Completed"
    ask(stack, ref, traffic(600, shifted=True, seed=7))
    assert run_now(stack, name) == "CompletedWithViolations"

    entry = stack.entry(ref, "watch", seconds=SECONDS)
    assert entry["subject"] == "version 1"
    look = entry["facts"]["watch"]
    wait_until(
        lambda: stack.states(execution(stack, look)) == STATES, SECONDS, lambda: stack.story(ref)
    )

    stack.invoke("DeleteModelFunctionName", _delete(ref))
    assert schedule(stack, ref) is None


def _delete(ref):
    project, model = ref.split("/")
    return {"project": project, "model": model, "why": "the test is over"}
