"""A training job on its way: its containers' contract, its metrics, its attempts."""

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from tidemill_local.images import container_command, search_path
from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    Upload,
    download,
    is_empty,
    objects_in_manifest,
    objects_under,
    upload_archive,
)
from tidemill_local.sagemaker.containers.pipes import Pipe, manifest_units, object_units
from tidemill_local.sagemaker.containers.workspace import Workspace
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.jobs import training_contract
from tidemill_local.sagemaker.jobs.epochs import Epochs
from tidemill_local.sagemaker.jobs.job import Job, Launch, Limit, runtime_limit
from tidemill_local.sagemaker.jobs.runnable import Outcome, short_reason

KIND = "TrainingJob"
_LOOK_SECONDS = 0.1
_SETTLED_SECONDS = 1.0  # a rehearsed interruption comes so long after the container's start
_FAILURE_CHARACTERS = 1024  # of /opt/ml/output/failure that become the FailureReason
_LONGEST_MEASURED = 4096  # characters of a line that metric patterns are tried on
# What the record keeps for us: when this attempt began, seconds of those before it, and retries.
_ATTEMPT, _TRAINED, _RETRIES = "_AttemptStartTime", "_TrainedSeconds", "_Retries"
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted: its spot instances were taken away",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job waited and ran longer than MaxWaitTimeInSeconds provided",
}


