"""Monitoring schedules: a custom image runs over captured traffic, at its hours, once each."""

import json
import random
import time
from datetime import UTC, datetime

import polars as pl
import pytest
from botocore.exceptions import ClientError

from tidemill_jobs.drift import DriftSettings
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text
from tidemill_jobs.profile import Profiler
from tidemill_local.sagemaker.monitoring import Monitor
from tidemill_local.sagemaker.monitoring_metrics import Metrics

from .conftest import ACCOUNT, REGION, ROLE, eventually
from .model_servers import CSV_AND_JSON, ECHO, Hosting
from .test_capture import capture_config, captured

HOUR = 3_600
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidemill-jobs:1"
# Answers each row with a number that its first cell tells.
MODEL = ECHO.replace('text.startswith("1,")', "',' in text").replace(
    'b"0.5", "text/csv; charset=utf-8"',
    '"".join(f"0.{row[:1]}\\n" for row in text.splitlines()).encode(), "text/csv"',
)
# Says what it was told, and which files it was given; its message is the schedule's to choose.
TELLING = """
    import json, os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    source = pathlib.Path(os.environ["dataset_source"])
    told = {
        "environment": {name: os.environ.get(name) for name in (
            "dataset_format", "start_time", "end_time", "publish_cloudwatch_metrics",
            "sagemaker_endpoint_name", "sagemaker_monitoring_schedule_name", "mine")},
        "files": sorted(str(p.relative_to(source)) for p in source.rglob("*") if p.is_file()),
        "baseline": {name: pathlib.Path(os.environ[name]).read_text() for name in (
            "baseline_statistics", "baseline_constraints") if name in os.environ},
        "arguments": sys.argv[1:],
    }
    output = pathlib.Path(os.environ["output_path"])
    (output / "told.json").write_text(json.dumps(told))
    (base / "output").mkdir(exist_ok=True)
    (base / "output" / "message").write_text(os.environ.get("message", "Completed: fine"))
    sys.exit(int(os.environ.get("status", 0)))
"""


class FakeCloudWatch:
    """Keeps what was put; CloudWatch itself is the engine's matter."""

    def __init__(self):
        self.put = []

    def put_metric_data(self, *, Namespace, MetricData):
        self.put += [(Namespace, datum) for datum in MetricData]


def rows(count, *, seed=1, spread=100):
    chance = random.Random(seed)
    return [f"{chance.randint(1, 9)},{chance.gauss(500, spread):.1f}" for _ in range(count)]


def profiled(lines):
    cells = [line.split(",") for line in lines]
    profiler = Profiler({"digit": "category", "distance": "number", "prediction": "number"})
    frame = {
        "digit": [digit for digit, _ in cells],
        "distance": [float(far) for _, far in cells],
        "prediction": [float(f"0.{digit}") for digit, _ in cells],
    }
    profiler.add(pl.DataFrame(frame))
    return profiler.profile()


