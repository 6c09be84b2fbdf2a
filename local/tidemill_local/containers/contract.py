"""Where a container finds its files and settings: SageMaker's contract, from inside."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BASE = "/opt/ml"
_PORT = 8080
_MIB = 1_048_576
_PAYLOAD_MIB = 6  # InvokeEndpoint carries 6,291,456 bytes
_FAILURE_CHARACTERS = 1024  # that SageMaker reads


class UserError(Exception):
    """What the caller can put right; the sentence becomes the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class Container:
    """The container that this process runs in."""

    base: Path
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> "Container":
        """
        Return this process's container.

        OpenMP's threads are told to sleep while they wait, which counts if xgboost is loaded later:
        spinning ones take the processors from the other jobs.
        """
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", _BASE)), dict(os.environ))

    @property
    def model(self) -> Path:
        """Where training leaves a model and where serving finds it."""
        return self.base / "model"

    @property
    def port(self) -> int:
        """The port to serve on."""
        return int(self.environment.get("SAGEMAKER_BIND_TO_PORT", _PORT))

    @property
    def payload_bytes(self) -> int:
        """The largest body of a request."""
        return int(self.environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", _PAYLOAD_MIB)) * _MIB

    def channel(self, name: str) -> Path:
        """Return the directory of a training channel."""
        return self.base / "input" / "data" / name

    def hyperparameters(self) -> dict[str, str]:
        """Return the training job's hyperparameters, strings all."""
        found: dict[str, str] = self._config("hyperparameters")
        return found

    def channels(self) -> dict[str, dict[str, str]]:
        """Return how each channel is delivered."""
        found: dict[str, dict[str, str]] = self._config("inputdataconfig")
        return found

    def resources(self) -> dict[str, Any]:
        """Return the hosts, instance groups and the like."""
        found: dict[str, Any] = self._config("resourceconfig")
        return found

    def has_script(self) -> bool:
        """Whether the training job brings a program of its own (script mode)."""
        return "sagemaker_program" in self.hyperparameters() or bool(
            self.environment.get("SAGEMAKER_PROGRAM")
        )

    def here_is(self, path: str) -> Path:
        """Return where a path of the container lies: /opt/ml may be elsewhere."""
        named = Path(path.removeprefix("file://"))
        return self.base / named.relative_to(_BASE) if named.is_relative_to(_BASE) else named

    def checkpoints(self) -> Path | None:
        """Return the directory that is copied to S3 while the job runs, if one was asked for."""
        try:
            config = self._config("checkpointconfig")
        except FileNotFoundError:
            return None
        return self.here_is(config.get("LocalPath", f"{_BASE}/checkpoints"))

    def fail(self, reason: str) -> None:
        """Leave the sentence that DescribeTrainingJob shows, unless one was left already."""
        path = self.base / "output" / "failure"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(reason[:_FAILURE_CHARACTERS], encoding="utf-8")

    def _config(self, name: str) -> Any:
        return json.loads((self.base / "input" / "config" / f"{name}.json").read_text())
