"""One transform job on its way: its objects, shared out among its instances."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    TransferError,
    objects_in_manifest,
    objects_under,
)
from tidemill_local.sagemaker.containers.workspace import Workspace, remove
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.hosting.serving import ServingError
from tidemill_local.sagemaker.jobs.runnable import (
    AbandonedError,
    Outcome,
    Runnable,
    StoppedError,
    job_directory,
    short_reason,
)
from tidemill_local.sagemaker.transform.host import TransformHost
from tidemill_local.sagemaker.transform.records import DataError

logger = logging.getLogger(__name__)

KIND = "TransformJob"


class TransformJob(Runnable):
    """Reads objects, asks the model, writes an `.out` for each object that went through whole."""

    kind = KIND

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self._ending = threading.Event()
        self._abandoned = False
        self._lock = threading.Lock()
        self._hosts: list[TransformHost] = []

    @property
    def instances(self) -> int:
        """InstanceCount."""
        count: int = self.body["TransformResources"]["InstanceCount"]
        return count

    def run(self) -> None:
        """Run from start to end; nothing escapes but a defect in the store."""
        workspace = Workspace(job_directory(self.context, KIND, self.name))
        try:
            workspace = Workspace.create(workspace.directory)
            outcome = self._attempt(workspace)
        except AbandonedError:
            return
        except StoppedError:
            outcome = Outcome("Stopped")
        except misfortune.StruckError as error:
            outcome = Outcome("Failed", str(error))
        except (TransferError, DataError, ServiceError) as error:
            text = str(error)
            outcome = Outcome("Failed", text if "Error: " in text else f"ClientError: {text}")
        except ServingError as error:
            outcome = Outcome("Failed", f"AlgorithmError: {error}")
        except Exception as error:  # whatever goes wrong, the record must come to an end
            logger.exception("%s %s", KIND, self.name)
            outcome = Outcome("Failed", f"InternalServerError: the local cloud erred: {error!r}")
        self.conclude(outcome)
        if not self.context.limits.keep_job_directories:
            remove(workspace.directory)

    def stop(self) -> None:
        """End the containers; what was not uploaded is not."""
        with self._lock:
            self._ending.set()
            for host in self._hosts:
                host.kill()

    def abandon(self) -> None:
        """End the containers and leave the record alone."""
        self._abandoned = True
        self.stop()

    def conclude(self, outcome: Outcome) -> None:
        """Write status, reason and time; announce them."""
        body = self.context.store.update(
            KIND,
            self.name,
            TransformJobStatus=outcome.status,
            FailureReason=short_reason(outcome.reason) if outcome.status == "Failed" else None,
            TransformEndTime=time.time(),
        )
        announce(self.context, KIND, body)

    def check(self) -> None:
        """Raise if the job should not go on."""
        if self._abandoned:
            raise AbandonedError
        if self._ending.is_set():
            raise StoppedError

    def _attempt(self, workspace: Workspace) -> Outcome:
        self.check()
        misfortune.before_job(self.context, KIND, self.name, self.check)
        source = self.body["TransformInput"]["DataSource"]["S3DataSource"]
        if source["S3DataType"] == "ManifestFile":
            objects = objects_in_manifest(self.context.s3, source["S3Uri"])
        else:
            objects = objects_under(self.context.s3, source["S3Uri"], "of the transform job")
        directories = [
            workspace.directory / f"algo-{number}" for number in range(1, self.instances + 1)
        ]
        hosts = [
            TransformHost(self.context, self.body, directory, self._ending, self.check)
            for directory in directories
        ]
        with self._lock:
            self.check()
            self._hosts = hosts
        try:
            self._start(hosts)
            self.context.store.update(KIND, self.name, TransformStartTime=time.time())
            return self._transform(hosts, objects)
        finally:
            for host in hosts:
                host.close()

    def _start(self, hosts: list[TransformHost]) -> None:
        """Start all; when one cannot, none is waited for."""
        with ThreadPoolExecutor(len(hosts), thread_name_prefix="transform-start") as pool:
            try:
                for started in as_completed([pool.submit(host.start) for host in hosts]):
                    started.result()
            except ServingError:
                for host in hosts:
                    host.kill()
                self.check()  # it may have been stopped on request
                raise

    def _transform(self, hosts: list[TransformHost], objects: list[S3Object]) -> Outcome:
        """Share the objects out: each is one host's, every n-th by its key."""
        with ThreadPoolExecutor(len(hosts), thread_name_prefix="transform-host") as pool:
            shares = [objects[number :: len(hosts)] for number in range(len(hosts))]
            failures: dict[S3Object, str] = {}
            for failed in pool.map(TransformHost.transform, hosts, shares):
                failures |= failed
        self.check()
        if not failures:
            return Outcome("Completed")
        first = next(failures[item] for item in objects if item in failures)
        kind, _, detail = first.partition(": ")
        return Outcome(
            "Failed",
            f"{kind}: See job logs for more information. {len(failures)} of {len(objects)} objects "
            f"failed. The first: {' '.join(detail.split())}",
        )
