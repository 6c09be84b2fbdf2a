import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.jobs import Jobs

from ..stack import ROLE, sagemaker
from .cloud import client

NAME = "tidemill--flights--delay"


@pytest.fixture
def jobs(cloud):
    return Jobs(client("sagemaker"))


def test_a_pipeline_is_created_and_then_updated(cloud, jobs):
    assert jobs.upsert_pipeline(NAME, "{}", ROLE) == sagemaker("pipeline", NAME)
    jobs.upsert_pipeline(NAME, '{"Version": "2020-12-01"}', ROLE)
    assert list(cloud.sagemaker.pipelines) == [NAME]
    assert cloud.sagemaker.pipelines[NAME]["PipelineDefinition"] == '{"Version": "2020-12-01"}'


def test_a_pipeline_whose_name_only_begins_so_is_another(cloud, jobs):
    jobs.upsert_pipeline(f"{NAME}-weekly", "{}", ROLE)
    jobs.upsert_pipeline(NAME, "{}", ROLE)
    assert sorted(cloud.sagemaker.pipelines) == [NAME, f"{NAME}-weekly"]


def test_a_pipeline_created_again_is_a_new_one_to_sagemaker(cloud, jobs):
    """Equal tokens would mean the same request, and the first one's answer."""
    tokens = []
    for _ in range(2):
        jobs.upsert_pipeline(NAME, "{}", ROLE)
        tokens.append(cloud.sagemaker.pipelines[NAME]["ClientRequestToken"])
        jobs.delete_pipeline(NAME)
    assert tokens[0] != tokens[1]
    assert all(32 <= len(token) <= 128 for token in tokens)


def test_deleting_twice_is_deleting(cloud, jobs):
    jobs.upsert_pipeline(NAME, "{}", ROLE)
    assert jobs.delete_pipeline(NAME)
    assert not jobs.delete_pipeline(NAME)
    assert cloud.sagemaker.pipelines == {}


@pytest.mark.parametrize(
    ("status", "stops"),
    [("Executing", True), ("Succeeded", False), ("Stopping", False), ("Failed", False)],
)
def test_only_what_goes_on_is_stopped(cloud, jobs, status, stops):
    arn = cloud.sagemaker.add_execution(NAME, status)
    assert jobs.stop_pipeline(arn) is stops
    assert not jobs.stop_pipeline(arn)


def test_an_execution_whose_pipeline_was_deleted_is_none(jobs):
    arn = sagemaker("pipeline", f"{NAME}/execution/e1")
    assert jobs.pipeline_execution(arn) is None
    assert not jobs.stop_pipeline(arn)


def test_another_refusal_is_not_absence(cloud, jobs):
    cloud.refuse("sagemaker", "DescribePipelineExecution", "ThrottlingException")
    with pytest.raises(ClientError, match="Throttling"):
        jobs.pipeline_execution("arn:aws:sagemaker:us-east-1:1:pipeline/x/execution/y")


def test_steps_are_listed(cloud, jobs):
    arn = cloud.sagemaker.add_execution(NAME)
    cloud.sagemaker.steps[arn] = [{"StepName": "Train"}, {"StepName": "Evaluate"}]
    assert [step["StepName"] for step in jobs.steps(arn)] == ["Train", "Evaluate"]


def test_a_job_s_output_is_found_by_name(cloud, jobs):
    outputs = [{"OutputName": "evaluation", "S3Output": {"S3Uri": "s3://b/evaluation/"}}]
    cloud.sagemaker.jobs["j"] = {"ProcessingOutputConfig": {"Outputs": outputs}}
    arn = sagemaker("processing-job", "j")
    assert jobs.processing_output(arn, "evaluation") == "s3://b/evaluation"
    with pytest.raises(KeyError, match="no output 'model'"):
        jobs.processing_output(arn, "model")