class Monitored:
    """An endpoint whose traffic is captured, and schedules for it."""

    def __init__(self, cloud, s3, bucket):
        self.cloud, self.s3, self.bucket = cloud, s3, bucket
        self.sagemaker = cloud.sagemaker
        self.hosting = Hosting(cloud, s3, bucket)
        image = cloud.image(MODEL)
        rule = capture_config(bucket, CaptureContentTypeHeader=CSV_AND_JSON)
        config = self.hosting.config(self.hosting.model(image=image), DataCaptureConfig=rule)
        self.endpoint = self.hosting.endpoint(config)
        self.telling = cloud.image(TELLING)
        self.cloudwatch = FakeCloudWatch()
        cloud.service.context.part(Metrics)._cloudwatch = self.cloudwatch

    def ask(self, lines, batch=200):
        """Send rows, and wait until all that was ever sent lies in S3."""
        before = len(captured(self.s3, self.bucket))
        parts = [lines[first : first + batch] for first in range(0, len(lines), batch)]
        for part in parts:
            self.hosting.invoke(self.endpoint, "\n".join(part).encode(), ContentType="text/csv")
        eventually(
            lambda: len(captured(self.s3, self.bucket)) == before + len(parts), "it is captured"
        )

    def put_traffic(self, hour, text="{}\n"):
        folder = f"{datetime.fromtimestamp(hour, UTC):%Y/%m/%d/%H}"
        key = f"capture/p/m/{self.endpoint}/AllTraffic/{folder}/00-00-000-x.jsonl"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text)

    def put_baseline(self, profile):
        asked = constraints(profile, monitoring_config(DriftSettings()))
        named = {}
        for name, document in (("statistics", statistics(profile)), ("constraints", asked)):
            key = f"baseline/{name}.json"
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=to_text(document))
            named[f"{name.capitalize()}Resource"] = {"S3Uri": f"s3://{self.bucket}/{key}"}
        return named

    def definition(self, image=None, **changes):
        output = {"S3Uri": f"s3://{self.bucket}/reports", "LocalPath": "/opt/ml/processing/output"}
        source = {"EndpointName": self.endpoint, "LocalPath": "/opt/ml/processing/input/endpoint"}
        cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        return {
            "MonitoringInputs": [{"EndpointInput": source}],
            "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
            "MonitoringResources": {"ClusterConfig": cluster},
            "MonitoringAppSpecification": {"ImageUri": image or self.telling},
            "RoleArn": ROLE,
        } | changes

    def create(self, name="hourly", when="cron(0 * ? * * *)", definition=None, **schedule):
        config = {"MonitoringJobDefinition": definition or self.definition()}
        config["ScheduleConfig"] = {"ScheduleExpression": when, **schedule}
        self.sagemaker.create_monitoring_schedule(
            MonitoringScheduleName=name, MonitoringScheduleConfig=config
        )
        return name

    def run_now(self, name="now", definition=None):
        """Make a schedule of now; return its execution when that has ended."""
        window = {"DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "PT1H"}
        self.create(name, "NOW", definition, **window)
        return self.ended(name)

    def executions(self, name, **filters):
        return self.sagemaker.list_monitoring_executions(MonitoringScheduleName=name, **filters)[
            "MonitoringExecutionSummaries"
        ]

    def ended(self, name, count=1):
        def has_ended():
            found = self.executions(name)
            busy = ("Pending", "InProgress", "Stopping")
            return len(found) >= count and all(
                one["MonitoringExecutionStatus"] not in busy for one in found
            )

        eventually(has_ended, "the execution ends")
        return self.executions(name)[0]

    def told(self, prefix="reports/"):
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["Contents"]
        keys = [item["Key"] for item in found if item["Key"].endswith("told.json")]
        body = self.s3.get_object(Bucket=self.bucket, Key=keys[-1])["Body"].read()
        return keys[-1], json.loads(body)

    def look(self, now):
        """Let the monitor look as if it were later."""
        self.cloud.service.context.part(Monitor).look(now)


@pytest.fixture
def monitored(cloud, s3, bucket):
    return Monitored(cloud, s3, bucket)


def next_hour():
    return (time.time() // HOUR + 1) * HOUR


def code(raised):
    return raised.value.response["Error"]["Code"]


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


def test_now_runs_once_and_again_when_it_is_started(monitored):
    monitored.put_traffic(time.time())
    monitored.run_now()

    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName="now")
    assert described["MonitoringScheduleStatus"] == "Stopped"
    assert described["LastMonitoringExecutionSummary"]["MonitoringExecutionStatus"] == "Completed"

    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="now")
    monitored.ended("now", count=2)
    assert len(monitored.executions("now")) == 2


def test_a_stopped_schedule_does_not_run_until_it_is_started(monitored):
    hour = next_hour()
    monitored.create()
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName="hourly")

    monitored.look(hour + 10)
    assert monitored.executions("hourly") == []
    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="hourly")
    monitored.look(hour + 10)

    assert monitored.ended("hourly")["MonitoringExecutionStatus"] == "Failed"


def test_an_update_changes_what_runs(monitored):
    monitored.create()
    changed = monitored.definition(Environment={"mine": "changed"})
    monitored.sagemaker.update_monitoring_schedule(
        MonitoringScheduleName="hourly",
        MonitoringScheduleConfig={
            "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
            "MonitoringJobDefinition": changed,
        },
    )
    hour = next_hour()
    monitored.put_traffic(hour - HOUR)

    monitored.look(hour + 10)
    monitored.ended("hourly")

    assert monitored.told()[1]["environment"]["mine"] == "changed"


def test_a_deleted_schedule_is_gone_and_its_executions_are_not(monitored):
    monitored.create()
    monitored.look(next_hour() + 10)
    monitored.ended("hourly")

    monitored.sagemaker.delete_monitoring_schedule(MonitoringScheduleName="hourly")

    for ask in (
        monitored.sagemaker.describe_monitoring_schedule,
        monitored.sagemaker.stop_monitoring_schedule,
        monitored.sagemaker.start_monitoring_schedule,
        monitored.sagemaker.delete_monitoring_schedule,
    ):
        with pytest.raises(ClientError) as raised:
            ask(MonitoringScheduleName="hourly")
        assert code(raised) == "ResourceNotFound"
    assert len(monitored.executions("hourly")) == 1
    monitored.create()
    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName="hourly")
    assert "LastMonitoringExecutionSummary" not in described


