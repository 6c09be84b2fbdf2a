"""Pipelines run their graph on real jobs: branches, failures, stops, restarts, and their events."""

import json
import re

import pytest

from tidemill_local.sagemaker.misfortune import Faults

from .conftest import ACCOUNT
from .model_servers import refused
from .pipeline_calls import PIPELINE_EVENT, RESOURCES, SLEEP, STEP_EVENT, Pipelines


@pytest.fixture
def pipelines(shared_cloud, bucket):
    return Pipelines(shared_cloud, bucket)


def test_gate_passes_and_the_version_is_registered(pipelines, s3):
    name = pipelines.wheel()

    arn = pipelines.start(name, {"RunId": "r7", "MinimumMetric": "0.85"})
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Succeeded", pipelines.steps(arn)
    assert "FailureReason" not in described
    steps = pipelines.steps(arn)
    assert list(steps) == ["Train", "Evaluate", "Gate", "Register"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    package = steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    registered = pipelines.sagemaker.describe_model_package(ModelPackageName=package)
    assert registered["ModelPackageGroupName"] == name
    assert registered["ModelApprovalStatus"] == "PendingManualApproval"
    model = registered["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert model.startswith(f"s3://{pipelines.bucket}/models/r7/")
    statistics = registered["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert statistics == f"s3://{pipelines.bucket}/evaluation/r7/evaluation.json"
    training = steps["Train"]["Metadata"]["TrainingJob"]["Arn"]
    job = training.rpartition("/")[2]
    execution_id = arn.rpartition("/")[2]
    assert re.fullmatch(rf"pipelines-{execution_id}-Train-[A-Za-z0-9]{{10}}", job)
    assert re.fullmatch(r"[a-z0-9]{12}", execution_id)
    tags = pipelines.sagemaker.list_tags(ResourceArn=training)["Tags"]
    assert {"Key": "run", "Value": "r7"} in tags
    evaluation = json.loads(
        s3.get_object(Bucket=pipelines.bucket, Key="evaluation/r7/evaluation.json")["Body"].read()
    )
    processing = steps["Evaluate"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert evaluation["arguments"] == ["--execution", execution_id, "--job", processing]
    # The group exists now: a second run adds a version.
    again = pipelines.start(name, {"RunId": "r8"})
    pipelines.ended(again)
    assert pipelines.steps(again)["Register"]["Metadata"]["RegisterModel"]["Arn"].endswith("/2")


def test_gate_refuses_and_says_why(pipelines):
    name = pipelines.wheel()

    arn = pipelines.start(name, {"Auc": "0.5"})
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Failed"
    assert described["FailureReason"] == "Step failure: One or multiple steps failed."
    steps = pipelines.steps(arn)
    assert list(steps) == ["Train", "Evaluate", "Gate", "Refuse"]
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert steps["Gate"]["StepStatus"] == "Succeeded"
    assert steps["Refuse"]["StepStatus"] == "Failed"
    assert steps["Refuse"]["FailureReason"] == "auc 0.5 is below 0.8"
    assert steps["Refuse"]["Metadata"] == {"Fail": {"ErrorMessage": "auc 0.5 is below 0.8"}}


def test_events_follow_the_documented_shapes(pipelines):
    name = pipelines.wheel()
    arn = pipelines.start(name, {"Auc": "0.5"}, PipelineExecutionDisplayName="mine")
    pipelines.ended(arn)

    first, last = pipelines.events(PIPELINE_EVENT, arn)
    pipeline_arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/{name}"
    assert first == {
        "pipelineArn": pipeline_arn,
        "pipelineExecutionArn": arn,
        "pipelineExecutionDisplayName": "mine",
        "currentPipelineExecutionStatus": "Executing",
        "executionStartTime": first["executionStartTime"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["executionStartTime"])
    assert last["currentPipelineExecutionStatus"] == "Failed"
    assert last["previousPipelineExecutionStatus"] == "Executing"
    assert last["executionEndTime"] >= first["executionStartTime"]
    steps = pipelines.events(STEP_EVENT, arn)
    changes = [(s["stepName"], s.get("previousStepStatus"), s["currentStepStatus"]) for s in steps]
    assert changes == [
        ("Train", None, "Starting"),
        ("Train", "Starting", "Executing"),
        ("Train", "Executing", "Succeeded"),
        ("Evaluate", None, "Starting"),
        ("Evaluate", "Starting", "Executing"),
        ("Evaluate", "Executing", "Succeeded"),
        ("Gate", None, "Starting"),
        ("Gate", "Starting", "Executing"),
        ("Gate", "Executing", "Succeeded"),
        ("Refuse", None, "Starting"),
        ("Refuse", "Starting", "Failed"),
    ]
    evaluated = steps[5]
    assert evaluated["stepType"] == "Processing"
    assert evaluated["pipelineArn"] == pipeline_arn
    assert re.fullmatch(r".*:processing-job/.*", evaluated["metadata"]["processingJob"]["arn"])
    assert evaluated["stepEndTime"] >= evaluated["stepStartTime"]
    assert steps[8]["metadata"] == {"condition": {"outcome": "False"}}
    assert steps[-1]["failureReason"] == "auc 0.5 is below 0.8"
    assert steps[-1]["metadata"] == {"fail": {"errorMessage": "auc 0.5 is below 0.8"}}


def test_failed_job_fails_the_pipeline(pipelines):
    name = pipelines.create(
        pipelines.training(hyper={"fail": "the target has one class"}), pipelines.evaluation()
    )

    arn = pipelines.start(name)
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Failed"
    steps = pipelines.steps(arn)
    assert list(steps) == ["Train"]
    assert "the target has one class" in steps["Train"]["FailureReason"]
    assert "TrainingJob" in steps["Train"]["Metadata"]


def test_exit_message_of_a_processing_job_is_told(pipelines):
    refuse = pipelines.cloud.image("""
        import os, pathlib, sys
        output = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output")
        (output / "message").write_text("Refused: too few rows.")
        sys.exit(3)
    """)
    arn = pipelines.start(pipelines.create(pipelines.processing("Prepare", refuse)))
    pipelines.ended(arn)

    assert "Refused: too few rows." in pipelines.steps(arn)["Prepare"]["FailureReason"]


def test_job_that_cannot_be_created_fails_its_step(pipelines):
    step = pipelines.training()
    step["Arguments"]["ResourceConfig"] = RESOURCES | {"InstanceType": {"Get": "Parameters.RunId"}}
    arn = pipelines.start(pipelines.create(step))
    pipelines.ended(arn)

    reason = pipelines.steps(arn)["Train"]["FailureReason"]
    assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateTrainingJob.")
    assert "instanceType" in reason


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (
            {"Std:JsonGet": {"S3Uri": "s3://nowhere/x.json", "Path": "a"}},
            "s3://nowhere/x.json cannot be read",
        ),
        ({"Std:JsonGet": {"S3Uri": "s3://BUCKET/broken.json", "Path": "a"}}, "is not JSON"),
        ({"Std:JsonGet": {"S3Uri": "s3://BUCKET/ok.json", "Path": "b"}}, "no 'b'"),
        ("text", "two numbers or two strings"),
    ],
)
def test_condition_that_cannot_be_decided_fails(pipelines, s3, left, says):
    s3.put_object(Bucket=pipelines.bucket, Key="broken.json", Body=b"{")
    s3.put_object(Bucket=pipelines.bucket, Key="ok.json", Body=b'{"a": 1}')
    left = json.loads(json.dumps(left).replace("BUCKET", pipelines.bucket))
    condition = {"Type": "GreaterThan", "LeftValue": left, "RightValue": 1}
    gate = {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {"Conditions": [condition], "IfSteps": [], "ElseSteps": []},
    }
    arn = pipelines.start(pipelines.create(gate))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert says in pipelines.steps(arn)["Gate"]["FailureReason"]


def test_steps_that_do_not_need_each_other_run_at_once_up_to_the_limit(pipelines):
    quick = pipelines.cloud.image("import time; time.sleep(0.3)")
    names = ["A", "B", "C"]
    steps = [pipelines.processing(name, quick) for name in names]
    name = pipelines.create(*steps, ParallelismConfiguration={"MaxParallelExecutionSteps": 2})

    def most_at_once(arn):
        assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
        times = [(s["StartTime"], s["EndTime"]) for s in pipelines.steps(arn).values()]
        return max(sum(a <= start < b for a, b in times) for start, _ in times)

    arn = pipelines.start(name)
    assert most_at_once(arn) == 2
    described = pipelines.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}
    one = {"MaxParallelExecutionSteps": 1}
    assert most_at_once(pipelines.start(name, ParallelismConfiguration=one)) == 1


def test_what_runs_beside_a_failure_ends_and_nothing_else_starts(pipelines):
    quick = pipelines.cloud.image("import time; time.sleep(0.8)")
    broken = pipelines.cloud.image("raise SystemExit(1)")
    name = pipelines.create(
        pipelines.processing("Good", quick),
        pipelines.processing("Bad", broken),
        pipelines.processing("Later", quick, DependsOn=["Good"]),
    )
    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert pipelines.statuses(arn) == {"Good": "Succeeded", "Bad": "Failed"}


def test_steps_that_need_a_branch_not_taken_are_left_out(pipelines):
    quick = pipelines.cloud.image("pass")
    no = {"Type": "Equals", "LeftValue": {"Get": "Parameters.RunId"}, "RightValue": "other"}
    inner = {
        "Name": "Inner",
        "Type": "Condition",
        "Arguments": {"Conditions": [no], "IfSteps": [pipelines.processing("Deep", quick)]},
    }
    outer = {
        "Name": "Outer",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [no],
            "IfSteps": [inner, pipelines.processing("Never", quick)],
            "ElseSteps": [pipelines.processing("Always", quick)],
        },
    }
    name = pipelines.create(
        outer,
        pipelines.processing("AfterNever", quick, DependsOn=["Never"]),
        pipelines.processing("AfterAlways", quick, DependsOn=["Always"]),
    )
    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert list(pipelines.steps(arn)) == ["Outer", "Always", "AfterAlways"]


def test_stop_ends_the_job_and_the_execution(pipelines):
    name = pipelines.create(
        pipelines.training(image=pipelines.cloud.image(SLEEP)), pipelines.evaluation()
    )
    arn = pipelines.start(name)
    pipelines.running(arn, "Train")

    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Stopped"
    assert pipelines.statuses(arn) == {"Train": "Stopped"}
    job = pipelines.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    stopped = pipelines.sagemaker.describe_training_job(TrainingJobName=job)
    assert stopped["TrainingJobStatus"] == "Stopped"
    changes = [e["currentPipelineExecutionStatus"] for e in pipelines.events(PIPELINE_EVENT, arn)]
    assert changes == ["Executing", "Stopping", "Stopped"]
    refused(
        pipelines.sagemaker.stop_pipeline_execution,
        "has ended with status Stopped",
        code="ConflictException",
        PipelineExecutionArn=arn,
    )


def test_job_stopped_by_someone_else_fails_the_step(pipelines):
    name = pipelines.create(pipelines.training(image=pipelines.cloud.image(SLEEP)))
    arn = pipelines.start(name)
    pipelines.running(arn, "Train")
    job = pipelines.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]

    pipelines.sagemaker.stop_training_job(TrainingJobName=job)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert "Stopped" in pipelines.steps(arn)["Train"]["FailureReason"]


