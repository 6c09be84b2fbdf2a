"""The AWS CLI creates, waits for, describes, lists and stops jobs of each kind."""

import pytest

from .conftest import ROLE
from .job_requests import channel
from .model_servers import ECHO, Hosting
from .pipeline_calls import RESOURCES

MODEL = """
    import os, pathlib
    pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model/weights").write_text("7")
"""
SCORE = """
    import json, os, pathlib
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    given = json.loads((base / "input/config/hyperparameters.json").read_text())
    print(f"score={given['x']};")
"""
SLEEP = "import time; time.sleep(60)"


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def process(aws_cli, image, name):
    return aws_cli(
        "create-processing-job",
        processing_job_name=name,
        role_arn=ROLE,
        app_specification=f"ImageUri={image}",
        processing_resources={"ClusterConfig": RESOURCES},
        stopping_condition="MaxRuntimeInSeconds=60",
    )


def test_processing_jobs(aws_cli, cloud):
    image, names = cloud.image("pass"), [f"cli-process-{number}" for number in range(3)]
    arns = [process(aws_cli, image, name)["ProcessingJobArn"] for name in names]
    for name in names:
        aws_cli("wait", "processing-job-completed-or-stopped", processing_job_name=name)

    described = aws_cli("describe-processing-job", processing_job_name=names[0])
    assert described["ProcessingJobArn"] == arns[0]
    assert described["ProcessingJobStatus"] == "Completed"
    same = {"name_contains": "cli-process", "status_equals": "Completed", "sort_by": "Name"}
    listed = {"listed": "ProcessingJobSummaries", "name": "ProcessingJobName"}
    assert aws_cli.paged("list-processing-jobs", **listed, **same) == names
    assert aws_cli.paged("list-processing-jobs", **listed, **same, page_size="1") == names
    backwards = aws_cli.paged("list-processing-jobs", **listed, **same, sort_order="Descending")
    assert backwards == names[::-1]
    early = aws_cli("list-processing-jobs", creation_time_before="2020-01-01T00:00:00Z")
    assert early == {"ProcessingJobSummaries": []}
    taken = aws_cli.refused(
        "create-processing-job",
        processing_job_name=names[0],
        role_arn=ROLE,
        app_specification=f"ImageUri={image}",
        processing_resources={"ClusterConfig": RESOURCES},
    )
    assert taken[0] == "ResourceInUse"
    assert arns[0] in taken[1]
    assert aws_cli.refused("describe-processing-job", processing_job_name="none") == (
        "ValidationException",
        "Could not find requested job with name: none",
    )


def test_a_wait_ends_with_the_job_that_fails_or_is_stopped(aws_cli, cloud):
    process(aws_cli, cloud.image("raise SystemExit('no rows')"), "cli-failing")
    said = aws_cli.gives_up(
        "wait", "processing-job-completed-or-stopped", processing_job_name="cli-failing"
    )
    assert "Waiter encountered a terminal failure state" in said

    process(aws_cli, cloud.image(SLEEP), "cli-stopping")
    aws_cli("stop-processing-job", processing_job_name="cli-stopping")
    aws_cli("wait", "processing-job-completed-or-stopped", processing_job_name="cli-stopping")
    stopped = aws_cli(
        "describe-processing-job", processing_job_name="cli-stopping", query="ProcessingJobStatus"
    )
    assert stopped == "Stopped"


def test_training_jobs(aws_cli, cloud, shared_bucket, s3):
    s3.put_object(Bucket=shared_bucket, Key="rows/a.csv", Body=b"1,2\n")
    arn = aws_cli(
        "create-training-job",
        training_job_name="cli-train",
        role_arn=ROLE,
        algorithm_specification=f"TrainingImage={cloud.image(MODEL)},TrainingInputMode=File",
        input_data_config=[channel("train", f"s3://{shared_bucket}/rows/")],
        output_data_config=f"S3OutputPath=s3://{shared_bucket}/models",
        resource_config="InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1",
        stopping_condition="MaxRuntimeInSeconds=60",
        tags=[{"Key": "team", "Value": "ops"}],
    )["TrainingJobArn"]
    aws_cli("wait", "training-job-completed-or-stopped", training_job_name="cli-train")

    described = aws_cli("describe-training-job", training_job_name="cli-train")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{shared_bucket}/models/cli-train/output/model.tar.gz"
    assert s3.head_object(Bucket=shared_bucket, Key=model.removeprefix(f"s3://{shared_bucket}/"))
    listed = aws_cli("list-training-jobs", name_contains="cli-train", query="*[].TrainingJobArn")
    assert listed == [arn]

    aws_cli("add-tags", resource_arn=arn, tags=[{"Key": "cost", "Value": "7"}])
    aws_cli("delete-tags", resource_arn=arn, tag_keys=["team"])
    assert aws_cli("list-tags", resource_arn=arn) == {"Tags": [{"Key": "cost", "Value": "7"}]}
    code, message = aws_cli.refused("describe-training-job", training_job_name="none")
    assert (code, message) == ("ValidationException", "Requested resource not found.")
    code, message = aws_cli.refused("stop-training-job", training_job_name="a" * 64)
    assert code == "ValidationException"
    assert "Member must have length less than or equal to 63" in message


