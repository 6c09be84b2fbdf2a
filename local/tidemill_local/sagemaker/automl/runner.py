"""
An AutoML job on its way: prepare, tune, pick the best.

The record says which jobs it runs, by names that are written before the jobs are created; so it
goes on after a crash as far as those jobs do: a tuning job goes on, a processing job has failed.
"""

import json
import logging
import secrets
import time
from typing import Any

from tidemill_local.sagemaker.automl import plan
from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    TransferError,
    objects_in_manifest,
    objects_under,
    split_uri,
)
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.followers import Follower, Followers
from tidemill_local.sagemaker.jobs.runnable import short_reason
from tidemill_local.sagemaker.operations import call, on_stop
from tidemill_local.sagemaker.tuning.trials import best, launched

logger = logging.getLogger(__name__)

KIND = "AutoMLJob"
PREPARE = "_Prepare"  # in the record: the processing job's name
TUNING = "_Tuning"  # in the record: the tuning job's name
_PROCESSING = "ProcessingJob"
_TUNING_JOB = "HyperParameterTuningJob"
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_LOOK_SECONDS = 0.25
_LONGEST_NAME = 32


class _FailedError(Exception):
    """The AutoML job fails, with this reason."""


class _Runner(Follower):
    expected = (_FailedError, TransferError, ServiceError)

    def fail(self, reason: str) -> None:
        """End the AutoML job."""
        self._conclude("Failed", reason=reason)

    def step(self) -> bool:
        """Do what is to be done now, or wait for something to happen; return whether it is over."""
        body = self.context.store.get(KIND, self.name)
        if body is None:
            return True
        kind = _TUNING_JOB if TUNING in body else _PROCESSING
        name = str(body.get(TUNING) or body.get(PREPARE) or "")
        job = self.context.store.get(kind, name)
        if job is None:
            self._create(body, kind)
            return False
        status = job[f"{kind}Status"]
        if status not in _ENDED:
            if body["AutoMLJobStatus"] == "Stopping" or self._late(body):
                self._stop(kind, name)
            self._wait(body, kind, name)
            return False
        if body["AutoMLJobStatus"] == "Stopping":
            self._conclude("Stopped")
            return True
        if status == "Failed":
            raise _FailedError(f"{kind} {name} failed: {job.get('FailureReason', '')}")
        if kind == _PROCESSING and status == "Completed":
            self._note(AutoMLJobSecondaryStatus="ModelTuning", **{TUNING: self._tuning_name()})
            return False
        late = self._late(body)
        if kind == _PROCESSING or best(launched(self.context, job)) is None:
            why = "MaxAutoMLJobRuntimeInSeconds went by" if late else f"{name} was stopped"
            raise _FailedError(f"{why} before there was any candidate")
        self._conclude("Completed", "MaxAutoMLJobRuntimeReached" if late else "Completed")
        return True

    def _create(self, body: dict[str, Any], kind: str) -> None:
        if kind == _TUNING_JOB:
            request = plan.tuning_request(self.context, body, body[TUNING])
            call(self.context, "CreateHyperParameterTuningJob", request)
            return
        if PREPARE not in body:
            name = f"{self.name}-pr-1-{secrets.token_hex(4)}"
            body = self._note(AutoMLJobSecondaryStatus="FeatureEngineering", **{PREPARE: name})
        self._put(body, "spec", plan.spec(body))
        self._put(body, "dataset", plan.dataset(self._objects(body)))
        request = plan.prepare_request(self.context, body, body[PREPARE])
        call(self.context, "CreateProcessingJob", request)
        self.context.store.update(_PROCESSING, body[PREPARE], AutoMLJobArn=body["AutoMLJobArn"])

    def _objects(self, body: dict[str, Any]) -> list[tuple[str, str, int, str]]:
        """Return address, version, size and ETag of each object of the input."""
        source = body["AutoMLJobInputDataConfig"][0]["DataSource"]["S3DataSource"]
        s3 = self.context.s3
        if source["S3DataType"] == "ManifestFile":
            found = objects_in_manifest(s3, source["S3Uri"])
        else:
            found = objects_under(s3, source["S3Uri"], body["RoleArn"])

        def told(item: S3Object) -> tuple[str, str, int, str]:
            head = s3.head_object(Bucket=item.bucket, Key=item.key)
            version = head.get("VersionId", "null")
            return f"s3://{item.bucket}/{item.key}", version, head["ContentLength"], head["ETag"]

        return [told(item) for item in found]

    def _put(self, body: dict[str, Any], name: str, document: dict[str, Any]) -> None:
        bucket, prefix = split_uri(plan.prepared_uri(body))
        text = json.dumps(document, indent=1)
        self.context.s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}.json", Body=text.encode())

    def _tuning_name(self) -> str:
        """Return a name that fits a tuning job, whose names are no longer than AutoML jobs'."""
        ending = f"-{secrets.token_hex(3)}"
        return f"{self.name[: _LONGEST_NAME - len(ending)].rstrip('-')}{ending}"

    def _late(self, body: dict[str, Any]) -> bool:
        tabular = body["AutoMLProblemTypeConfig"]["TabularJobConfig"]
        seconds = tabular.get("CompletionCriteria", {}).get("MaxAutoMLJobRuntimeInSeconds")
        return seconds is not None and time.time() >= body["CreationTime"] + seconds

    def _stop(self, kind: str, name: str) -> None:
        try:
            call(self.context, f"Stop{kind}", {f"{kind}Name": name})
        except ServiceError as error:
            logger.debug("%s ended before it could be stopped: %s", name, error)

    def _wait(self, body: dict[str, Any], kind: str, name: str) -> None:
        store, before = self.context.store, body["AutoMLJobStatus"]

        def changed(job: dict[str, Any] | None) -> bool:
            own = store.get(KIND, self.name) or {}
            ended = job is None or job[f"{kind}Status"] in _ENDED
            return ended or own.get("AutoMLJobStatus") != before

        store.wait_for(kind, name, changed, _LOOK_SECONDS)

    def _note(self, **changes: Any) -> dict[str, Any]:
        return self.context.store.update(KIND, self.name, **changes)

    def _conclude(self, status: str, secondary: str = "", reason: str | None = None) -> None:
        self._note(
            AutoMLJobStatus=status,
            AutoMLJobSecondaryStatus=secondary or status,
            FailureReason=reason and short_reason(reason),
            EndTime=time.time(),
        )


class AutoMLRunners(Followers):
    """The AutoML jobs that run; a part of the context."""

    follower = _Runner
    title = "automl"


@on_stop
def close_automl(context: Context) -> None:
    """End every AutoML job's thread."""
    context.part(AutoMLRunners).close()
