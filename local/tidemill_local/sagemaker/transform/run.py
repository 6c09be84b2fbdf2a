"""One transform job on its way: a serving process of its own, and the requests sent to it."""

import gzip
import logging
import shutil
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    TransferError,
    download,
    objects_in_manifest,
    objects_under,
    split_uri,
    upload_file,
)
from tidemill_local.sagemaker.containers.workspace import Workspace, remove
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.hosting import configurations as hosting
from tidemill_local.sagemaker.hosting.serving import (
    STARTUP_SECONDS,
    ServingError,
    ServingProcess,
    Workload,
    new_instance,
)
from tidemill_local.sagemaker.jobs.runnable import (
    AbandonedError,
    Outcome,
    Runnable,
    StoppedError,
    job_directory,
    short_reason,
)
from tidemill_local.sagemaker.logs import LogStream
from tidemill_local.sagemaker.transform.filters import Filter
from tidemill_local.sagemaker.transform.records import DataError, Rules
from tidemill_local.sagemaker.transform.requests import ObjectError, Sender, batch_strategy

logger = logging.getLogger(__name__)

KIND = "TransformJob"
MB = 1024 * 1024
_LOG_GROUP = "/aws/sagemaker/TransformJobs"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class TransformWorkload(Workload):
    """What a transform job runs; `endpoint` is the job's name."""

    owner: ClassVar[str] = "transform job"

    @property
    def title(self) -> str:
        """What the sentences about a container call it."""
        return f"transform job {self.endpoint}"

    @property
    def log_group(self) -> str:
        """Where what it prints goes."""
        return _LOG_GROUP

    @property
    def log_stream(self) -> str:
        """The stream of the one container there is."""
        return self.variant


class TransformJob(Runnable):
    """Reads objects, asks the model, writes an `.out` for each object that went through whole."""

    kind = KIND

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self._stream_name = f"{name}/{new_instance()}-{int(time.time())}"
        self._ending = threading.Event()
        self._abandoned = False
        self._lock = threading.Lock()
        self._server: ServingProcess | None = None
        self._data_log: LogStream | None = None

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
        """End the serving process; what was not uploaded is not."""
        with self._lock:
            self._ending.set()
            if self._server is not None:
                self._server.kill()

    def abandon(self) -> None:
        """End the serving process and leave the record alone."""
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
        server = self._serve(workspace.directory / "server")
        self._data_log = self.context.logs.open(_LOG_GROUP, f"{self._stream_name}/data-log")
        try:
            return self._transform(server, objects, workspace.directory / "data")
        finally:
            self.context.logs.finish(self._data_log)
            server.kill()
            server.stop()

    def _serve(self, directory: Path) -> ServingProcess:
        """Return the started and healthy serving process, which will not start again by itself."""
        image, uri, environment = hosting.container_of(self.context, self.body["ModelName"])
        workload = TransformWorkload(
            endpoint=self.name,
            variant=self._stream_name,
            image=image,
            model_data=uri,
            environment=environment | self.body["Environment"] | self._batch_environment(),
            startup_seconds=STARTUP_SECONDS,
        )
        server = ServingProcess(self.context, workload, directory)
        with self._lock:
            self.check()
            self._server = server
        try:
            server.start()
        except ServingError:
            server.stop()
            self.check()  # it may have been stopped on request
            raise
        server.cancel()
        self.context.store.update(KIND, self.name, TransformStartTime=time.time())
        return server

    def _batch_environment(self) -> dict[str, str]:
        """Return what SageMaker tells a container of the request; what it left out is not told."""
        told = {"SAGEMAKER_BATCH": "true"}
        if "MaxPayloadInMB" in self.body:
            told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(self.body["MaxPayloadInMB"])
        if "BatchStrategy" in self.body:
            told["SAGEMAKER_BATCH_STRATEGY"] = batch_strategy(self.body["BatchStrategy"])
        if self.body.get("MaxConcurrentTransforms"):
            told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self.body["MaxConcurrentTransforms"])
        return told

    def _transform(
        self, server: ServingProcess, objects: list[S3Object], directory: Path
    ) -> Outcome:
        sender = Sender(self.body, server, self._ending, self.check)
        self._log(", ".join(f"{name}={value}" for name, value in sender.parameters.items()))
        rules = self._rules(sender.parameters)
        failures: dict[int, str] = {}

        def one(number: int, item: S3Object) -> None:
            place = directory / str(number)
            try:
                self._one(item, place, rules, sender)
            except ObjectError as error:
                failures[number] = f"{error} (s3://{item.bucket}/{item.key})"
                self._log(str(error), f"{item.bucket}/{item.key}: ")
            finally:
                shutil.rmtree(place, ignore_errors=True)

        with ThreadPoolExecutor(sender.most, thread_name_prefix="transform-object") as pool:
            futures = [pool.submit(one, number, item) for number, item in enumerate(objects)]
            try:
                for future in futures:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
                sender.close()
        self.check()
        if not failures:
            return Outcome("Completed")
        kind, _, detail = failures[min(failures)].partition(": ")
        return Outcome(
            "Failed",
            f"{kind}: See job logs for more information. {len(failures)} of {len(objects)} objects "
            f"failed. The first: {' '.join(detail.split())}",
        )

    def _rules(self, asked: dict[str, int | str]) -> Rules:
        source, target = self.body["TransformInput"], self.body["TransformOutput"]
        processing = self.body["DataProcessing"]
        return Rules(
            by_line=source["SplitType"] == "Line",
            single=asked["BatchStrategy"] == "SINGLE_RECORD",
            max_bytes=int(asked["MaxPayloadInMB"]) * MB,
            end_lines=target["AssembleWith"] == "Line",
            join=processing["JoinSource"] == "Input",
            given=Filter(processing["InputFilter"]),
            kept=Filter(processing["OutputFilter"]),
            media_type=media_type(source.get("ContentType", "")),
        )

    def _one(self, item: S3Object, directory: Path, rules: Rules, sender: Sender) -> None:
        """Transform one object; upload its output if all of it went through."""
        s3, output = self.context.s3, directory / "out"
        packed = self.body["TransformInput"]["CompressionType"] == "Gzip"
        try:
            download(s3, [S3Object(item.bucket, item.key, "in")], directory, self.check)
            source_file = _unpacked(directory / "in") if packed else directory / "in"
            with source_file.open("rb") as source, output.open("wb") as sink:
                sender.send_all(source, rules, sink)
            self.check()
            bucket, prefix = split_uri(self.body["TransformOutput"]["S3OutputPath"])
            key = "/".join(part for part in (prefix.rstrip("/"), f"{item.place}.out") if part)
            upload_file(s3, output, bucket, key)
        except TransferError as error:
            text = str(error)
            raise ObjectError(text if "Error: " in text else f"ClientError: {text}") from error
        except DataError as error:
            raise ObjectError(f"ClientError: {error}") from error

    def _log(self, text: str, whose: str = "") -> None:
        if self._data_log is None:
            return
        moment = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
        stamp = f"{stamp}.{int(moment % 1 * 1000):03d}"
        for line in text.splitlines():
            self._data_log.write(f"{stamp}:[sagemaker logs]: {whose}{line}\n".encode())


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _unpacked(packed: Path) -> Path:
    """Unpack a gzipped file beside itself, as long as the disk is not filled."""
    target = packed.with_name("unpacked")
    room = shutil.disk_usage(packed.parent).free * 9 // 10
    try:
        with gzip.open(packed, "rb") as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise DataError("it unpacks to more than the disk has room for")
                sink.write(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the object is not gzip, as CompressionType says: {error}") from error
    packed.unlink()
    return target
