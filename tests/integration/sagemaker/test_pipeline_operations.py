"""The operations on pipelines and executions: what they record, answer and refuse."""

import json
import threading
import time

import pytest

from .conftest import ACCOUNT, ROLE
from .model_servers import refused
from .pipeline_calls import SLEEP, Pipelines


@pytest.fixture
def pipelines(shared_cloud, bucket):
    return Pipelines(shared_cloud, bucket)


def test_one_token_starts_one_execution(pipelines):
    name = pipelines.wheel()
    token = "t" * 32
    arns, barrier = [], threading.Barrier(4)

    def start():
        barrier.wait()
        arns.append(pipelines.start(name, ClientRequestToken=token))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(arns) == 4
    assert len(set(arns)) == 1
    pipelines.ended(arns[0])
    assert pipelines.start(name, ClientRequestToken=token) == arns[0]
    refused(
        pipelines.sagemaker.start_pipeline_execution,
        "used before with other parameters",
        code="ConflictException",
        PipelineName=name,
        ClientRequestToken=token,
        PipelineParameters=[{"Name": "RunId", "Value": "other"}],
    )
    assert pipelines.start(name, ClientRequestToken="u" * 32) != arns[0]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"Nope": "1"}, "Unknown pipeline parameters: Nope"),
        ({"MinimumMetric": "high"}, "not of type Float"),
    ],
)
def test_parameters_that_are_refused(pipelines, parameters, says):
    name = pipelines.wheel()

    refused(
        pipelines.sagemaker.start_pipeline_execution,
        says,
        PipelineName=name,
        PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
    )
    assert (
        pipelines.sagemaker.list_pipeline_executions(PipelineName=name)[
            "PipelineExecutionSummaries"
        ]
        == []
    )


def test_execution_is_described_and_listed(pipelines):
    name = pipelines.create(pipelines.training())
    arn = pipelines.start(
        pipelines.sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"],
        {"RunId": "r9"},
        PipelineExecutionDisplayName="mine",
        PipelineExecutionDescription="why",
    )
    described = pipelines.ended(arn)

    assert described["PipelineExecutionDisplayName"] == "mine"
    assert described["PipelineExecutionDescription"] == "why"
    definition = pipelines.sagemaker.describe_pipeline_definition_for_execution(
        PipelineExecutionArn=arn
    )
    assert json.loads(definition["PipelineDefinition"])["Steps"][0]["Name"] == "Train"
    parameters = pipelines.sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=arn
    )["PipelineParameters"]
    assert parameters == [
        {"Name": "Auc", "Value": "0.9"},
        {"Name": "MinimumMetric", "Value": "0.8"},
        {"Name": "RunId", "Value": "r9"},
    ]
    second = pipelines.start(name)
    pipelines.ended(second)
    page = pipelines.sagemaker.list_pipeline_executions(PipelineName=name, MaxResults=1)
    (newest,) = page["PipelineExecutionSummaries"]
    assert newest["PipelineExecutionArn"] == second
    assert newest["PipelineExecutionStatus"] == "Succeeded"
    (oldest,) = pipelines.sagemaker.list_pipeline_executions(
        PipelineName=name, NextToken=page["NextToken"]
    )["PipelineExecutionSummaries"]
    assert oldest["PipelineExecutionArn"] == arn
    assert "LastRunTime" in pipelines.sagemaker.describe_pipeline(PipelineName=name)


def test_unknown_executions_and_pipelines(pipelines):
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/p/execution/x"
    for call in (
        pipelines.sagemaker.describe_pipeline_execution,
        pipelines.sagemaker.list_pipeline_execution_steps,
        pipelines.sagemaker.stop_pipeline_execution,
        pipelines.sagemaker.describe_pipeline_definition_for_execution,
        pipelines.sagemaker.list_pipeline_parameters_for_execution,
    ):
        refused(call, "does not exist", code="ResourceNotFound", PipelineExecutionArn=arn)
    for call in (
        pipelines.sagemaker.describe_pipeline,
        pipelines.sagemaker.update_pipeline,
        pipelines.sagemaker.delete_pipeline,
        pipelines.sagemaker.start_pipeline_execution,
        pipelines.sagemaker.list_pipeline_executions,
    ):
        refused(call, "does not exist", code="ResourceNotFound", PipelineName="nobody")


def test_pipeline_is_described_listed_updated_and_deleted(pipelines):
    tags = [{"Key": "project", "Value": "p"}]
    name = pipelines.create(pipelines.training(), Tags=tags, PipelineDescription="before")
    other = pipelines.create(pipelines.training())

    described = pipelines.sagemaker.describe_pipeline(PipelineName=name)
    assert described["PipelineStatus"] == "Active"
    assert described["RoleArn"] == ROLE
    assert described["PipelineDescription"] == "before"
    arn = described["PipelineArn"]
    assert pipelines.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    newest_first = pipelines.sagemaker.list_pipelines()["PipelineSummaries"]
    assert [p["PipelineName"] for p in newest_first][:2] == [other, name]
    listed = pipelines.sagemaker.list_pipelines(PipelineNamePrefix=name)["PipelineSummaries"]
    assert [p["PipelineName"] for p in listed] == [name]
    later = pipelines.sagemaker.list_pipelines(CreatedAfter=time.time() + 60)
    assert later["PipelineSummaries"] == []

    pipelines.sagemaker.update_pipeline(
        PipelineName=name,
        PipelineDefinition=pipelines.definition(pipelines.training("Other")),
        PipelineDescription="after",
    )
    updated = pipelines.sagemaker.describe_pipeline(PipelineName=name)
    assert updated["PipelineDescription"] == "after"
    assert json.loads(updated["PipelineDefinition"])["Steps"][0]["Name"] == "Other"
    run = pipelines.start(name)
    pipelines.ended(run)
    pipelines.sagemaker.delete_pipeline(PipelineName=name)
    refused(
        pipelines.sagemaker.describe_pipeline_execution,
        "does not exist",
        code="ResourceNotFound",
        PipelineExecutionArn=run,
    )