def test_lists_have_pages_and_filters(monitored):
    names = [monitored.create(f"schedule-{number}") for number in range(3)]
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName=names[0])

    pages = monitored.sagemaker.get_paginator("list_monitoring_schedules").paginate(
        PaginationConfig={"PageSize": 2}
    )
    listed = [
        one["MonitoringScheduleName"]
        for page in pages
        for one in page["MonitoringScheduleSummaries"]
    ]
    assert listed == names[::-1]
    ask = monitored.sagemaker.list_monitoring_schedules
    assert len(ask(StatusEquals="Stopped")["MonitoringScheduleSummaries"]) == 1
    assert len(ask(EndpointName=monitored.endpoint)["MonitoringScheduleSummaries"]) == 3
    assert ask(EndpointName="other")["MonitoringScheduleSummaries"] == []
    assert ask(NameContains="ule-2")["MonitoringScheduleSummaries"][0]["EndpointName"]

    hour = next_hour()
    monitored.look(hour + 10)
    for name in names[1:]:
        monitored.ended(name)
    ask = monitored.sagemaker.list_monitoring_executions
    assert len(ask(EndpointName=monitored.endpoint)["MonitoringExecutionSummaries"]) == 2
    assert ask(StatusEquals="Completed")["MonitoringExecutionSummaries"] == []
    assert ask(ScheduledTimeAfter=hour)["MonitoringExecutionSummaries"] == []
    first = ask(MaxResults=1, SortBy="ScheduledTime")
    second = ask(MaxResults=1, SortBy="ScheduledTime", NextToken=first["NextToken"])
    both = first["MonitoringExecutionSummaries"] + second["MonitoringExecutionSummaries"]
    assert {one["MonitoringScheduleName"] for one in both} == set(names[1:])


def test_a_name_is_taken_whatever_its_letters(monitored):
    monitored.create("hourly")
    with pytest.raises(ClientError) as raised:
        monitored.create("Hourly")
    assert code(raised) == "ResourceInUse"


def test_a_data_quality_job_definition_runs_by_its_name(monitored):
    held = monitored.definition()
    monitored.sagemaker.create_data_quality_job_definition(
        JobDefinitionName="quality",
        DataQualityAppSpecification={"ImageUri": monitored.telling, "Environment": {"mine": "own"}},
        DataQualityJobInput=held["MonitoringInputs"][0],
        DataQualityJobOutputConfig=held["MonitoringOutputConfig"],
        JobResources=held["MonitoringResources"],
        RoleArn=ROLE,
    )
    monitored.put_traffic(time.time())
    window = {"DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "PT1H"}
    monitored.sagemaker.create_monitoring_schedule(
        MonitoringScheduleName="named",
        MonitoringScheduleConfig={
            "ScheduleConfig": {"ScheduleExpression": "NOW", **window},
            "MonitoringJobDefinitionName": "quality",
            "MonitoringType": "DataQuality",
        },
    )

    execution = monitored.ended("named")

    assert execution["MonitoringExecutionStatus"] == "Completed"
    assert execution["MonitoringJobDefinitionName"] == "quality"
    assert monitored.told()[1]["environment"]["mine"] == "own"
    described = monitored.sagemaker.describe_data_quality_job_definition(
        JobDefinitionName="quality"
    )
    assert described["RoleArn"] == ROLE
    listed = monitored.sagemaker.list_data_quality_job_definitions()["JobDefinitionSummaries"]
    assert [one["MonitoringJobDefinitionName"] for one in listed] == ["quality"]

    monitored.sagemaker.delete_data_quality_job_definition(JobDefinitionName="quality")
    with pytest.raises(ClientError) as raised:
        monitored.sagemaker.describe_data_quality_job_definition(JobDefinitionName="quality")
    assert code(raised) == "ResourceNotFound"
    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="named")
    last = monitored.ended("named", count=2)
    assert last["FailureReason"] == "The monitoring job definition quality was deleted"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"MonitoringInputs": [{}]}, "not batch transform jobs"),
        ({"BaselineConfig": {"BaseliningJobName": "x"}}, "BaseliningJobName"),
        (
            {
                "MonitoringAppSpecification": {
                    "ImageUri": "x",
                    "RecordPreprocessorSourceUri": "s3://b/x.py",
                }
            },
            "RecordPreprocessorSourceUri",
        ),
        (
            {
                "MonitoringResources": {
                    "ClusterConfig": {
                        "InstanceCount": 2,
                        "InstanceType": "ml.m5.large",
                        "VolumeSizeInGB": 1,
                    }
                }
            },
            "one instance",
        ),
        (
            {"MonitoringInputs": [{"EndpointInput": {"EndpointName": "x", "LocalPath": "/tmp/x"}}]},
            "below /opt/ml/processing",
        ),
        (
            {
                "MonitoringInputs": [
                    {"EndpointInput": {"EndpointName": "x", "LocalPath": "/opt/ml/processing/in"}}
                ]
            },
            "Could not find endpoint",
        ),
    ],
)
def test_what_could_not_run_is_refused_at_once(monitored, changes, said):
    with pytest.raises(ClientError, match=said) as raised:
        monitored.create(definition=monitored.definition(**changes))
    assert code(raised) == "ValidationException"
    assert monitored.sagemaker.list_monitoring_schedules()["MonitoringScheduleSummaries"] == []


def test_an_endpoint_that_captures_nothing_cannot_be_monitored(monitored):
    monitored.endpoint = monitored.hosting.endpoint()
    with pytest.raises(ClientError, match="does not have data capture enabled"):
        monitored.create()


def test_an_endpoint_that_was_deleted_fails_the_execution(monitored):
    monitored.create()
    monitored.sagemaker.delete_endpoint(EndpointName=monitored.endpoint)
    monitored.hosting.settled(monitored.endpoint)

    monitored.look(next_hour() + 10)

    assert "is gone" in monitored.ended("hourly")["FailureReason"]


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
