"""The AWS CLI creates, waits for, describes, lists and deletes the main resources."""

import base64
import json
import uuid

import pytest

from .command_line import CommandLine
from .conftest import ACCOUNT, REGION, ROLE
from .job_requests import channel, s3_output
from .model_servers import ECHO, Hosting
from .monitored_endpoint import TELLING
from .pipeline_calls import RESOURCES

MISSING = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
MODEL = """
    import os, pathlib
    pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model/weights").write_text("7")
"""
SLEEP = "import time; time.sleep(60)"


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture(scope="module")
def aws_cli(cloud):
    line = CommandLine(cloud.url, ACCOUNT, REGION)
    yield line
    line.close()


@pytest.fixture(scope="module")
def lake(s3):
    name = f"cli-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def archive(cloud, s3, lake):
    """The address of a model that the image `ECHO` serves."""
    return Hosting(cloud, s3, lake).put_model(name="cli")


def process(aws_cli, image, name):
    return aws_cli(
        "create-processing-job",
        processing_job_name=name,
        role_arn=ROLE,
        app_specification=f"ImageUri={image}",
        processing_resources={"ClusterConfig": RESOURCES},
        stopping_condition="MaxRuntimeInSeconds=60",
    )


def paged(aws_cli, *words, listed, name, **options):
    """Return the names a list has when it is asked for two at a time, as `--max-items` does."""
    found, token = [], {}
    while True:
        page = aws_cli(*words, max_items="2", **options, **token)
        assert len(page[listed]) <= 2
        found += [entry[name] for entry in page[listed]]
        if "NextToken" not in page:
            return found
        token = {"starting_token": page["NextToken"]}


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
    assert paged(aws_cli, "list-processing-jobs", **listed, **same) == names
    assert paged(aws_cli, "list-processing-jobs", **listed, **same, page_size="1") == names
    backwards = paged(aws_cli, "list-processing-jobs", **listed, **same, sort_order="Descending")
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


def test_training_jobs(aws_cli, cloud, lake, s3):
    s3.put_object(Bucket=lake, Key="rows/a.csv", Body=b"1,2\n")
    arn = aws_cli(
        "create-training-job",
        training_job_name="cli-train",
        role_arn=ROLE,
        algorithm_specification=f"TrainingImage={cloud.image(MODEL)},TrainingInputMode=File",
        input_data_config=[channel("train", f"s3://{lake}/rows/")],
        output_data_config=f"S3OutputPath=s3://{lake}/models",
        resource_config="InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1",
        stopping_condition="MaxRuntimeInSeconds=60",
        tags=[{"Key": "team", "Value": "ops"}],
    )["TrainingJobArn"]
    aws_cli("wait", "training-job-completed-or-stopped", training_job_name="cli-train")

    described = aws_cli("describe-training-job", training_job_name="cli-train")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{lake}/models/cli-train/output/model.tar.gz"
    assert s3.head_object(Bucket=lake, Key=model.removeprefix(f"s3://{lake}/"))
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
        found = paged(
            aws_cli, words, listed=listed, name=name, sort_by="Name", sort_order="Ascending"
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
    assert paged(aws_cli, "list-model-packages", **listed, **same) == arns

    aws_cli("update-model-package", model_package_arn=arns[2], model_approval_status="Approved")
    approved = {"model_approval_status": "Approved", "model_package_group_name": "cli-group"}
    assert paged(aws_cli, "list-model-packages", **listed, **approved) == arns[2:]
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
    assert paged(aws_cli, "list-pipelines", **listed, **in_order) == ["cli-1", "cli-2", "cli-3"]
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


def test_monitoring_schedules(aws_cli, cloud, lake, archive):
    hosting = Hosting(cloud, None, lake)
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{lake}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    model = hosting.model(uri=archive)
    config = hosting.config(model, DataCaptureConfig=capture)
    endpoint = hosting.endpoint(config)
    source = {"EndpointName": endpoint, "LocalPath": "/opt/ml/processing/input/endpoint"}
    output = s3_output(f"s3://{lake}/reports")["Outputs"][0]["S3Output"]
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
    assert paged(aws_cli, "list-monitoring-schedules", **listed, **in_order) == names
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
