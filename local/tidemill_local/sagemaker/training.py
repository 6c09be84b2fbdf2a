"""Training jobs."""

import re
import time
from collections.abc import Sequence
from typing import Any

from tidemill_local.images import built_in, container_command, search_path
from tidemill_local.sagemaker import (
    experiments,
    job_queue,
    jobs,
    paging,
    training_checks,
    training_contract,
)
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.channels import (
    TransferError,
    Upload,
    download,
    objects_in_manifest,
    objects_under,
    upload_archive,
)
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.epochs import Epochs
from tidemill_local.sagemaker.errors import ResourceInUseError, ValidationError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.operations import on_start, operation
from tidemill_local.sagemaker.store import DuplicateRecordError
from tidemill_local.sagemaker.workspace import Workspace

_KIND = "TrainingJob"
_FAILURE_CHARACTERS = 1024  # of /opt/ml/output/failure that become the FailureReason
_LONGEST_MEASURED = 4096  # characters of a line that metric patterns are tried on
_INTERRUPTED = (
    "InternalServerError: the local cloud stopped while this job ran; start it again "
    "under a new name"
)
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJob(jobs.Job):
    """The contract of a training container: /opt/ml/input, /opt/ml/model, /opt/ml/output."""

    kind = _KIND
    log_group = "/aws/sagemaker/TrainingJobs"

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        definitions = self.body.get("AlgorithmSpecification", {}).get("MetricDefinitions", [])
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._metrics: dict[str, dict[str, Any]] = {}
        self._epochs = Epochs(context, self.body)
        self._checkpoints: list[Upload] = []

    @property
    def instances(self) -> int:
        """InstanceCount."""
        count: int = self.body["ResourceConfig"]["InstanceCount"]
        return count

    def enter(self, phase: str) -> None:
        """Record and announce the next SecondaryStatus."""
        now = time.time()
        status = "Training" if phase == "Running" else phase

        def change(body: dict[str, Any]) -> None:
            if phase == "Running":
                body["TrainingStartTime"] = now
            if body["TrainingJobStatus"] == "InProgress":  # else it is Stopping, and stays so
                _move_on(body, status, now)

        announce(self.context, _KIND, self.context.store.edit(_KIND, self.name, change))

    def prepare(self, workspace: Workspace) -> jobs.Launch:
        """Write the configuration, fetch the channels and what was checkpointed."""
        body = self.body
        training_contract.write_configuration(workspace, body)
        for path in ("model", "output/data", "output/intermediate", "input/data"):
            (workspace.base / path).mkdir(parents=True, exist_ok=True)
        for channel in body["InputDataConfig"]:
            source = channel["DataSource"]["S3DataSource"]
            self.check()
            if source["S3DataType"] == "ManifestFile":
                objects = objects_in_manifest(self.context.s3, source["S3Uri"])
            else:
                objects = objects_under(self.context.s3, source["S3Uri"], body["RoleArn"])
            if source.get("S3DataDistributionType") == "ShardedByS3Key":
                objects = workspace.share(objects)
            directory = workspace.base / "input" / "data" / channel["ChannelName"]
            download(self.context.s3, objects, directory, self.check)
            if channel["ChannelName"] == training_contract.DRIVERS:
                training_contract.relocate(workspace, directory)
        self._restore_checkpoints(workspace)
        return self._launch(workspace)

    def observe(self, lines: list[str]) -> None:
        """Keep each metric's last value."""
        super().observe(lines)
        for line in lines if self._patterns else ():
            for name, pattern in self._patterns:
                value = _measured(pattern, line[:_LONGEST_MEASURED])
                if value is not None:
                    now = time.time()
                    self._metrics[name] = {"MetricName": name, "Value": value, "Timestamp": now}
                    self._epochs.hear(name, value)

    def tick(self) -> None:
        """Send the checkpoints written so far, and tell who follows the metrics."""
        self._epochs.tell()
        for upload in self._checkpoints:
            upload.run()

    def judge(self, workspace: Workspace, outcome: jobs.Outcome) -> jobs.Outcome:
        """Let the failure file speak, unless memory ran out: then the file cannot know."""
        if outcome.status != "Failed" or "more memory" in outcome.reason:
            return outcome
        try:
            with (workspace.base / "output" / "failure").open(errors="replace") as file:
                text = file.read(_FAILURE_CHARACTERS).strip()
        except OSError:
            return outcome
        if not text:
            return outcome
        ending = f", exit code: {outcome.exit_code}"
        room = _FAILURE_CHARACTERS - len("AlgorithmError: ") - len(ending)
        reason = f"AlgorithmError: {text[:room]}{ending}"
        return jobs.Outcome("Failed", reason, exit_code=outcome.exit_code)

    def deliver(self, workspaces: Sequence[Workspace], outcome: jobs.Outcome) -> None:
        """
        Upload model.tar.gz, output.tar.gz and checkpoints to SageMaker's places.

        What the hosts left becomes one archive; of files with the same name the last host's stays.
        A stopped job's model is kept, since the grace period is there to save it; a failed job's
        is not.
        """
        s3 = self.context.s3
        self.tick()
        config = self.body["OutputDataConfig"]
        base = f"{config['S3OutputPath'].rstrip('/')}/{self.name}/output"
        plain = config.get("CompressionType", "GZIP") == "NONE"
        outputs = [workspace.base / "output" / "data" for workspace in workspaces]
        upload_archive(s3, outputs, f"{base}/output.tar.gz")
        if outcome.status == "Failed":
            return
        models = [workspace.base / "model" for workspace in workspaces]
        if plain:
            for model in models:
                Upload(s3, model, f"{base}/model").run()
        else:
            upload_archive(s3, models, f"{base}/model.tar.gz")
        artifacts = f"{base}/model/" if plain else f"{base}/model.tar.gz"
        self.context.store.update(_KIND, self.name, ModelArtifacts={"S3ModelArtifacts": artifacts})

    def conclude(self, outcome: jobs.Outcome) -> None:
        """Write statuses, reason, metrics and times; announce them."""
        self._epochs.tell()
        now = time.time()
        secondary = "MaxRuntimeExceeded" if outcome.timed_out else outcome.status

        def change(body: dict[str, Any]) -> None:
            body["TrainingJobStatus"] = outcome.status
            _move_on(body, secondary, now)
            body["SecondaryStatusTransitions"][-1]["EndTime"] = now
            body["TrainingEndTime"] = now
            if "TrainingStartTime" in body:
                seconds = max(1, round(now - body["TrainingStartTime"]))
                body["TrainingTimeInSeconds"] = body["BillableTimeInSeconds"] = seconds
            if outcome.status == "Failed":
                body["FailureReason"] = jobs.short_reason(outcome.reason)
            if self._metrics:
                body["FinalMetricDataList"] = list(self._metrics.values())

        announce(self.context, _KIND, self.context.store.edit(_KIND, self.name, change))

    def _launch(self, workspace: Workspace) -> jobs.Launch:
        algorithm = self.body["AlgorithmSpecification"]
        entrypoint = algorithm.get("ContainerEntrypoint", [])
        # Without an entrypoint of its own the image is run as `docker run image train`.
        arguments = algorithm.get("ContainerArguments", [] if entrypoint else ["train"])
        root, image = self.context.root, algorithm["TrainingImage"]
        script = training_contract.brings_script(self.body)
        command = container_command(root, image, entrypoint, arguments, script=script)
        variables = training_contract.environment(self.context, workspace, self.body)
        variables["PATH"] = search_path(root, image, variables["PATH"])
        return jobs.Launch([workspace.translate(word) for word in command], variables)

    def _restore_checkpoints(self, workspace: Workspace) -> None:
        config = self.body.get("CheckpointConfig")
        if config is None:
            return
        directory = workspace.path(config.get("LocalPath", "/opt/ml/checkpoints"))
        directory.mkdir(parents=True, exist_ok=True)
        try:
            saved = objects_under(self.context.s3, config["S3Uri"].rstrip("/") + "/", "")
        except TransferError:
            saved = []  # a first run has none
        download(self.context.s3, saved, directory, self.check)
        self._checkpoints.append(Upload(self.context.s3, directory, config["S3Uri"]))


