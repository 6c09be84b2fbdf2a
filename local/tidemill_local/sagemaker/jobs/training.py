"""The operations of training jobs."""

import time
from typing import Any

from tidemill_local.images import built_in
from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.jobs import lifecycle, training_checks, training_job
from tidemill_local.sagemaker.jobs.job import DEFAULT_RUNTIME_SECONDS
from tidemill_local.sagemaker.jobs.job_queue import JobRunner
from tidemill_local.sagemaker.lineage import experiments
from tidemill_local.sagemaker.operations import on_start, operation
from tidemill_local.sagemaker.store import without_tags

_KIND = training_job.KIND
_TAKEN = (
    "Training job names must be unique within an AWS account and region, and a training job with "
    "this name already exists"
)


@operation(
    "CreateTrainingJob",
    refused=("ServerlessJobConfig", "ModelPackageConfig"),
    idle=(
        "VpcConfig",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "TensorBoardOutputConfig",
        "ProfilerConfig",
        "ProfilerRuleConfigurations",
        "RemoteDebugConfig",
        "InfraCheckConfig",
        "SessionChainingConfig",
        "MlflowConfig",
    ),
    differs="no instance groups; channels from S3; a TrainingImage; a spot job "
    "is interrupted on request only, and billed 30 % of its time",
)
def create_training_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a job and queue it; an empty S3Prefix channel is refused at once, as in SageMaker."""
    name = request["TrainingJobName"]
    experiments.check_config(context, request)
    training_checks.check(context, request)
    arn = arn_of(context, "training-job", name)
    now = time.time()
    body = without_tags(request) | {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatusTransitions": [],
        "HyperParameters": request.get("HyperParameters", {}),
        "InputDataConfig": request.get("InputDataConfig", []),
        "Environment": request.get("Environment", {}),
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_SECONDS}
        | request.get("StoppingCondition", {}),
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    _add_metrics(body["AlgorithmSpecification"])
    training_job.move_on(body, "Starting", now)
    if context.store.get(_KIND, name) is None:
        training_checks.check_channels(context, request)
    lifecycle.begin(context, training_job.TrainingJob, body, request.get("Tags", []), taken=_TAKEN)
    return {"TrainingJobArn": arn}


@operation("DescribeTrainingJob")
def describe_training_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return _found(context, request["TrainingJobName"])


@operation("ListTrainingJobs", refused=("WarmPoolStatusEquals", "TrainingPlanArnEquals"))
def list_training_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    return paging.page(
        request,
        context.store.rows(_KIND),
        answer="TrainingJobSummaries",
        name="TrainingJobName",
        status="TrainingJobStatus",
    )


@operation("StopTrainingJob")
def stop_training_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Ask a job to end: SIGTERM, and SIGKILL after the grace period."""
    name = request["TrainingJobName"]
    _found(context, name)
    now = time.time()
    lifecycle.stop(
        context,
        _KIND,
        name,
        "training job",
        lambda body: training_job.move_on(body, "Stopping", now),
    )
    return {}


def interrupt(context: Context, name: str, seconds: float = 0.0) -> bool:
    """
    Take a spot job's instances away, as AWS may at any time; it goes on from its checkpoints.

    Args:
        context: The service's.
        name: The job's.
        seconds: How long there is no capacity for it.

    Returns:
        Whether it was interrupted: it is a spot job and was training.
    """
    job = context.part(JobRunner).running(_KIND, name)
    return isinstance(job, training_job.TrainingJob) and job.interrupt(seconds)


@on_start
def recover_training_jobs(context: Context) -> None:
    """Take up what a crash interrupted: spot jobs and retried ones go on, others end."""
    lifecycle.recover(context, training_job.TrainingJob)


def _found(context: Context, name: str) -> dict[str, Any]:
    body = context.store.get(_KIND, name)
    if body is None:
        raise ValidationError("Requested resource not found.")
    return body


def _add_metrics(algorithm: dict[str, Any]) -> None:
    """Let a built-in algorithm report its metrics, as SageMaker does, unless told otherwise."""
    ours = built_in(algorithm["TrainingImage"])
    if ours is not None and ours.reports:
        algorithm.setdefault("MetricDefinitions", ours.metric_definitions())
