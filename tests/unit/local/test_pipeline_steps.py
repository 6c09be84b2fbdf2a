"""Names of jobs, and how later steps see earlier ones."""

import re

import pytest

from tidemill_local.sagemaker.pipelines.job_steps import job_name, keyed
from tidemill_local.sagemaker.pipelines.record import execution_variables


@pytest.mark.parametrize(
    ("prefix", "step", "pattern"),
    [
        ("pipelines", "Train", r"pipelines-abc123abc123-Train-[A-Za-z0-9]{10}"),
        ("pipelines", "My_Step", r"pipelines-abc123abc123-My-Step-[A-Za-z0-9]{10}"),
        ("custom", "", r"custom-abc123abc123-[A-Za-z0-9]{10}"),
        ("pipelines", "S" * 64, r"pipelines-abc123abc123-S{29}-[A-Za-z0-9]{10}"),
        ("pipelines", "S" * 28 + "-x", r"pipelines-abc123abc123-S{28}-[A-Za-z0-9]{10}"),
    ],
)
def test_job_name(prefix, step, pattern):
    name = job_name(prefix, "abc123abc123", step)

    assert re.fullmatch(pattern, name)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert job_name(prefix, "abc123abc123", step) != name


def test_named_lists_become_maps():
    described = {
        "ProcessingInputs": [{"InputName": "a", "S3Input": {"S3Uri": "s3://b/a"}}],
        "ProcessingOutputConfig": {
            "KmsKeyId": "k",
            "Outputs": [{"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o"}}],
        },
        "ProcessingJobName": "job",
    }

    assert keyed(described) == {
        "ProcessingInputs": {"a": {"InputName": "a", "S3Input": {"S3Uri": "s3://b/a"}}},
        "ProcessingOutputConfig": {
            "KmsKeyId": "k",
            "Outputs": {"o": {"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o"}}},
        },
        "ProcessingJobName": "job",
    }
    assert isinstance(described["ProcessingInputs"], list)


def test_execution_variables():
    arn = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/t--p--m"

    assert execution_variables(
        {
            "PipelineArn": arn,
            "PipelineExecutionArn": f"{arn}/execution/abc123abc123",
            "CreationTime": 1_795_000_000.5,
        }
    ) == {
        "PipelineName": "t--p--m",
        "PipelineArn": arn,
        "PipelineExecutionId": "abc123abc123",
        "PipelineExecutionArn": f"{arn}/execution/abc123abc123",
        "StartDateTime": "2026-11-18T11:06:40.500+00:00",
    }
