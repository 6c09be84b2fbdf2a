"""One instance of a transform job: its container, its requests, its logs."""

import gzip
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tidemill_local.sagemaker.containers.channels import (
    S3Object,
    TransferError,
    download,
    split_uri,
    upload_file,
)
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting import configurations as hosting
from tidemill_local.sagemaker.hosting.serving import (
    STARTUP_SECONDS,
    ServingProcess,
    Workload,
    new_instance,
)
from tidemill_local.sagemaker.logs import LogStream
from tidemill_local.sagemaker.transform.filters import Filter
from tidemill_local.sagemaker.transform.records import DataError, Rules
from tidemill_local.sagemaker.transform.requests import ObjectError, Sender, batch_strategy

MB = 1024 * 1024
_LOG_GROUP = "/aws/sagemaker/TransformJobs"
_CHUNK = 1 << 20
_FRAMED = frozenset({"RecordIO", "TFRecord"})


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


class TransformHost:
    """
    One of a job's instances.

    Args:
        context: S3 and logs.
        body: The job's record.
        directory: The instance's own.
        ending: Set when the job is to end.
        check: Raises when the job is to end.
    """

    def __init__(
        self,
        context: Context,
        body: dict[str, Any],
        directory: Path,
        ending: threading.Event,
        check: Callable[[], None],
    ) -> None:
        self._context = context
        self._body = body
        self._directory = directory
        self._ending = ending
        self._check = check
        self._stream_name = f"{body['TransformJobName']}/{new_instance()}-{int(time.time())}"
        self._data_log: LogStream | None = None
        image, uri, environment = hosting.container_of(context, body["ModelName"])
        workload = TransformWorkload(
            endpoint=body["TransformJobName"],
            variant=self._stream_name,
            image=image,
            model_data=uri,
            environment=environment | body["Environment"] | _batch_environment(body),
            startup_seconds=STARTUP_SECONDS,
        )
        self._server = ServingProcess(context, workload, directory / "server")

    def start(self) -> None:
        """
        Start the container, and wait until it is healthy; it will not start again by itself.

        Raises:
            ServingError: It does not become healthy.
        """
        self._server.start()
        self._server.cancel()
        self._data_log = self._context.logs.open(_LOG_GROUP, f"{self._stream_name}/data-log")

    def kill(self) -> None:
        """End the container at once."""
        self._server.kill()

    def close(self) -> None:
        """End the container, and finish the logs."""
        if self._data_log is not None:
            self._context.logs.finish(self._data_log)
        self._server.kill()
        self._server.stop()

    def transform(self, objects: Sequence[S3Object]) -> dict[S3Object, str]:
        """
        Transform this instance's share; return why objects failed.

        Whatever is wrong with more than one object ends everything.
        """
        sender = Sender(self._body, self._server, self._ending, self._check)
        self._log(", ".join(f"{name}={value}" for name, value in sender.parameters.items()))
        rules = self._rules(sender.parameters)
        failures: dict[S3Object, str] = {}

        def one(number: int, item: S3Object) -> None:
            place = self._directory / "data" / str(number)
            try:
                self._one(item, place, rules, sender)
            except ObjectError as error:
                failures[item] = f"{error} (s3://{item.bucket}/{item.key})"
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
        return failures

    def _rules(self, asked: dict[str, int | str]) -> Rules:
        source, target = self._body["TransformInput"], self._body["TransformOutput"]
        processing = self._body["DataProcessing"]
        return Rules(
            by_line=source["SplitType"] == "Line",
            framed=source["SplitType"] if source["SplitType"] in _FRAMED else "",
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
        s3, output = self._context.s3, directory / "out"
        packed = self._body["TransformInput"]["CompressionType"] == "Gzip"
        try:
            download(s3, [S3Object(item.bucket, item.key, "in")], directory, self._check)
            source_file = _unpacked(directory / "in") if packed else directory / "in"
            with source_file.open("rb") as source, output.open("wb") as sink:
                sender.send_all(source, rules, sink)
            self._check()
            bucket, prefix = split_uri(self._body["TransformOutput"]["S3OutputPath"])
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


def _batch_environment(body: dict[str, Any]) -> dict[str, str]:
    """Return what SageMaker tells a container of the request; what it left out is not told."""
    told = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in body:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(body["MaxPayloadInMB"])
    if "BatchStrategy" in body:
        told["SAGEMAKER_BATCH_STRATEGY"] = batch_strategy(body["BatchStrategy"])
    if body.get("MaxConcurrentTransforms"):
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(body["MaxConcurrentTransforms"])
    return told


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
