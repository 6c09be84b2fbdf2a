"""What a job costs over its own run time: a trivial processing job beside its bare command."""

import json
import subprocess
import sys
import time
from typing import Any

from cloud import BenchError, Workspace, clean_environment
from figures import Figure, Result, median

SAMPLES, QUICK_SAMPLES = 20, 3
GOAL_SECONDS = 0.3
IMAGE = "registry.example/trivial"
COMMAND = [sys.executable, "-S", "-c", "pass"]
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_REQUEST = {
    "RoleArn": "arn:aws:iam::000000000000:role/bench",
    "AppSpecification": {"ImageUri": IMAGE},
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        }
    },
}


def measure(workspace: Workspace) -> Result:
    """Run the job and its command by turns, so that both meet the same machine."""
    count = QUICK_SAMPLES if workspace.quick else SAMPLES
    jobs: list[float] = []
    plain: list[float] = []
    with workspace.cloud("jobs") as cloud:
        images = cloud.state / "sagemaker" / "images.json"
        images.parent.mkdir(parents=True, exist_ok=True)
        images.write_text(json.dumps({IMAGE: COMMAND}))
        client = cloud.client("sagemaker")
        for number in range(count + 1):
            plain.append(_command_seconds())
            jobs.append(_job_seconds(client, f"trivial-{number}"))
    jobs, plain = jobs[1:], plain[1:]  # the first opens connections and reads files
    costs = [job - bare for job, bare in zip(jobs, plain, strict=True)]
    figures = (
        Figure(
            "a trivial job's cost over its command",
            median(costs),
            "s",
            GOAL_SECONDS,
            f"median of {count} pairs",
        ),
        Figure("the job", median(jobs), "s", note="CreationTime to ProcessingEndTime"),
        Figure("its command", median(plain), "s", note="a plain process, by turns with it"),
    )
    return Result("What a job costs", figures, {"jobs": jobs, "plain": plain})


def _command_seconds() -> float:
    began = time.perf_counter()
    subprocess.run(COMMAND, env=clean_environment(), check=True)
    return time.perf_counter() - began


def _job_seconds(client: Any, name: str) -> float:
    """Return how long a job took by its own times; asking now and then costs it little."""
    client.create_processing_job(ProcessingJobName=name, **_REQUEST)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        job = client.describe_processing_job(ProcessingJobName=name)
        if job["ProcessingJobStatus"] == "Completed":
            return float((job["ProcessingEndTime"] - job["CreationTime"]).total_seconds())
        if job["ProcessingJobStatus"] != "InProgress":
            raise BenchError(f"{name} is {job['ProcessingJobStatus']}: {job.get('FailureReason')}")
    raise BenchError(f"{name} did not end in {PATIENCE_SECONDS:.0f} s")
