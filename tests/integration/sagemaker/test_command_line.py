"""The AWS CLI creates, waits for, describes, lists and deletes what is no job."""

import base64
import json

import pytest

from .conftest import ACCOUNT, REGION, ROLE
from .job_requests import s3_output
from .model_servers import ECHO, Hosting
from .monitored_endpoint import TELLING
from .pipeline_calls import RESOURCES

MISSING = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture(scope="module")
def archive(cloud, s3, shared_bucket):
    """The address of a model that the image `ECHO` serves."""
    return Hosting(cloud, s3, shared_bucket).put_model(name="cli")


def test_a_model_an_endpoint_configuration_and_an_endpoint(aws_cli, cloud, archive, tmp_path):
    image = cloud.image(ECHO)
    names = [f"cli-{letter}" for letter in "abc"]
    for name in names:
        aws_cli(
            "create-model",
            model_name=name,
            execution_role_arn=ROLE,
            primary_container=f"Image={image},ModelDataUrl={archive}",
        )
        variant = f"VariantName=A,ModelName={name},InstanceType=ml.m5.large,InitialInstanceCount=1"
        aws_cli("create-endpoint-config", endpoint_config_name=name, production_variants=variant)
    for words, listed, name in (
        ("list-models", "Models", "ModelName"),
        ("list-endpoint-configs", "EndpointConfigs", "EndpointConfigName"),
    ):
        found = aws_cli.paged(
            words, listed=listed, name=name, sort_by="Name", sort_order="Ascending"
        )
        assert found == names

    aws_cli("create-endpoint", endpoint_name="cli", endpoint_config_name="cli-a")
    aws_cli("wait", "endpoint-in-service", endpoint_name="cli")
    answered = aws_cli(
        "invoke-endpoint",
        str(tmp_path / "answer"),
        service="sagemaker-runtime",
        endpoint_name="cli",
        body="1,2",
        content_type="text/csv",
    )
    assert (tmp_path / "answer").read_text() == "0.5"
    assert answered["InvokedProductionVariant"] == "A"
    aws_cli("update-endpoint", endpoint_name="cli", endpoint_config_name="cli-b")
    aws_cli("wait", "endpoint-in-service", endpoint_name="cli")
    described = aws_cli("describe-endpoint", endpoint_name="cli")
    assert described["EndpointConfigName"] == "cli-b"
    assert aws_cli("list-endpoints", query="Endpoints[].EndpointStatus") == ["InService"]

    aws_cli("delete-endpoint", endpoint_name="cli")
    aws_cli("wait", "endpoint-deleted", endpoint_name="cli")
    for name in names:
        aws_cli("delete-endpoint-config", endpoint_config_name=name)
        aws_cli("delete-model", model_name=name)
    assert aws_cli("list-models") == {"Models": []}
    for words, resource, said in (
        ("endpoint", "endpoint", "endpoint"),
        ("endpoint-config", "endpoint-config", "endpoint configuration"),
        ("model", "model", "model"),
    ):
        option = {f"{words.replace('-', '_')}_name": "cli-a"}
        for verb in ("describe", "delete"):
            code, message = aws_cli.refused(f"{verb}-{words}", **option)
            assert code == "ValidationException"
            assert message == f'Could not find {said} "{MISSING}:{resource}/cli-a".'
    assert aws_cli.refused(
        "invoke-endpoint", str(tmp_path / "answer"), service="sagemaker-runtime",
        endpoint_name="cli", body="1,2",
    ) == ("ValidationError", f"Endpoint cli of account {ACCOUNT} not found.")  # fmt: skip