def test_pipeline_of_a_known_name_is_refused_unless_repeated(pipelines):
    token = "t" * 32
    name = pipelines.create(pipelines.training(), ClientRequestToken=token)

    assert pipelines.create(pipelines.training(), name=name, ClientRequestToken=token) == name
    refused(
        pipelines.sagemaker.create_pipeline,
        f"Pipeline with name ({name}) already exists.",
        PipelineName=name,
        PipelineDefinition=pipelines.definition(pipelines.training()),
        RoleArn=ROLE,
    )


def test_definition_comes_from_s3(pipelines, s3):
    text = pipelines.definition(pipelines.training())
    s3.put_object(Bucket=pipelines.bucket, Key="pipelines/p.json", Body=text.encode())
    place = {"Bucket": pipelines.bucket, "ObjectKey": "pipelines/p.json"}
    pipelines.sagemaker.create_pipeline(
        PipelineName="p", PipelineDefinitionS3Location=place, RoleArn=ROLE
    )

    described = pipelines.sagemaker.describe_pipeline(PipelineName="p")
    assert described["PipelineDefinition"] == text
    refused(
        pipelines.sagemaker.update_pipeline,
        "cannot be read",
        PipelineName="p",
        PipelineDefinitionS3Location=place | {"ObjectKey": "nothing"},
    )
    refused(
        pipelines.sagemaker.create_pipeline,
        "not both",
        PipelineName="q",
        PipelineDefinition=text,
        PipelineDefinitionS3Location=place,
        RoleArn=ROLE,
    )


def test_definition_that_cannot_run_is_refused_at_once(pipelines):
    step = pipelines.training() | {"Type": "QualityCheck"}

    refused(
        pipelines.sagemaker.create_pipeline,
        "Unable to parse pipeline definition. Step [Train]: step type 'QualityCheck'",
        PipelineName="p",
        PipelineDefinition=pipelines.definition(step),
        RoleArn=ROLE,
    )


def test_features_that_are_not_offered_are_named(pipelines):
    name = pipelines.create(pipelines.training())

    refused(
        pipelines.sagemaker.start_pipeline_execution,
        "MlflowExperimentName is not supported",
        PipelineName=name,
        MlflowExperimentName="mine",
    )


def test_pipeline_with_a_running_execution_cannot_be_deleted(pipelines):
    name = pipelines.create(pipelines.training(image=pipelines.cloud.image(SLEEP)))
    arn = pipelines.start(name)

    refused(pipelines.sagemaker.delete_pipeline, arn, code="ConflictException", PipelineName=name)
    pipelines.running(arn, "Train")
    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    pipelines.ended(arn)


def test_every_definition_is_a_version(pipelines):
    second = pipelines.definition(pipelines.training("Second"))
    name = pipelines.create(pipelines.training("First"))
    arn = pipelines.sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    same = pipelines.sagemaker.update_pipeline(PipelineName=name, PipelineDescription="same")
    assert same["PipelineVersionId"] == 1
    updated = pipelines.sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=second)
    assert updated["PipelineVersionId"] == 2

    old = pipelines.start(name, PipelineVersionId=1)
    new = pipelines.start(name)

    assert pipelines.ended(old)["PipelineVersionId"] == 1
    assert list(pipelines.steps(old)) == ["First"]
    assert pipelines.ended(new)["PipelineVersionId"] == 2
    assert list(pipelines.steps(new)) == ["Second"]
    ran = pipelines.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=new)
    assert ran["PipelineDefinition"] == second
    described = pipelines.sagemaker.describe_pipeline(PipelineName=name, PipelineVersionId=1)
    assert json.loads(described["PipelineDefinition"])["Steps"][0]["Name"] == "First"
    pipelines.sagemaker.update_pipeline_version(
        PipelineArn=arn,
        PipelineVersionId=1,
        PipelineVersionDisplayName="the-old-one",
        PipelineVersionDescription="why",
    )
    listed = pipelines.sagemaker.list_pipeline_versions(PipelineName=name)
    newest, oldest = listed["PipelineVersionSummaries"]
    assert (newest["PipelineVersionId"], oldest["PipelineVersionId"]) == (2, 1)
    assert oldest["PipelineVersionDisplayName"] == "the-old-one"
    assert oldest["LastExecutionPipelineExecutionArn"] == old
    described = pipelines.sagemaker.describe_pipeline(PipelineName=name, PipelineVersionId=1)
    assert described["PipelineVersionDescription"] == "why"
    for call, key in (
        (pipelines.sagemaker.describe_pipeline, "PipelineName"),
        (pipelines.sagemaker.start_pipeline_execution, "PipelineName"),
        (pipelines.sagemaker.update_pipeline_version, "PipelineArn"),
    ):
        named = {key: name if key == "PipelineName" else arn, "PipelineVersionId": 3}
        refused(call, "Version 3 of pipeline", code="ResourceNotFound", **named)
    pipelines.sagemaker.delete_pipeline(PipelineName=name)
    again = pipelines.create(pipelines.training("First"), name=name)
    summaries = pipelines.sagemaker.list_pipeline_versions(PipelineName=again)
    assert [v["PipelineVersionId"] for v in summaries["PipelineVersionSummaries"]] == [1]
