"""What CreateTrainingJob and its kin refuse, and in whose words."""

import pytest
from botocore.exceptions import ClientError

from .conftest import ROLE
from .job_requests import channel


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def test_an_empty_prefix_is_refused_at_once_as_sagemaker_does(cloud, bucket):
    with pytest.raises(ClientError) as caught:
        cloud.train(
            cloud.image("pass"),
            bucket=bucket,
            TrainingJobName="empty",
            InputDataConfig=[channel("train", f"s3://{bucket}/nothing")],
        )

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(f'No S3 objects found under S3 URL "s3://{bucket}/nothing"')
    with pytest.raises(ClientError, match="Requested resource not found"):
        cloud.sagemaker.describe_training_job(TrainingJobName="empty")


def test_an_unknown_image_fails_the_job(cloud, bucket):
    job = cloud.trained(cloud.train("registry.example/unheard-of:3", bucket=bucket))

    assert job["TrainingJobStatus"] == "Failed"
    assert "tidemill images add" in job["FailureReason"]


def test_a_name_can_be_used_once(cloud, bucket):
    image = cloud.image("pass")
    cloud.train(image, bucket=bucket, TrainingJobName="twice")

    with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse, match="already exists"):
        cloud.train(image, bucket=bucket, TrainingJobName="twice")


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_a_job_that_does_not_exist_is_not_found(cloud, operation):
    with pytest.raises(ClientError) as caught:
        getattr(cloud.sagemaker, operation)(TrainingJobName="nobody")

    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "ValidationException",
        "Requested resource not found.",
    )


@pytest.mark.parametrize(
    ("request_part", "why"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.gigantic"}}, "Member must satisfy enum value set"),
        ({"ResourceConfig": {"InstanceCount": 0}}, "InstanceType and InstanceCount"),
        (
            {"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "m", "Regex": "("}]}},
            "Regex of metric m is not valid",
        ),
        (
            {"InputDataConfig": [channel("a", "s3://b/x", "AugmentedManifestFile")]},
            "can only be used if the channel's input mode is Pipe",
        ),
        (
            {
                "AlgorithmSpecification": {"TrainingInputMode": "Pipe"},
                "InputDataConfig": [channel("a", "s3://b/x", "AugmentedManifestFile")],
            },
            "no AttributeNames",
        ),
        (
            {"InputDataConfig": [channel("a", "s3://b/x") | {"CompressionType": "Gzip"}]},
            "used in Pipe input mode only",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/var/checkpoints"}},
            "must be below /opt/ml",
        ),
        ({"TrainingJobName": "under_score"}, r"'under_score' at 'trainingJobName'"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(cloud, bucket, request_part, why):
    with pytest.raises(ClientError, match=why) as caught:
        cloud.train(cloud.image("pass"), bucket=bucket, **request_part)

    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_job_needs_an_image(cloud, bucket):
    with pytest.raises(ClientError, match="needs a TrainingImage"):
        cloud.sagemaker.create_training_job(
            TrainingJobName="no-image",
            RoleArn=ROLE,
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/m"},
            AlgorithmSpecification={"AlgorithmName": "xgboost", "TrainingInputMode": "File"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )


def test_a_folder_marker_is_no_data(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="data/", Body=b"")

    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        cloud.train(
            cloud.image("pass"),
            bucket=bucket,
            InputDataConfig=[channel("train", f"s3://{bucket}/data/")],
        )


def test_a_bucket_that_does_not_exist_is_refused_at_once(cloud, bucket):
    with pytest.raises(ClientError, match="ListObjectsV2 failed for s3://no-such-bucket-here/x"):
        cloud.train(
            cloud.image("pass"),
            bucket=bucket,
            InputDataConfig=[channel("train", "s3://no-such-bucket-here/x")],
        )