@pytest.fixture
def faults(pipelines):
    found = pipelines.cloud.service.context.part(Faults)
    yield found
    for fault in found.list():
        found.remove(fault.id)


def retried(*kinds, attempts=2):
    """A policy that waits a second before the first try, and hardly before the others."""
    policy = {"IntervalSeconds": 1, "BackoffRate": 0.1, "MaxAttempts": attempts}
    return policy | {"ExceptionType": list(kinds)}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("throttle", "Step.THROTTLING"),
        ("internal-error", "Step.SERVICE_FAULT"),
        ("resource-limit", "SageMaker.RESOURCE_LIMIT"),
        ("capacity-error", "SageMaker.CAPACITY_ERROR"),
        ("job-error", "SageMaker.JOB_INTERNAL_ERROR"),
    ],
)
def test_step_is_tried_again_as_its_policy_says(pipelines, faults, fault, kind):
    image = pipelines.cloud.image("pass")
    policies = [retried("Step.THROTTLING", attempts=1), retried(kind)]
    if kind == "Step.THROTTLING":
        policies = [retried(kind)]
    name = pipelines.create(pipelines.processing("Look", image, RetryPolicies=policies))
    faults.add(fault, operation="CreateProcessingJob", count=2)

    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    step = pipelines.steps(arn)["Look"]
    assert step["AttemptCount"] == 3
    assert "FailureReason" not in step
    job = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    made = pipelines.sagemaker.describe_processing_job(ProcessingJobName=job)
    assert made["ProcessingJobStatus"] == "Completed"


