"""An endpoint whose traffic is captured, baselines, images that look at it, and its schedules."""

import json
import random
import time
from datetime import UTC, datetime

import polars as pl

from tidemill_jobs.drift import DriftSettings
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text
from tidemill_jobs.profile import Profiler
from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.monitoring.executions import Monitor

from .conftest import ROLE, eventually
from .model_servers import CSV_AND_JSON, ECHO, Hosting
from .test_capture import capture_config, captured

HOUR = 3_600
NOW = {
    "ScheduleExpression": "NOW",
    "DataAnalysisStartTime": "-PT1H",
    "DataAnalysisEndTime": "PT1H",
}
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
        cloud.service.context.part(CloudWatch).client = self.cloudwatch

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
        window = {field: text for field, text in NOW.items() if field != "ScheduleExpression"}
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


def next_hour():
    return (time.time() // HOUR + 1) * HOUR


def code(raised):
    return raised.value.response["Error"]["Code"]
