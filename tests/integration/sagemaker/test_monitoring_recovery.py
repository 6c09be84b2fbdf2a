"""A service that stops or is killed: each hour still has one execution, and each one an end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

from tidemill_local.sagemaker.monitoring.executions import Monitor

from .conftest import ACCOUNT, REGION, eventually
from .monitored_endpoint import HOUR, NOW, Monitored, next_hour

SLEEPING = """
    import os, pathlib, time
    base = pathlib.Path.cwd()
    (base / "main.tmp").write_text(str(os.getpid()))
    (base / "main.tmp").rename(base / "main.pid")
    time.sleep(600)
"""
# A service of its own process that has what an earlier one left, and one schedule of now.
SERVICE = """
import json, pathlib, sys, time
from tidemill_local.sagemaker.service import Service
root, url, account, region, schedule = sys.argv[1:]
service = Service(root=pathlib.Path(root), endpoint_url=url, account=account, region=region,
                  emit=lambda *event: None)
service.start()
status, _, answer = service.handle("CreateMonitoringSchedule", schedule.encode())
assert status == 200, answer
print("started", flush=True)
time.sleep(600)
"""


def test_after_a_stop_at_any_point_each_hour_still_has_one_execution(
    make_cloud, s3, bucket, tmp_path
):
    root = tmp_path / "state"
    first = Monitored(make_cloud(root=root), s3, bucket)
    hour = next_hour()
    first.put_traffic(hour - HOUR)
    first.create()
    monitor = first.cloud.service.context.part(Monitor)
    monitor.stop()
    monitor._take("hourly", hour + 10)  # written down, and then the machine goes off
    (name,) = monitor._underway
    first.cloud.service.stop()

    second = make_cloud(root=root)
    again = second.service.context.part(Monitor)

    def executions():
        return second.sagemaker.list_monitoring_executions()["MonitoringExecutionSummaries"]

    eventually(lambda: not again._underway, "it comes to its end")
    (execution,) = executions()
    assert execution["MonitoringExecutionStatus"] == "Completed"
    assert execution["ProcessingJobArn"].endswith(name)
    again.look(hour + 20)
    assert len(executions()) == 1

    # The job is there and the execution does not know: the same name finds it.
    second.service.context.store.update(
        "MonitoringExecution", name, MonitoringExecutionStatus="Pending", ProcessingJobArn=None
    )
    again._underway[name] = None
    again.look(hour + 30)
    (execution,) = executions()
    assert execution["MonitoringExecutionStatus"] == "Completed"
    assert len(second.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 1


def test_after_kill_9_an_execution_has_an_end_and_its_schedule_runs_again(
    make_cloud, aws, s3, bucket, tmp_path
):
    root = tmp_path / "state"
    first = Monitored(make_cloud(root=root), s3, bucket)
    first.put_traffic(time.time())
    definition = first.definition(first.cloud.image(SLEEPING))
    first.cloud.service.stop()
    schedule = {
        "MonitoringScheduleName": "now",
        "MonitoringScheduleConfig": {"ScheduleConfig": NOW, "MonitoringJobDefinition": definition},
    }
    service = subprocess.Popen(
        [
            sys.executable, "-c", textwrap.dedent(SERVICE),
            str(root), aws, ACCOUNT, REGION, json.dumps(schedule),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert service.stdout.readline() == "started\n"
        jobs = root / "jobs" / "processing"
        eventually(lambda: list(jobs.glob("*/*/main.pid")), "its job runs")
    finally:
        os.kill(service.pid, signal.SIGKILL)
        service.communicate()

    second = make_cloud(root=root)

    def last():
        listed = second.sagemaker.list_monitoring_executions(MonitoringScheduleName="now")
        return listed["MonitoringExecutionSummaries"]

    eventually(lambda: last()[0]["MonitoringExecutionStatus"] == "Failed", "it has an end")
    (execution,) = last()
    assert "the local cloud stopped while this job ran" in execution["FailureReason"]
    second.sagemaker.start_monitoring_schedule(MonitoringScheduleName="now")
    eventually(lambda: len(last()) == 2, "it runs again")