def test_retries_come_to_an_end(pipelines, faults):
    policy = retried("Step.THROTTLING", attempts=1)
    name = pipelines.create(pipelines.training(RetryPolicies=[policy]))
    fault = faults.add("throttle", operation="CreateTrainingJob")

    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    step = pipelines.steps(arn)["Train"]
    assert "Rate exceeded" in step["FailureReason"]
    assert step["AttemptCount"] == 2
    assert next(f for f in faults.list() if f.id == fault.id).struck == 2


def test_step_whose_job_is_done_does_not_fail_of_a_throttled_look(pipelines, faults):
    name = pipelines.create(pipelines.processing("Look", pipelines.cloud.image("pass")))
    faults.add("throttle", operation="DescribeProcessingJob", count=2)
    faults.add("internal-error", operation="DescribeProcessingJob", after=2, count=1)

    arn = pipelines.start(name)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_parallelism_of_an_execution_is_changed_on_its_way(pipelines):
    slow = pipelines.cloud.image(SLEEP)
    steps = [pipelines.processing(name, slow) for name in "AB"]
    one = {"MaxParallelExecutionSteps": 1}
    arn = pipelines.start(pipelines.create(*steps, ParallelismConfiguration=one))
    pipelines.running(arn, "A")
    assert list(pipelines.steps(arn)) == ["A"]

    pipelines.sagemaker.update_pipeline_execution(
        PipelineExecutionArn=arn, ParallelismConfiguration={"MaxParallelExecutionSteps": 2}
    )

    pipelines.running(arn, "B")
    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Stopped"


def test_error_that_no_policy_names_is_not_tried_again(pipelines):
    policy = {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 5}
    step = pipelines.training(hyper={"fail": "bad data"}, RetryPolicies=[policy])
    arn = pipelines.start(pipelines.create(step))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert pipelines.steps(arn)["Train"]["AttemptCount"] == 1
