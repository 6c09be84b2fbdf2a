"""Processing jobs."""

import json
import time
from collections.abc import Sequence
from typing import Any

from tidemill_local.images import container_command
from tidemill_local.sagemaker import paging, quotas
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.containers.channels import (
    Upload,
    download,
    objects_in_manifest,
    objects_under,
)
from tidemill_local.sagemaker.containers.workspace import Workspace, is_container_path
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.jobs import lifecycle
from tidemill_local.sagemaker.jobs.container_metrics import ContainerMetrics
from tidemill_local.sagemaker.jobs.job import DEFAULT_RUNTIME_SECONDS, Job, Launch
from tidemill_local.sagemaker.jobs.runnable import Outcome, short_reason
from tidemill_local.sagemaker.lineage import experiments
from tidemill_local.sagemaker.operations import on_start, operation
from tidemill_local.sagemaker.store import without_tags

_KIND = "ProcessingJob"
_DATA_ROOT = "/opt/ml/processing"
_MESSAGE_BYTES = 1024  # of /opt/ml/output/message that become the ExitMessage


class ProcessingJob(Job):
    """The contract of a processing container: /opt/ml/config, /opt/ml/processing, message."""

    kind = _KIND
    log_group = "/aws/sagemaker/ProcessingJobs"

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self._at_end: list[Upload] = []
        self._message: str | None = None

    @property
    def instances(self) -> int:
        """InstanceCount."""
        count: int = self.body["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        return count

    @property
    def volume_gigabytes(self) -> int | None:
        """VolumeSizeInGB."""
        size: int = self.body["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"]
        return size

    def enter(self, phase: str) -> None:
        """Record when the container starts; the API has no other steps."""
        if phase == "Running":
            self.context.store.update(_KIND, self.name, ProcessingStartTime=time.time())

    def prepare(self, workspace: Workspace) -> Launch:
        """Write the configuration, fetch the inputs, make the output directories."""
        body = self.body
        _write_configuration(workspace, body)
        for channel in body["ProcessingInputs"]:
            source = channel["S3Input"]
            self.check()
            if source.get("S3DataType", "S3Prefix") == "ManifestFile":
                objects = objects_in_manifest(self.context.s3, source["S3Uri"])
            else:
                objects = objects_under(self.context.s3, source["S3Uri"], body["RoleArn"])
            if source.get("S3DataDistributionType") == "ShardedByS3Key":
                objects = workspace.share(objects)
            local = workspace.path(source["LocalPath"])
            download(self.context.s3, objects, local, self.check)
        for output in body["ProcessingOutputConfig"]["Outputs"]:
            target = output["S3Output"]
            directory = workspace.path(target["LocalPath"])
            directory.mkdir(parents=True, exist_ok=True)
            upload = Upload(self.context.s3, directory, target["S3Uri"])
            if target["S3UploadMode"] == "Continuous":
                self.live.add(upload)
            else:
                self._at_end.append(upload)
        app = body["AppSpecification"]
        command = container_command(
            self.context.root,
            app["ImageUri"],
            app.get("ContainerEntrypoint", []),
            app.get("ContainerArguments", []),
        )
        return Launch(
            [workspace.translate(word) for word in command],
            workspace.environment(self.context, body["Environment"]),
        )

    def judge(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """Read the exit message; one that is not UTF-8 fails the job, as in SageMaker."""
        if self._message is not None:  # another host's
            return outcome
        try:
            with (workspace.base / "output" / "message").open("rb") as file:
                data = file.read(_MESSAGE_BYTES)
        except OSError:
            return outcome
        try:
            self._message = data.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and len(data) == _MESSAGE_BYTES:
                self._message = data[: error.start].decode()  # the cut went through a character
                return outcome
            reason = "ClientError: /opt/ml/output/message is not UTF-8 text; write it as UTF-8."
            return Outcome("Failed", reason, exit_code=outcome.exit_code)
        return outcome

    def deliver(self, workspaces: Sequence[Workspace], outcome: Outcome) -> None:
        """Upload outputs: Continuous ones in any case, EndOfJob ones of a job that did not fail."""
        self.live.run()
        for upload in self._at_end if outcome.status != "Failed" else ():
            upload.run()
        if "MonitoringScheduleArn" in self.body:
            for workspace in workspaces:
                self.context.part(ContainerMetrics).publish(workspace.base / "output")

    def conclude(self, outcome: Outcome) -> None:
        """Write status, reason, message and times; announce them."""
        reason = outcome.reason if outcome.status == "Failed" or outcome.exceeded else None
        body = self.context.store.update(
            _KIND,
            self.name,
            ProcessingJobStatus=outcome.status,
            FailureReason=reason and short_reason(reason),
            ExitMessage=self._message or None,
            ProcessingEndTime=time.time(),
        )
        announce(self.context, _KIND, body)


@operation(
    "CreateProcessingJob",
    idle=("NetworkConfig",),
    differs="inputs from and outputs to S3, in File mode; no DatasetDefinition",
)
def create_processing_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a job and queue it."""
    name = request["ProcessingJobName"]
    experiments.check_config(context, request)
    arn = arn_of(context, "processing-job", name)
    check_instances(context, request["ProcessingResources"])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    body = without_tags(request) | {
        "ProcessingJobArn": arn,
        "ProcessingJobStatus": "InProgress",
        "ProcessingInputs": [_checked_input(item) for item in request.get("ProcessingInputs", [])],
        "ProcessingOutputConfig": request.get("ProcessingOutputConfig", {})
        | {"Outputs": [_checked_output(item) for item in outputs]},
        "Environment": request.get("Environment", {}),
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_SECONDS}
        | request.get("StoppingCondition", {}),
    }
    _refuse_repeated("InputName", body["ProcessingInputs"])
    _refuse_repeated("OutputName", outputs)
    lifecycle.begin(context, ProcessingJob, body, request.get("Tags", []))
    return {"ProcessingJobArn": arn}


@operation("DescribeProcessingJob")
def describe_processing_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return lifecycle.find(context, _KIND, request["ProcessingJobName"])


@operation("ListProcessingJobs")
def list_processing_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    return paging.page(
        request,
        context.store.rows(_KIND),
        answer="ProcessingJobSummaries",
        name="ProcessingJobName",
        status="ProcessingJobStatus",
    )


@operation("StopProcessingJob")
def stop_processing_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Ask a job to end: SIGTERM, and SIGKILL after the grace period."""
    name = lifecycle.find(context, _KIND, request["ProcessingJobName"])["ProcessingJobName"]
    lifecycle.stop(context, _KIND, name, "processing job")
    return {}


@on_start
def recover_processing_jobs(context: Context) -> None:
    """End what a crash interrupted."""
    lifecycle.recover(context, ProcessingJob)


def _checked_input(item: dict[str, Any]) -> dict[str, Any]:
    name = item["InputName"]
    _refuse_app_managed(f"the processing input {name}", item)
    source = item.get("S3Input")
    if source is None:
        raise ValidationError(
            f"the processing input {name} has no S3Input; the local cloud reads from S3 only"
        )
    if source.get("S3InputMode", "File") != "File":
        raise ValidationError(
            f"the processing input {name} has S3InputMode {source['S3InputMode']}; "
            "the local cloud supports File"
        )
    if source.get("S3CompressionType", "None") != "None":
        raise ValidationError(
            f"the processing input {name} has S3CompressionType {source['S3CompressionType']}, "
            "which SageMaker allows in Pipe mode only; the local cloud supports None"
        )
    local_path = source.get("LocalPath")
    if local_path is None:
        raise ValidationError(f"the processing input {name} has no LocalPath; give one")
    check_place(name, local_path)
    return item


def _checked_output(item: dict[str, Any]) -> dict[str, Any]:
    name = item["OutputName"]
    _refuse_app_managed(f"the processing output {name}", item)
    target = item.get("S3Output")
    if target is None or "LocalPath" not in target or "S3Uri" not in target:
        raise ValidationError(
            f"the processing output {name} needs an S3Output with LocalPath and S3Uri; "
            "the local cloud writes to S3 only"
        )
    check_place(name, target["LocalPath"])
    return item


def _refuse_app_managed(owner: str, item: dict[str, Any]) -> None:
    if item.get("AppManaged"):
        raise ValidationError(
            f"{owner} is AppManaged; the local cloud moves data to and from S3 itself, so leave "
            "AppManaged out"
        )


def check_instances(context: Context, resources: dict[str, Any]) -> None:
    """
    Refuse a job without a type and count of its instances, or with too many.

    Raises:
        ValidationError: It names none.
        ResourceLimitExceededError: It asks for more than the local cloud has.
    """
    cluster = resources["ClusterConfig"]
    if "InstanceCount" not in cluster or "InstanceType" not in cluster:
        raise ValidationError("set ClusterConfig's InstanceType and InstanceCount")
    quotas.check_instance_count(
        context, cluster["InstanceCount"], cluster["InstanceType"], "processing job usage"
    )


def check_place(name: str, local_path: str) -> None:
    """
    Refuse a LocalPath that is not below /opt/ml/processing.

    Raises:
        ValidationError: It is not; *name* is whose it is.
    """
    if not is_container_path(local_path) or not f"{local_path}/".startswith(f"{_DATA_ROOT}/"):
        raise ValidationError(
            f"LocalPath {local_path} of {name} must be below {_DATA_ROOT}, "
            "as in SageMaker; change it"
        )


def _refuse_repeated(field: str, items: list[dict[str, Any]]) -> None:
    names = [item[field] for item in items]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValidationError(f"{field} must be unique within a job: {', '.join(repeated)}")


def _write_configuration(workspace: Workspace, body: dict[str, Any]) -> None:
    """Write what SageMaker puts into /opt/ml/config (developer guide, "How SageMaker runs …")."""
    app, cluster = body["AppSpecification"], body["ProcessingResources"]["ClusterConfig"]
    configuration = {
        "ProcessingJobArn": body["ProcessingJobArn"],
        "ProcessingJobName": body["ProcessingJobName"],
        "AppSpecification": {"ContainerEntrypoint": None, "ContainerArguments": None} | app,
        "Environment": body["Environment"],
        "ProcessingInputs": body["ProcessingInputs"],
        "ProcessingOutputConfig": {"KmsKeyId": None} | body["ProcessingOutputConfig"],
        "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": None} | cluster},
        "RoleArn": body["RoleArn"],
        "StoppingCondition": body["StoppingCondition"],
    }
    hosts = {"current_host": workspace.host, "hosts": list(workspace.hosts)}
    directory = workspace.base / "config"
    directory.mkdir(parents=True)
    (directory / "processingjobconfig.json").write_text(json.dumps(configuration))
    (directory / "resourceconfig.json").write_text(json.dumps(hosts))
