"""The built-in XGBoost image, from CSV in S3 to an endpoint's answer, as on SageMaker."""

import pytest

from .conftest import log_lines
from .job_requests import channel
from .model_servers import Hosting

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROWS = "".join(f"{int(x > 9)},{x},1\n" for x in range(20))


def csv_channel(name, bucket):
    return channel(name, f"s3://{bucket}/{name}/") | {"ContentType": "text/csv"}


@pytest.fixture
def rows(s3, bucket):
    for name in ("train", "validation"):
        s3.put_object(Bucket=bucket, Key=f"{name}/part.csv", Body=ROWS.encode())
    return bucket


def test_a_model_is_trained_measured_and_served(cloud, s3, logs, rows):
    name = cloud.train(
        IMAGE,
        bucket=rows,
        InputDataConfig=[csv_channel("train", rows), csv_channel("validation", rows)],
        HyperParameters={
            "num_round": "30",
            "objective": "binary:logistic",
            "eval_metric": "auc,accuracy,logloss",
            "min_child_weight": "0",
            "early_stopping_rounds": "2",
            "_tuning_objective_metric": "validation:auc",
        },
        CheckpointConfig={"S3Uri": f"s3://{rows}/checkpoints"},
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["validation:accuracy"] == metrics["validation:auc"] == 1.0
    assert {"train:auc", "train:logloss", "validation:logloss"} <= set(metrics)
    assert len(job["AlgorithmSpecification"]["MetricDefinitions"]) == 40
    lines = log_lines(logs, "/aws/sagemaker/TrainingJobs", name)
    rounds = [line for line in lines if line.startswith("[0]#011train-auc:1")]
    assert len(rounds) == 1
    assert not any(line.startswith("[29]") for line in lines)  # it stopped early
    saved = s3.list_objects_v2(Bucket=rows, Prefix="checkpoints/")["Contents"]
    assert "checkpoints/xgboost-checkpoint.0" in [item["Key"] for item in saved]

    hosting = Hosting(cloud, s3, rows)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    cloud.sagemaker.create_model(
        ModelName="xgboost",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/jobs",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri},
    )
    endpoint = hosting.endpoint(hosting.config("xgboost"))
    answer = hosting.invoke(endpoint, b"0,1\n19,1", ContentType="text/csv")
    assert answer["ContentType"].startswith("text/csv")
    low, high = (float(word) for word in answer["Body"].split(b","))
    assert (round(low), round(high)) == (0, 1)
    with pytest.raises(cloud.runtime.exceptions.ModelError) as refused:
        hosting.invoke(endpoint, b"1,2,3", ContentType="text/csv")
    assert refused.value.response["OriginalStatusCode"] == 400


def test_a_hyperparameter_out_of_range_fails_the_job_by_name(cloud, rows):
    name = cloud.train(
        IMAGE,
        bucket=rows,
        InputDataConfig=[csv_channel("train", rows)],
        HyperParameters={"num_round": "3", "eta": "7"},
    )
    reason = cloud.trained(name)["FailureReason"]
    assert reason == ("AlgorithmError: Hyperparameter eta: 7.0 is not in [0, 1], exit code: 1")
