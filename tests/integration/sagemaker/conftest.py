"""
A local SageMaker behind a real port, with S3 and CloudWatch Logs from moto behind another.

Tests talk to it as anyone would: with boto3 clients.
"""

import json
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tidemill_local import container_tools
from tidemill_local.sagemaker.context import Limits
from tidemill_local.sagemaker.service import Service

from .command_line import CommandLine
from .fake_aws import FakeAws
from .fake_serving import use_fake_processes
from .model_requests import misfits, operation

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/jobs"
PATIENCE = 30.0

FAST = Limits(stop_grace_seconds=1.0)


def client_of(service: str, endpoint_url: str):
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet; in two, Nagle's algorithm costs 40 ms a call

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if target.startswith("SageMaker."):
            name = target.removeprefix("SageMaker.")
            answer = self.server.service.handle(name, body)
            if answer[0] == HTTPStatus.OK:
                shape = operation(name).output_shape
                self.server.misfits += misfits(shape, json.loads(answer[2]), name)
        else:
            answer = self.server.service.invoke(self.command, self.path, self.headers, body)
        status, headers, payload = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def do_GET(self):
        self.do_POST()  # the Feature Store's runtime speaks REST

    def do_PUT(self):
        self.do_POST()

    def do_DELETE(self):
        self.do_POST()

    def log_message(self, *_):
        """Keep the test's output to what the test says."""


class Cloud:
    """A running service, the HTTP before it, its clients, and the events it emitted."""

    def __init__(self, root: Path, endpoint_url: str, limits: Limits) -> None:
        self.root = root
        self.events: list[tuple[str, dict, list[str]]] = []
        self.service = Service(
            root=root,
            endpoint_url=endpoint_url,
            account=ACCOUNT,
            region=REGION,
            emit=lambda *event: self.events.append(event),
            limits=limits,
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.service = self.service
        self._server.daemon_threads = True
        self._server.misfits = self.misfits = []
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.sagemaker = client_of("sagemaker", self.url)
        self.runtime = client_of("sagemaker-runtime", self.url)

    def start(self) -> "Cloud":
        self.service.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        self.sagemaker.close()
        self.runtime.close()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.service.stop()  # a second stop, after a test's own, does no harm

    def image(self, code: str) -> str:
        """Return the URI of an image whose program is this Python code."""
        name = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/test-{uuid.uuid4().hex[:8]}"
        script = self.root / "images" / f"{name.rpartition('/')[2]}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(textwrap.dedent(code))
        path = self.root / "images.json"
        images = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(images | {name: ["python", "-S", str(script)]}))
        return f"{name}:1"

    def details(self, kind: str, name: str = "", until: str | None = None) -> list[dict]:
        """
        Return the details of the events about one kind of thing (and one name), in order.

        A status is on record before its event is sent: `until` waits for the event of a status.
        """
        if until is not None:
            eventually(
                lambda: any(until in detail.values() for detail in self.details(kind, name)),
                f"an event of {kind} {name} with the status {until}",
            )
        return [
            detail
            for detail_type, detail, resources in self.events
            if detail_type == f"SageMaker {kind} State Change" and name in resources[0]
        ]

    def train(self, image: str, **request) -> str:
        name = request.pop("TrainingJobName", f"train-{uuid.uuid4().hex[:8]}")
        bucket = request.pop("bucket")
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=ROLE,
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"}
            | request.pop("AlgorithmSpecification", {}),
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            }
            | request.pop("ResourceConfig", {}),
            StoppingCondition={"MaxRuntimeInSeconds": 60} | request.pop("StoppingCondition", {}),
            **request,
        )
        return name

    def process(self, image: str, **request) -> str:
        name = request.pop("ProcessingJobName", f"process-{uuid.uuid4().hex[:8]}")
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn=ROLE,
            AppSpecification={"ImageUri": image} | request.pop("AppSpecification", {}),
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                }
                | request.pop("ClusterConfig", {})
            },
            StoppingCondition={"MaxRuntimeInSeconds": 60} | request.pop("StoppingCondition", {}),
            **request,
        )
        return name

    def trained(self, name: str) -> dict:
        """Return the description of a training job that has ended."""
        self._await("TrainingJob", name, lambda body: "TrainingEndTime" in body)
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def processed(self, name: str) -> dict:
        """Return the description of a processing job that has ended."""
        self._await("ProcessingJob", name, lambda body: "ProcessingEndTime" in body)
        return self.sagemaker.describe_processing_job(ProcessingJobName=name)

    def _await(self, kind: str, name: str, ready: Callable[[dict], bool]) -> None:
        body = self.service.context.store.wait_for(kind, name, ready, PATIENCE)
        assert ready(body), f"{kind} {name} did not end: {body}"


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, which is worth more than a sleep of a guessed length."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def log_lines(logs, group: str, job: str) -> list[str]:
    """Return what a job's log stream holds so far."""
    streams = {"logGroupName": group, "logStreamNamePrefix": f"{job}/algo-1-"}
    try:
        found = logs.describe_log_streams(**streams)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [
        event["message"]
        for stream in found
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


@pytest.fixture(autouse=True)
def without_docker(monkeypatch):
    """A developer's Docker runs no test's images."""
    monkeypatch.setattr(container_tools, "find", lambda: None)


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    with FakeAws() as url:
        yield url


@pytest.fixture(scope="session")
def s3(aws):
    client = client_of("s3", aws)
    yield client
    client.close()


@pytest.fixture(scope="session")
def logs(aws):
    client = client_of("logs", aws)
    yield client
    client.close()


@pytest.fixture
def bucket(s3) -> str:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def make_cloud(aws, tmp_path) -> Iterator[Callable[..., Cloud]]:
    clouds = []

    def make(limits: Limits = FAST, root: Path = tmp_path) -> Cloud:
        cloud = Cloud(root, aws, limits)
        clouds.append(cloud)
        return cloud.start()

    yield make
    for cloud in clouds:
        cloud.stop()
    assert not [misfit for cloud in clouds for misfit in cloud.misfits]


@pytest.fixture
def cloud(make_cloud) -> Cloud:
    return make_cloud()


@pytest.fixture
def processes(monkeypatch):
    """Processes that serve without being any, of this test's endpoints."""
    return use_fake_processes(monkeypatch)


@pytest.fixture(scope="module")
def shared_cloud(aws, tmp_path_factory) -> Iterator[Cloud]:
    """A cloud of all tests of a module; names keep them apart."""
    cloud = Cloud(tmp_path_factory.mktemp("shared"), aws, FAST).start()
    yield cloud
    cloud.stop()
    assert not cloud.misfits


@pytest.fixture(scope="module")
def aws_cli(shared_cloud) -> Iterator[CommandLine]:
    line = CommandLine(shared_cloud.url, ACCOUNT, REGION)
    yield line
    line.close()


@pytest.fixture(scope="module")
def shared_bucket(s3) -> str:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name
