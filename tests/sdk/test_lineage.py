"""
The SageMaker SDK, in an environment of its own, finds its way through the lineage we track.

`make test-sdk` makes the environment; without it these tests are skipped.
"""

import json
import subprocess
from pathlib import Path

import pytest

from local_cloud import ROLE, LocalCloud, wait_until

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".tools" / "sdk" / "bin" / "python"
BUCKET, GROUP, JOB = "lineage", "delay", "train-1"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/anything:1"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not SDK.exists(), reason="the SDK is not there; `make test-sdk` fetches it"),
]


@pytest.fixture
def package(tmp_path):
    """The endpoint URL of a local cloud, and a package whose model a training job of it made."""
    cloud = LocalCloud(tmp_path / "state").start()
    s3, client = cloud.client("s3"), cloud.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="data/a.csv", Body=b"1,2\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
    client.create_training_job(
        TrainingJobName=JOB,
        RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", "pass"],
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    component = {"TrialComponentName": f"{JOB}-aws-training-job"}
    wait_until(lambda: "EndTime" in client.describe_trial_component(**component), 60)
    model = client.describe_training_job(TrainingJobName=JOB)["ModelArtifacts"]["S3ModelArtifacts"]
    client.create_model_package_group(ModelPackageGroupName=GROUP)
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": model}]}
    arn = client.create_model_package(
        ModelPackageGroupName=GROUP, InferenceSpecification=specification
    )["ModelPackageArn"]
    yield cloud.endpoint, arn
    cloud.close()


def test_the_sdk_reads_a_job_s_and_a_version_s_lineage(package):
    endpoint, arn = package
    done = subprocess.run(
        [SDK, ROOT / "tests/sdk/read_lineage.py", endpoint, JOB, arn],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])

    assert [row[1:] for row in read["job"]] == [
        ["Input", "DataSet", "ContributedTo", "artifact"],
        ["Input", "Image", "ContributedTo", "artifact"],
        ["Output", "Model", "Produced", "artifact"],
    ]
    kinds = {tuple(row[1:]) for row in read["package"]}
    assert kinds == {
        ("Input", "Approval", "ContributedTo", "action"),
        ("Input", "Model", "ContributedTo", "artifact"),
        ("Input", "Image", "ContributedTo", "artifact"),
        ("Output", "ModelGroup", "AssociatedWith", "context"),
    }
    (trained_by,) = read["trained_by"]
    assert trained_by.endswith(f":training-job/{JOB}")
    assert read["sources"] == [f"s3://{BUCKET}/data/"]
    assert len(read["upstream"]) == 1
