"""Monitoring schedules: a custom image runs over captured traffic, at its hours, once each."""

import json
import time
from datetime import UTC, datetime

import pytest

from .conftest import ACCOUNT, REGION
from .monitored_endpoint import HOUR, Monitored, next_hour, profiled, rows

OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidemill-jobs:1"


@pytest.fixture
def monitored(cloud, s3, bucket):
    return Monitored(cloud, s3, bucket)


def test_our_analyzer_finds_no_violation_in_traffic_that_is_as_it_was(monitored):
    baseline = monitored.put_baseline(profiled(rows(5_000, seed=9)))
    monitored.ask(rows(1_000))

    execution = monitored.run_now(
        definition=monitored.definition(
            OURS,
            BaselineConfig=baseline,
            MonitoringAppSpecification={"ImageUri": OURS, "ContainerArguments": ["analyze"]},
        )
    )

    assert execution["MonitoringExecutionStatus"] == "Completed", execution.get("FailureReason")


def test_our_analyzer_finds_violations_in_traffic_that_drifted(monitored):
    baseline = monitored.put_baseline(profiled(rows(5_000, seed=9)))
    monitored.ask(rows(1_000, spread=400))

    execution = monitored.run_now(
        definition=monitored.definition(
            BaselineConfig=baseline,
            MonitoringAppSpecification={"ImageUri": OURS, "ContainerArguments": ["analyze"]},
        )
    )

    assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations"
    job = monitored.sagemaker.describe_processing_job(
        ProcessingJobName=execution["ProcessingJobArn"].rpartition("/")[2]
    )
    assert job["ExitMessage"] == (
        "CompletedWithViolations: Job completed successfully with 1 violation."
    )
    uri = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    key = f"{uri.removeprefix(f's3://{monitored.bucket}/')}/constraint_violations.json"
    body = monitored.s3.get_object(Bucket=monitored.bucket, Key=key)["Body"].read()
    (violation,) = json.loads(body)["violations"]
    assert violation["feature_name"] == "distance"
    assert violation["constraint_check_type"] == "baseline_drift_check"
    ((namespace, drift),) = [
        one
        for one in monitored.cloudwatch.put
        if one[1]["MetricName"] == "feature_baseline_drift_distance"
    ]
    assert namespace == "aws/sagemaker/Endpoints/data-metrics"
    assert drift["Value"] > 0.1
    assert {one["Name"]: one["Value"] for one in drift["Dimensions"]} == {
        "Endpoint": monitored.endpoint,
        "MonitoringSchedule": "now",
    }


def test_an_image_is_told_what_the_contract_says(monitored):
    hour = next_hour()
    monitored.put_traffic(hour - HOUR)
    monitored.put_traffic(hour - 2 * HOUR)  # of the hour before: not its business
    baseline = monitored.put_baseline(profiled(rows(100)))
    app = {"ImageUri": monitored.telling, "ContainerArguments": ["look"]}
    monitored.create(
        definition=monitored.definition(
            BaselineConfig=baseline, Environment={"mine": "yes"}, MonitoringAppSpecification=app
        )
    )

    monitored.look(hour + 10)
    execution = monitored.ended("hourly")

    assert execution["ScheduledTime"].timestamp() == hour
    at = f"{datetime.fromtimestamp(hour, UTC):%Y/%m/%d/%H}"
    key, told = monitored.told()
    assert key == f"reports/{monitored.endpoint}/hourly/{at}/told.json"
    before = datetime.fromtimestamp(hour - HOUR, UTC)
    assert told["environment"] == {
        "dataset_format": json.dumps(
            {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}},
            separators=(",", ":"),
        ),
        "start_time": f"{before:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{datetime.fromtimestamp(hour, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "publish_cloudwatch_metrics": "Enabled",
        "sagemaker_endpoint_name": monitored.endpoint,
        "sagemaker_monitoring_schedule_name": "hourly",
        "mine": "yes",
    }
    assert told["files"] == [
        f"{monitored.endpoint}/AllTraffic/{before:%Y/%m/%d/%H}/00-00-000-x.jsonl"
    ]
    assert told["arguments"] == ["look"]
    assert json.loads(told["baseline"]["baseline_statistics"])["dataset"] == {"item_count": 100}
    assert "features" in json.loads(told["baseline"]["baseline_constraints"])
    (event,) = [
        one
        for one in monitored.cloud.details("Processing Job")
        if one["ProcessingJobStatus"] == "Completed"
    ]
    assert event["MonitoringScheduleArn"].endswith("monitoring-schedule/hourly")


@pytest.mark.parametrize(
    ("environment", "status", "reason"),
    [
        ({"message": "Completed: fine"}, "Completed", None),
        ({"message": "CompletedWithViolations: 3"}, "CompletedWithViolations", "3"),
        ({"status": "2"}, "Failed", "exit code: 2"),
    ],
)
def test_how_the_image_ends_is_the_status(monitored, environment, status, reason):
    monitored.put_traffic(time.time())

    execution = monitored.run_now(definition=monitored.definition(Environment=environment))

    assert execution["MonitoringExecutionStatus"] == status
    assert (reason or "") in execution.get("FailureReason", "")


def test_an_hour_without_traffic_fails_without_a_job(monitored):
    monitored.create()

    monitored.look(next_hour() + 10)
    execution = monitored.ended("hourly")

    assert execution["MonitoringExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Job inputs had no data"
    assert "ProcessingJobArn" not in execution


def test_each_hour_runs_once_and_missed_ones_but_the_first_are_left_out(monitored):
    hour = next_hour()
    monitored.create()

    monitored.look(hour + 1)  # what was captured in the hour may be on its way
    assert monitored.executions("hourly") == []
    monitored.look(hour + 10)
    monitored.look(hour + 20)
    monitored.look(hour + HOUR + 10)
    monitored.look(hour + 5 * HOUR + 10)
    monitored.ended("hourly", count=3)

    times = [one["ScheduledTime"].timestamp() for one in monitored.executions("hourly")]
    assert sorted(times) == [hour, hour + HOUR, hour + 2 * HOUR]
    monitored.look(hour + 6 * HOUR + 10)
    monitored.ended("hourly", count=4)
    assert len(monitored.executions("hourly")) == 4


def test_metrics_that_are_none_fail_nothing(monitored):
    image = monitored.cloud.image(
        """
        import os, pathlib
        folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output", "metrics", "cloudwatch")
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text('no json\\n\\n{"MetricName": 1}\\n')
        """
    )
    monitored.put_traffic(time.time())
    app = {"ImageUri": image}

    execution = monitored.run_now(definition=monitored.definition(MonitoringAppSpecification=app))

    assert execution["MonitoringExecutionStatus"] == "Completed"