def test_transform_jobs(aws_cli, cloud, shared_bucket, s3):
    hosting = Hosting(cloud, s3, shared_bucket)
    model = hosting.model(uri=hosting.put_model(name="cli"), image=cloud.image(ECHO))
    s3.put_object(Bucket=shared_bucket, Key="transformed/a.csv", Body=b"1,2\n1,3\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{shared_bucket}/transformed/"}
    names = [f"cli-transform-{number}" for number in range(3)]
    arns = [
        aws_cli(
            "create-transform-job",
            transform_job_name=name,
            model_name=model,
            transform_input={
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            transform_output=f"S3OutputPath=s3://{shared_bucket}/{name},AssembleWith=Line",
            transform_resources="InstanceType=ml.m5.large,InstanceCount=1",
            batch_strategy="SingleRecord",
        )["TransformJobArn"]
        for name in names
    ]
    for name in names:
        aws_cli("wait", "transform-job-completed-or-stopped", transform_job_name=name)

    described = aws_cli("describe-transform-job", transform_job_name=names[2])
    assert described["TransformJobArn"] == arns[2]
    assert described["TransformJobStatus"] == "Completed"
    made = s3.get_object(Bucket=shared_bucket, Key=f"{names[2]}/a.csv.out")["Body"].read()
    assert made.split() == [b"0.5", b"0.5"]
    listed = {"listed": "TransformJobSummaries", "name": "TransformJobName"}
    same = {"name_contains": "cli-transform", "sort_by": "Name", "sort_order": "Ascending"}
    assert aws_cli.paged("list-transform-jobs", **listed, **same) == names
    assert aws_cli.refused("describe-transform-job", transform_job_name="none") == (
        "ValidationException",
        "Could not find requested job with name: none",
    )


def test_tuning_jobs(aws_cli, cloud, shared_bucket):
    algorithm = {
        "TrainingImage": cloud.image(SCORE),
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
    }
    values = [{"Name": "x", "Values": ["2", "5", "3"]}]
    arn = aws_cli(
        "create-hyper-parameter-tuning-job",
        hyper_parameter_tuning_job_name="cli-tune",
        hyper_parameter_tuning_job_config={
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 3},
            "ParameterRanges": {"CategoricalParameterRanges": values},
        },
        training_job_definition={
            "AlgorithmSpecification": algorithm,
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{shared_bucket}/tuned"},
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    )["HyperParameterTuningJobArn"]
    named = {"hyper_parameter_tuning_job_name": "cli-tune"}
    cloud.service.context.store.wait_for(  # the CLI has no waiter for these
        "HyperParameterTuningJob",
        "cli-tune",
        lambda body: "HyperParameterTuningEndTime" in body,
        60,
    )

    described = aws_cli("describe-hyper-parameter-tuning-job", **named)
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["BestTrainingJob"]["TunedHyperParameters"] == {"x": "5"}
    listed = {"listed": "TrainingJobSummaries", "name": "TrainingJobArn"}
    by_score = {"sort_by": "FinalObjectiveMetricValue", "sort_order": "Descending"}
    trained = aws_cli.paged(
        "list-training-jobs-for-hyper-parameter-tuning-job", **named, **listed, **by_score
    )
    assert len(trained) == 3
    assert trained[0] == described["BestTrainingJob"]["TrainingJobArn"]
    found = aws_cli(
        "list-hyper-parameter-tuning-jobs",
        status_equals="Completed",
        query="HyperParameterTuningJobSummaries[].HyperParameterTuningJobArn",
    )
    assert found == [arn]
    assert aws_cli.refused(
        "describe-hyper-parameter-tuning-job", hyper_parameter_tuning_job_name="none"
    ) == (
        "ResourceNotFound",
        "Amazon SageMaker can't find a tuning job called none. Type another name.",
    )
