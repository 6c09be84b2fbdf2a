"""Step Functions drives SageMaker as it does on AWS; here with a SageMaker that we hold."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud import (
    create_state_machine,
    finished,
    receive,
    run_state_machine,
    subscribe,
    wait_until,
)

OPTIMIZED = "arn:aws:states:::sagemaker:"


@pytest.fixture
def cloud(cloud_with_fake_sagemaker):
    return cloud_with_fake_sagemaker


def task(resource, arguments, **fields):
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True} | fields


def machine(cloud, name, state):
    return create_state_machine(cloud, name, {"StartAt": "Run", "States": {"Run": state}})


@pytest.mark.parametrize("kind", ["ProcessingJob", "TrainingJob"])
def test_a_job_is_waited_for(cloud, kind):
    state = task(f"{OPTIMIZED}create{kind}.sync", {f"{kind}Name": f"completes-{kind}"})

    execution = run_state_machine(cloud, machine(cloud, f"sync-{kind}", state))

    assert execution["status"] == "SUCCEEDED"
    output = json.loads(execution["output"])
    assert output[f"{kind}Status"] == "Completed"
    assert output["CreationTime"] == 1_700_000_000_250


def test_a_failed_job_fails_the_task_with_its_description(cloud):
    state = task(f"{OPTIMIZED}createTrainingJob.sync", {"TrainingJobName": "fails-1"})

    execution = run_state_machine(cloud, machine(cloud, "sync-fails", state))

    assert execution["error"] == "States.TaskFailed"
    cause = json.loads(execution["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"] == "AlgorithmError: one class only"


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ("InUse", "SageMaker.ResourceInUseException"),
        ("Validation", "SageMaker.AmazonSageMakerException"),
    ],
)
def test_a_refused_request_has_its_optimized_name(cloud, job, error):
    if job == "InUse":
        state = task(f"{OPTIMIZED}createTrainingJob", {"TrainingJobName": "twice"})
        run_state_machine(cloud, machine(cloud, "first-of-two", state))
    else:
        state = task(f"{OPTIMIZED}createEndpoint", {"EndpointName": "e"})

    execution = run_state_machine(cloud, machine(cloud, f"refused-{job}", state))

    assert execution["error"] == error
    assert "Error Code: " in execution["cause"]


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "code"),
    [
        ("createTrainingJob", {"TrainingJobName": "sdk-twice"},
         "SageMaker.ResourceInUseException", "ResourceInUse"),
        ("describeEndpoint", {"EndpointName": "e"},
         "SageMaker.SageMakerException", "ValidationException"),
    ],
)  # fmt: skip
def test_a_refused_sdk_call_has_its_sdk_name(cloud, operation, arguments, error, code):
    state = task(f"arn:aws:states:::aws-sdk:sagemaker:{operation}", arguments)
    arn = machine(cloud, f"sdk-{operation}", state)
    run_state_machine(cloud, arn)

    execution = run_state_machine(cloud, arn)

    assert execution["error"] == error
    assert f"Error Code: {code}" in execution["cause"]


def test_an_sdk_answer_shows_times_as_text(cloud):
    create = task("arn:aws:states:::aws-sdk:sagemaker:createTrainingJob", {"TrainingJobName": "t"})
    look = task("arn:aws:states:::aws-sdk:sagemaker:describeTrainingJob", {"TrainingJobName": "t"})
    definition = {
        "StartAt": "Create",
        "States": {"Create": create | {"Next": "Look"}, "Look": look},
    }
    definition["States"]["Create"].pop("End")

    execution = run_state_machine(cloud, create_state_machine(cloud, "sdk-times", definition))

    assert json.loads(execution["output"])["CreationTime"] == "2023-11-14T22:13:20.250Z"


def test_a_task_that_is_not_offered_says_so(cloud):
    state = task(f"{OPTIMIZED}createModel.sync", {"ModelName": "m"})

    execution = run_state_machine(cloud, machine(cloud, "not-offered", state))

    assert execution["error"] == "States.Runtime"
    assert "createModel.sync" in execution["cause"]


def status_of(cloud, name):
    client = cloud.client("sagemaker")
    return client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]


def test_stopping_an_execution_stops_its_job(cloud):
    state = task(f"{OPTIMIZED}createTrainingJob.sync", {"TrainingJobName": "hangs-stopped"})
    client = cloud.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=machine(cloud, "stopped", state))["executionArn"]
    wait_until(lambda: job_exists(cloud, "hangs-stopped"))

    client.stop_execution(executionArn=arn, error="Enough", cause="a test")

    wait_until(lambda: status_of(cloud, "hangs-stopped") == "Stopped")
    assert finished(cloud, arn)["status"] == "ABORTED"


def job_exists(cloud, name):
    try:
        return bool(status_of(cloud, name))
    except ClientError:
        return False


def test_a_task_timeout_stops_its_job(cloud):
    arguments = {"TrainingJobName": "hangs-timeout"}
    state = task(f"{OPTIMIZED}createTrainingJob.sync", arguments, TimeoutSeconds="{% 1 %}")

    execution = run_state_machine(cloud, machine(cloud, "task-timeout", state))

    assert execution["error"] == "States.Timeout"
    wait_until(lambda: status_of(cloud, "hangs-timeout") == "Stopped")


def test_a_job_s_event_reaches_a_rule(cloud):
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [{"prefix": "tells"}]},
    }
    url, _ = subscribe(cloud, "job-events", pattern)

    cloud.client("sagemaker").create_training_job(**training_job("tells-1"))

    event = json.loads(receive(cloud, url)[0]["Body"])
    assert event["detail"]["TrainingJobStatus"] == "Completed"
    assert event["resources"] == [event["detail"]["TrainingJobArn"]]


def training_job(name):
    return {
        "TrainingJobName": name,
        "RoleArn": "arn:aws:iam::000000000000:role/jobs",
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }  # fmt: skip


def test_an_endpoint_is_invoked_through_the_bare_endpoint_url(cloud):
    client = cloud.client("sagemaker-runtime")

    answer = client.invoke_endpoint(EndpointName="flights", Body=b"1,2", ContentType="text/csv")

    seen = json.loads(answer["Body"].read())
    assert seen == {"method": "POST", "path": "/endpoints/flights/invocations", "body": "1,2"}
    assert answer["InvokedProductionVariant"] == "blue"


def test_an_unknown_operation_is_the_service_s_answer(cloud):
    client: boto3.client = cloud.client("sagemaker")

    with pytest.raises(ClientError, match="ListModels is not known here"):
        client.list_models()


def test_a_state_machine_may_invoke_an_endpoint(cloud):
    arguments = {"EndpointName": "flights", "Body": "[1]", "ContentType": "application/json"}
    state = task("arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint", arguments)

    execution = run_state_machine(cloud, machine(cloud, "invokes", state))

    output = json.loads(execution["output"])
    assert json.loads(output["Body"])["body"] == "[1]"
    assert output["InvokedProductionVariant"] == "blue"