@operation(
    "CreateTrainingJob",
    refused=("ServerlessJobConfig", "ModelPackageConfig"),
    idle=(
        "VpcConfig",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "TensorBoardOutputConfig",
        "ProfilerConfig",
        "ProfilerRuleConfigurations",
        "RetryStrategy",
        "RemoteDebugConfig",
        "InfraCheckConfig",
        "SessionChainingConfig",
        "MlflowConfig",
    ),
    differs="no instance groups; File and FastFile channels from S3; a TrainingImage",
)
def create_training_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a job and queue it; an empty S3Prefix channel is refused at once, as in SageMaker."""
    name = request["TrainingJobName"]
    experiments.check_config(context, request)
    training_checks.check(context, request)
    arn = arn_of(context, "training-job", name)
    now = time.time()
    body = {field: value for field, value in request.items() if field != "Tags"} | {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatusTransitions": [],
        "HyperParameters": request.get("HyperParameters", {}),
        "InputDataConfig": request.get("InputDataConfig", []),
        "Environment": request.get("Environment", {}),
        "StoppingCondition": {"MaxRuntimeInSeconds": jobs.DEFAULT_RUNTIME_SECONDS}
        | request.get("StoppingCondition", {}),
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    _add_metrics(body["AlgorithmSpecification"])
    _move_on(body, "Starting", now)
    if context.store.get(_KIND, name) is None:
        training_checks.check_channels(context, request)
    try:
        context.store.insert(_KIND, name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        raise ResourceInUseError(
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({error.body['TrainingJobArn']})"
        ) from error
    announce(context, _KIND, body)
    context.part(job_queue.JobRunner).submit(TrainingJob(context, name))
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
    jobs.request_stop(context, _KIND, name, "training job")
    body = context.store.edit(_KIND, name, lambda body: _move_on(body, "Stopping", time.time()))
    announce(context, _KIND, body)
    context.part(job_queue.JobRunner).stop(_KIND, name)
    return {}


@on_start
def recover_training_jobs(context: Context) -> None:
    """End what a crash interrupted."""
    job_queue.recover(context, TrainingJob, _INTERRUPTED)


def _found(context: Context, name: str) -> dict[str, Any]:
    body = context.store.get(_KIND, name)
    if body is None:
        raise ValidationError("Requested resource not found.")
    return body


def _move_on(body: dict[str, Any], status: str, now: float) -> None:
    """Set the SecondaryStatus, ending the transition before it."""
    transitions = body["SecondaryStatusTransitions"]
    body["SecondaryStatus"] = status
    if transitions and transitions[-1]["Status"] == status:
        return
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    transitions.append({"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status]})


def _add_metrics(algorithm: dict[str, Any]) -> None:
    """Let a built-in algorithm report its metrics, as SageMaker does, unless told otherwise."""
    ours = built_in(algorithm["TrainingImage"])
    if ours is not None and ours.reports:
        algorithm.setdefault("MetricDefinitions", ours.metric_definitions())


def _measured(pattern: re.Pattern[str], line: str) -> float | None:
    match = pattern.search(line)
    if match is None or not match.groups():
        return None
    try:
        return float(match[1])
    except (TypeError, ValueError):
        return None