def test_an_endpoint_that_cannot_serve_ends_the_wait(aws_cli, cloud, archive):
    aws_cli(
        "create-model",
        model_name="cli-broken",
        execution_role_arn=ROLE,
        primary_container=f"Image={cloud.image('raise SystemExit(1)')},ModelDataUrl={archive}",
    )
    variant = "VariantName=A,ModelName=cli-broken,InstanceType=ml.m5.large,InitialInstanceCount=1"
    aws_cli(
        "create-endpoint-config", endpoint_config_name="cli-broken", production_variants=variant
    )
    aws_cli("create-endpoint", endpoint_name="cli-broken", endpoint_config_name="cli-broken")

    said = aws_cli.gives_up("wait", "endpoint-in-service", endpoint_name="cli-broken")

    assert "terminal failure state" in said
    status = aws_cli("describe-endpoint", endpoint_name="cli-broken", query="EndpointStatus")
    assert status == "Failed"
    aws_cli("delete-endpoint", endpoint_name="cli-broken")
    aws_cli("delete-model", model_name="cli-broken")


def test_model_package_groups_and_packages(aws_cli, archive):
    group = aws_cli(
        "create-model-package-group",
        model_package_group_name="cli-group",
        tags=[{"Key": "team", "Value": "ops"}],
    )["ModelPackageGroupArn"]
    assert aws_cli("list-tags", resource_arn=group)["Tags"] == [{"Key": "team", "Value": "ops"}]
    arns = [
        aws_cli(
            "create-model-package",
            model_package_group_name="cli-group",
            inference_specification={
                "Containers": [{"Image": "image:1", "ModelDataUrl": archive}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )["ModelPackageArn"]
        for _ in range(3)
    ]
    listed = {"listed": "ModelPackageSummaryList", "name": "ModelPackageArn"}
    same = {"model_package_group_name": "cli-group", "sort_order": "Ascending"}
    assert aws_cli.paged("list-model-packages", **listed, **same) == arns

    aws_cli("update-model-package", model_package_arn=arns[2], model_approval_status="Approved")
    approved = {"model_approval_status": "Approved", "model_package_group_name": "cli-group"}
    assert aws_cli.paged("list-model-packages", **listed, **approved) == arns[2:]
    described = aws_cli("describe-model-package", model_package_name=arns[2])
    assert described["ModelApprovalStatus"] == "Approved"

    in_use = aws_cli.refused("delete-model-package-group", model_package_group_name="cli-group")
    assert in_use[0] == "ConflictException"
    for arn in arns:
        aws_cli("delete-model-package", model_package_name=arn)
    aws_cli("delete-model-package-group", model_package_group_name="cli-group")
    code, message = aws_cli.refused(
        "describe-model-package-group", model_package_group_name="cli-group"
    )
    assert (code, message) == (
        "ValidationException",
        f"ModelPackageGroup {group} does not exist.",
    )


def test_pipelines(aws_cli, cloud, tmp_path):
    fail = {"ErrorMessage": {"Std:Join": {"On": " ", "Values": ["no", {"Get": "Parameters.What"}]}}}
    definition = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "What", "Type": "String", "DefaultValue": "rows"}],
        "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": fail}],
    }
    (tmp_path / "definition.json").write_text(json.dumps(definition))
    text = f"file://{tmp_path / 'definition.json'}"
    for name in ("cli-1", "cli-2", "cli-3"):
        aws_cli("create-pipeline", pipeline_name=name, pipeline_definition=text, role_arn=ROLE)
    listed = {"listed": "PipelineSummaries", "name": "PipelineName"}
    in_order = {"sort_by": "Name", "sort_order": "Ascending", "pipeline_name_prefix": "cli"}
    assert aws_cli.paged("list-pipelines", **listed, **in_order) == ["cli-1", "cli-2", "cli-3"]
    again = {"client_request_token": "t" * 32, "pipeline_name": "cli-1"}
    arn = aws_cli(
        "start-pipeline-execution", pipeline_parameters="Name=What,Value=columns", **again
    )["PipelineExecutionArn"]
    assert aws_cli(
        "start-pipeline-execution", pipeline_parameters="Name=What,Value=columns", **again
    ) == {"PipelineExecutionArn": arn}

    cloud.service.context.store.wait_for(
        "PipelineExecution",
        arn.rpartition("/")[2],
        lambda body: body is None or body["PipelineExecutionStatus"] == "Failed",
        30,
    )
    described = aws_cli("describe-pipeline-execution", pipeline_execution_arn=arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    steps = aws_cli("list-pipeline-execution-steps", pipeline_execution_arn=arn)
    assert [step["FailureReason"] for step in steps["PipelineExecutionSteps"]] == ["no columns"]
    executions = aws_cli(
        "list-pipeline-executions", pipeline_name="cli-1", query="*[].PipelineExecutionArn"
    )
    assert executions == [arn]
    told = aws_cli("list-pipeline-parameters-for-execution", pipeline_execution_arn=arn)
    assert told == {"PipelineParameters": [{"Name": "What", "Value": "columns"}]}

    aws_cli("update-pipeline", pipeline_name="cli-2", pipeline_description="another")
    described = aws_cli("describe-pipeline", pipeline_name="cli-2")
    assert described["PipelineDescription"] == "another"
    assert json.loads(described["PipelineDefinition"]) == definition
    aws_cli("delete-pipeline", pipeline_name="cli-1")
    assert aws_cli.refused("describe-pipeline", pipeline_name="cli-1") == (
        "ResourceNotFound",
        f"Pipeline '{MISSING}:pipeline/cli-1' does not exist.",
    )


def test_monitoring_schedules(aws_cli, cloud, shared_bucket, archive):
    hosting = Hosting(cloud, None, shared_bucket)
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{shared_bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    model = hosting.model(uri=archive)
    config = hosting.config(model, DataCaptureConfig=capture)
    endpoint = hosting.endpoint(config)
    source = {"EndpointName": endpoint, "LocalPath": "/opt/ml/processing/input/endpoint"}
    output = s3_output(f"s3://{shared_bucket}/reports")["Outputs"][0]["S3Output"]
    job = {
        "MonitoringInputs": [{"EndpointInput": source}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
        "MonitoringResources": {"ClusterConfig": RESOURCES},
        "MonitoringAppSpecification": {"ImageUri": cloud.image(TELLING)},
        "RoleArn": ROLE,
    }
    when = {"ScheduleExpression": "cron(0 * ? * * *)"}
    names = [f"cli-watch-{number}" for number in range(3)]
    for name in names:
        aws_cli(
            "create-monitoring-schedule",
            monitoring_schedule_name=name,
            monitoring_schedule_config={"ScheduleConfig": when, "MonitoringJobDefinition": job},
        )
    listed = {"listed": "MonitoringScheduleSummaries", "name": "MonitoringScheduleName"}
    in_order = {"sort_by": "Name", "sort_order": "Ascending", "endpoint_name": endpoint}
    assert aws_cli.paged("list-monitoring-schedules", **listed, **in_order) == names
    aws_cli("stop-monitoring-schedule", monitoring_schedule_name=names[0])
    status = aws_cli(
        "describe-monitoring-schedule",
        monitoring_schedule_name=names[0],
        query="MonitoringScheduleStatus",
    )
    assert status == "Stopped"
    for name in names:
        aws_cli("delete-monitoring-schedule", monitoring_schedule_name=name)
    aws_cli("delete-endpoint", endpoint_name=endpoint)
    aws_cli("delete-endpoint-config", endpoint_config_name=config)
    aws_cli("delete-model", model_name=model)
    code, _ = aws_cli.refused("describe-monitoring-schedule", monitoring_schedule_name=names[0])
    assert code == "ResourceNotFound"


def test_what_the_local_cloud_does_not_have_is_said_by_name(aws_cli):
    code, message = aws_cli.refused("list-notebook-instances")

    assert code == "ValidationException"
    assert message.startswith("ListNotebookInstances is a SageMaker operation that the local cloud")


def test_the_program_itself(aws_cli):
    """All else is told to one that runs on."""
    answer = aws_cli.process("sagemaker", "list-processing-jobs", "--max-items", "1")

    assert len(answer["ProcessingJobSummaries"]) <= 1
    assert "NextToken" not in answer or base64.b64decode(answer["NextToken"])
