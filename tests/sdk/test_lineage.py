"""The SageMaker SDK finds its way through the lineage we track."""

import pytest

from local_cloud import ROLE, wait_until

from .conftest import BUCKET

GROUP, JOB = "lineage", "lineage-1"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/anything:1"
DATA = f"s3://{BUCKET}/lineage/"


@pytest.fixture
def told(cloud, run_program):
    """What the SDK finds of a version whose model a training job made."""
    client = cloud.client("sagemaker")
    cloud.client("s3").put_object(Bucket=BUCKET, Key="lineage/a.csv", Body=b"1,2\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": DATA}
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
    group = client.create_model_package_group(ModelPackageGroupName=GROUP)
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": model}]}
    package = client.create_model_package(
        ModelPackageGroupName=GROUP, InferenceSpecification=specification
    )
    return run_program(
        "lineage",
        job=JOB,
        package=package["ModelPackageArn"],
        group=group["ModelPackageGroupArn"],
    )


def test_the_sdk_reads_a_job_s_and_a_version_s_lineage(told):
    assert [row[1:] for row in told["job"]] == [
        ["Input", "DataSet", "ContributedTo", "artifact"],
        ["Input", "Image", "ContributedTo", "artifact"],
        ["Output", "Model", "Produced", "artifact"],
    ]
    kinds = {tuple(row[1:]) for row in told["package"]}
    assert kinds == {
        ("Input", "Approval", "ContributedTo", "action"),
        ("Input", "Model", "ContributedTo", "artifact"),
        ("Input", "Image", "ContributedTo", "artifact"),
        ("Output", "ModelGroup", "AssociatedWith", "context"),
    }
    (trained_by,) = told["trained_by"]
    assert trained_by.endswith(f":training-job/{JOB}")
    assert told["sources"] == [DATA]
    assert len(told["upstream"]) == 1
