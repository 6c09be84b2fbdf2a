"""
SageMaker's container contract: the only module that knows /opt/ml and the environment.

The whole tree is found under SAGEMAKER_BASE_DIR, as the sagemaker-training toolkit does it, so
that a job runs without a container too.
"""

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidemill_jobs.errors import JobError

BASE = "/opt/ml"
MESSAGE_BYTES = 1_024  # SageMaker shows the first 1 KB of message and failure
PORT = 8080
MIB = 1_048_576
PAYLOAD_MIB = 6  # InvokeEndpoint carries 6,291,456 bytes
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
MOST_WORKERS = 256
CGROUP = Path("/sys/fs/cgroup")
#: Where the kernel tells the share of the processors: quota and period, of its two versions.
SHARES = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


@dataclass(frozen=True, slots=True)
class Container:
    """Paths and settings of the container that this process runs in."""

    base: Path
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> Self:
        """
        Return the container of this process.

        OpenMP's threads are told to sleep while they wait, which counts when xgboost is loaded
        later: spinning ones took seven times as long on a machine with one other busy process.
        """
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", BASE)), dict(os.environ))

    @property
    def is_real(self) -> bool:
        """Whether this is SageMaker's own tree; a stand-in says where it is, if only at /opt/ml."""
        return self.base == Path(BASE) and "SAGEMAKER_BASE_DIR" not in self.environment

    @property
    def model(self) -> Path:
        """Where training leaves a model and where serving finds it."""
        return self.base / "model"

    @property
    def work(self) -> Path:
        """A folder for intermediate files, on the job's own volume."""
        path = self.base / "processing" / "work"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def prepared_uri(self) -> str:
        """
        Where Prepare writes, without a trailing slash.

        Raises:
            JobError: PREPARED_URI is not set, or is no S3 address.
        """
        uri = self.environment.get("PREPARED_URI", "").rstrip("/")
        if not uri.startswith("s3://"):
            raise JobError(
                f"PREPARED_URI is '{uri}'; start the job with an address such as "
                "s3://<lake>/prepared/<project>/<model>/<dataset>/<run>."
            )
        return uri

    @property
    def port(self) -> int:
        """The port that the endpoint listens on."""
        return int(self.environment.get("SAGEMAKER_BIND_TO_PORT", PORT))

    @property
    def payload_bytes(self) -> int:
        """The largest body that /invocations reads."""
        return int(self.environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", PAYLOAD_MIB)) * MIB

    @property
    def capture(self) -> str:
        """What the rollout says of the traffic's capture, empty when that is SageMaker's matter."""
        pieces: list[str] = []  # a variable holds 1,024 characters
        while piece := self.environment.get(f"TIDEMILL_CAPTURE_{len(pieces) + 1}"):
            pieces.append(piece)
        return "".join(pieces)

    @property
    def hash_key(self) -> str:
        """Where the key of redacted columns is; empty when nothing is hashed."""
        return self.environment.get("HASH_KEY_URI", "")

    @property
    def cpus(self) -> int:
        """Processors that this container may use, a part of one counted as one."""
        known = os.cpu_count() or 1
        if hasattr(os, "sched_getaffinity"):
            known = len(os.sched_getaffinity(0))
        return min(known, _share_of_cpus())

    @property
    def workers(self) -> int:
        """
        How many processes serve: as many as told, or one per processor.

        Raises:
            JobError: What was told is no such number.
        """
        told = self.environment.get(WORKERS, "").strip()
        if not told:
            return min(self.cpus, MOST_WORKERS)
        is_number = told.isascii() and told.isdecimal()
        if not (is_number and 1 <= int(told[:9]) <= MOST_WORKERS):
            raise JobError(
                f"{WORKERS} is '{told[:60]}'; give the model a whole number from 1 to "
                f"{MOST_WORKERS}, or nothing for one process per processor."
            )
        return int(told)

    def channel(self, name: str) -> Path:
        """Return the folder of a training channel."""
        return self.base / "input" / "data" / name

    def processing_input(self, name: str) -> Path:
        """Return the folder of a processing input."""
        return self.base / "processing" / "input" / name

    def processing_output(self, name: str) -> Path:
        """Return the folder of a processing output, made if need be."""
        path = self.base / "processing" / "output" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def hyperparameters(self) -> dict[str, str]:
        """Return the training job's hyperparameters: all values are strings."""
        path = self.base / "input" / "config" / "hyperparameters.json"
        return {name: str(value) for name, value in json.loads(_text(path)).items()}

    def say(self, message: str) -> None:
        """Leave the sentence that DescribeProcessingJob shows as ExitMessage."""
        self._output("message", message)

    def fail(self, reason: str) -> None:
        """Leave the sentence that DescribeTrainingJob shows as FailureReason; say it too."""
        self._output("failure", reason)
        self._output("message", reason)

    def _output(self, name: str, text: str) -> None:
        path = self.base / "output" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Cut between characters: SageMaker fails a job whose message is not UTF-8.
        path.write_bytes(text.encode()[:MESSAGE_BYTES].decode(errors="ignore").encode())


def find(folder: Path, pattern: str) -> list[Path]:
    """
    Return the files of a channel or input, sorted by path.

    A ManifestFile's objects lie below the channel's folder under their path after the prefix.

    Raises:
        JobError: There is no such file.
    """
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if not found:
        raise JobError(
            f"{folder} holds no {pattern}; check the job's inputs: the manifest may be empty."
        )
    return found


def read_document(folder: Path, name: str) -> str:
    """
    Return the text of the one file of that name below an input's folder.

    Raises:
        JobError: There is none, or it is not UTF-8.
    """
    return _text(find(folder, name)[0])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise JobError(f"{path} cannot be read: {exc}. Check the job's inputs.") from exc


def _share_of_cpus() -> int:
    """Return how many processors the container's limit is worth; many when it has none."""
    for names in SHARES:
        try:
            quota, period = " ".join((CGROUP / name).read_text() for name in names).split()
            if int(quota) > 0:
                return math.ceil(int(quota) / int(period))
        except (OSError, ValueError):  # not this version, no limit ("max"), or not Linux
            continue
    return sys.maxsize