class TrainingJob(Job):
    """The contract of a training container: /opt/ml/input, /opt/ml/model, /opt/ml/output."""

    kind = KIND
    log_group = "/aws/sagemaker/TrainingJobs"

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        definitions = self.body.get("AlgorithmSpecification", {}).get("MetricDefinitions", [])
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._metrics: dict[str, dict[str, Any]] = {}
        self._epochs = Epochs(context, self.body)
        self._capacity_at = 0.0
        self._settled = False

    @property
    def instances(self) -> int:
        """InstanceCount."""
        count: int = self.body["ResourceConfig"]["InstanceCount"]
        return count

    @property
    def volume_gigabytes(self) -> int | None:
        """VolumeSizeInGB."""
        size: int | None = self.body["ResourceConfig"].get("VolumeSizeInGB")
        return size

    @property
    def is_spot(self) -> bool:
        """Whether its instances may be taken away."""
        return bool(self.body.get("EnableManagedSpotTraining"))

    def limit(self) -> Limit:
        """MaxRuntimeInSeconds counts what all attempts ran, MaxWaitTimeInSeconds all since then."""
        condition = self.body["StoppingCondition"]
        most = condition["MaxRuntimeInSeconds"]
        run = runtime_limit(most, self.body.get(_TRAINED, 0.0))
        wait = condition.get("MaxWaitTimeInSeconds")
        left = math.inf if wait is None else wait - (time.time() - self.body["CreationTime"])
        if left >= run.seconds:
            return run
        reason = f"the job waited and ran longer than MaxWaitTimeInSeconds ({wait} s)"
        return Limit(left, "MaxWaitTimeExceeded", reason)

    def begin(self) -> None:
        """Wait for spot instances, if they were taken away."""
        while (left := self._capacity_at - time.monotonic()) > 0 and self.limit().seconds > 0:
            self.check()
            time.sleep(min(_LOOK_SECONDS, left))
        if self.body["SecondaryStatus"] == "Interrupted":
            self._write(lambda body: move_on(body, "Starting", time.time()))

    def interrupt(self, seconds: float = 0.0) -> bool:
        """Take its spot instances away for a time; return whether it had any."""
        if not self.is_spot:
            return False
        self._capacity_at = time.monotonic() + seconds
        return self.take_away()

    def goes_on(self, outcome: Outcome) -> bool:
        """A spot job begins anew when interrupted, another as often as its RetryStrategy says."""
        if outcome.status == "Interrupted":
            self._write(lambda body: _end_attempt(body, "Interrupted"))
            return True
        if outcome.status == "Failed" and outcome.reason.startswith("InternalServerError"):
            retries = self.body.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
            if self.body.get(_RETRIES, 0) < retries:
                self._write(lambda body: _end_attempt(body, "Starting", retry=True))
                return True
        return False

    def resumes(self, interrupted: str) -> bool:
        """Whether it goes on: it had not run yet, is a spot job, or may be tried again."""
        if not self.has_run():
            return True
        # Nobody knows when the attempt ended, so its time is not counted.
        self.body = self.context.store.update(KIND, self.name, **{_ATTEMPT: None})
        status = "Interrupted" if self.is_spot else "Failed"
        return self.goes_on(Outcome(status, interrupted))

    def enter(self, phase: str) -> None:
        """Record and announce the next SecondaryStatus."""
        now = time.time()
        status = "Training" if phase == "Running" else phase

        def change(body: dict[str, Any]) -> None:
            if phase == "Running":
                self._settled = False
                body.setdefault("TrainingStartTime", now)
                body[_ATTEMPT] = now
            if body["TrainingJobStatus"] == "InProgress":  # else it is Stopping, and stays so
                move_on(body, status, now)

        self._write(change)

    def prepare(self, workspace: Workspace) -> Launch:
        """Write the configuration, fetch the channels and what was checkpointed."""
        body = self.body
        training_contract.write_configuration(workspace, body)
        for path in ("model", "output/data", "output/intermediate", "input/data"):
            (workspace.base / path).mkdir(parents=True, exist_ok=True)
        for channel in body["InputDataConfig"]:
            self.check()
            if training_contract.is_piped(body, channel):
                self._pipe(workspace, channel)
            else:
                self._fetch(workspace, channel)
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
        """Tell who follows the metrics; lose the spot instances if a fault says so."""
        self._epochs.tell()
        if self.is_spot and not self._settled and self._ran() >= _SETTLED_SECONDS:
            self._settled = True  # each attempt is asked about once
            seconds = misfortune.takes_spot_instances(self.context, self.name)
            if seconds is not None:
                self.interrupt(seconds)

    def judge(self, workspace: Workspace, outcome: Outcome) -> Outcome:
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
        return Outcome("Failed", reason, exit_code=outcome.exit_code)

    def deliver(self, workspaces: Sequence[Workspace], outcome: Outcome) -> None:
        """
        Upload model.tar.gz, output.tar.gz and checkpoints to SageMaker's places.

        What the hosts left becomes one archive; of files with the same name the last host's stays.
        A stopped job's model is kept, since the grace period is there to save it; a failed job's
        is not. Of an interrupted one only the checkpoints stay.
        """
        s3 = self.context.s3
        self.live.run()
        if outcome.status == "Interrupted":
            return
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
        self.context.store.update(KIND, self.name, ModelArtifacts={"S3ModelArtifacts": artifacts})

    def conclude(self, outcome: Outcome) -> None:
        """Write statuses, reason, metrics and times; announce them."""
        self._epochs.tell()
        now = time.time()

        def change(body: dict[str, Any]) -> None:
            body["TrainingJobStatus"] = outcome.status
            _end_attempt(body, outcome.exceeded or outcome.status, now)
            body["SecondaryStatusTransitions"][-1]["EndTime"] = now
            body["TrainingEndTime"] = now
            if "TrainingStartTime" in body:
                seconds = max(1, round(body[_TRAINED]))
                share = self.context.limits.spot_price if self.is_spot else 1.0
                body["TrainingTimeInSeconds"] = seconds
                body["BillableTimeInSeconds"] = max(1, round(seconds * share))
            if outcome.status == "Failed":
                body["FailureReason"] = short_reason(outcome.reason)
            if self._metrics:
                body["FinalMetricDataList"] = list(self._metrics.values())

        self._write(change)

    def _ran(self) -> float:
        return time.time() - float(self.body.get(_ATTEMPT, math.inf))

    def _write(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the record and announce it."""
        self.body = self.context.store.edit(KIND, self.name, change)
        announce(self.context, KIND, self.body)

    def _launch(self, workspace: Workspace) -> Launch:
        algorithm = self.body["AlgorithmSpecification"]
        entrypoint = algorithm.get("ContainerEntrypoint", [])
        # Without an entrypoint of its own the image is run as `docker run image train`.
        arguments = algorithm.get("ContainerArguments", [] if entrypoint else ["train"])
        root, image = self.context.root, algorithm["TrainingImage"]
        script = training_contract.brings_script(self.body)
        command = container_command(root, image, entrypoint, arguments, script=script)
        variables = training_contract.environment(self.context, workspace, self.body)
        variables["PATH"] = search_path(root, image, variables["PATH"])
        return Launch([workspace.translate(word) for word in command], variables)

    def _fetch(self, workspace: Workspace, channel: dict[str, Any]) -> None:
        """Download this host's part of a channel."""
        source, name = channel["DataSource"]["S3DataSource"], channel["ChannelName"]
        objects = self._objects(source)
        if _is_sharded(source):
            objects = workspace.share(objects)
        directory = workspace.base / "input" / "data" / name
        download(self.context.s3, objects, directory, self.check)
        if name == training_contract.DRIVERS:
            training_contract.relocate(workspace, directory)

    def _pipe(self, workspace: Workspace, channel: dict[str, Any]) -> None:
        """Have this host's part of a channel streamed."""
        source, s3 = channel["DataSource"]["S3DataSource"], self.context.s3
        if source["S3DataType"] == "AugmentedManifestFile":
            units = manifest_units(s3, source["S3Uri"], source["AttributeNames"])
        else:
            packed = channel.get("CompressionType") == "Gzip"
            units = object_units(s3, self._objects(source), packed=packed)
        pipe = Pipe(
            workspace.base / "input" / "data",
            channel["ChannelName"],
            units,
            workspace.share if _is_sharded(source) else list,
            wrapped=channel.get("RecordWrapperType") == "RecordIO",
            seed=channel.get("ShuffleConfig", {}).get("Seed"),
        )
        self.pipes.add(pipe)

    def _objects(self, source: dict[str, Any]) -> list[S3Object]:
        if source["S3DataType"] == "ManifestFile":
            return objects_in_manifest(self.context.s3, source["S3Uri"])
        return objects_under(self.context.s3, source["S3Uri"], self.body["RoleArn"])

    def _restore_checkpoints(self, workspace: Workspace) -> None:
        config = self.body.get("CheckpointConfig")
        if config is None:
            return
        s3, uri = self.context.s3, config["S3Uri"].rstrip("/") + "/"
        directory = workspace.path(config.get("LocalPath", "/opt/ml/checkpoints"))
        directory.mkdir(parents=True, exist_ok=True)
        if not is_empty(s3, uri):  # a first run has none
            download(s3, objects_under(s3, uri, self.body["RoleArn"]), directory, self.check)
        upload = Upload(s3, directory, uri)
        upload.know()
        self.live.add(upload)


def _is_sharded(source: dict[str, Any]) -> bool:
    return source.get("S3DataDistributionType") == "ShardedByS3Key"


def move_on(body: dict[str, Any], status: str, now: float) -> None:
    """Set the SecondaryStatus, ending the transition before it."""
    transitions = body["SecondaryStatusTransitions"]
    body["SecondaryStatus"] = status
    if transitions and transitions[-1]["Status"] == status:
        return
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    transitions.append({"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status]})


def _end_attempt(
    body: dict[str, Any], status: str, now: float | None = None, *, retry: bool = False
) -> None:
    """Count the time of the attempt that ends, and what comes after it."""
    now = now or time.time()
    began = body.pop(_ATTEMPT, None)
    body[_TRAINED] = body.get(_TRAINED, 0.0) + (0.0 if began is None else now - began)
    body[_RETRIES] = body.get(_RETRIES, 0) + retry
    move_on(body, status, now)


def _measured(pattern: re.Pattern[str], line: str) -> float | None:
    match = pattern.search(line)
    if match is None or not match.groups():
        return None
    try:
        return float(match[1])
    except (TypeError, ValueError):
        return None
