"""
The compiled spec: what handlers, jobs and the pipeline emitter read.

Plain frozen dataclasses and plain JSON: no pydantic at run time. `authored.py` is what people
write, `compile.py` turns the one into the other.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

#: The document's shapes that are read; the last one is written.
VERSIONS = (1,)

Format = Literal["csv", "parquet"]
Problem = Literal["binary", "multiclass", "regression"]
Direction = Literal["maximize", "minimize"]
Approval = Literal["auto", "manual"]


class _Document:
    """From and to plain JSON; unknown keys of a newer writer are left out."""

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        hints = get_type_hints(cls)
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{name: _read(hints[name], document[name]) for name in names})


def _read(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, _Document):
        return kind.parse(value)
    if get_origin(kind) is tuple:
        return tuple(_read(get_args(kind)[0], item) for item in value)
    if kind is float:  # JSON on its way through AWS may lose the fraction of 1.0
        return float(value)
    return dict(value) if get_origin(kind) is dict else value


@dataclass(frozen=True, slots=True)
class Data(_Document):
    """How an upload is read. Files ending in .gz are unpacked."""

    format: Format
    target: str
    id: str | None  # identifies a row; never a feature; the split hashes it
    timestamp: str | None
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery(_Document):
    """When uploads that belong together are complete."""

    quiet_seconds: int
    max_wait_seconds: int
    marker: str | None  # the file name that closes a delivery: _SUCCESS, or a JSON list of names


@dataclass(frozen=True, slots=True)
class Prepare(_Document):
    """Shares of rows; the rest is for training. Rows are assigned by a stable hash."""

    validation: float
    test: float
    seed: int


@dataclass(frozen=True, slots=True)
class Compute(_Document):
    """One SageMaker job's machine."""

    instance: str
    volume_gb: int
    max_runtime_seconds: int


@dataclass(frozen=True, slots=True)
class Train(_Document):
    """What is learned, how, and on what machine."""

    algorithm: Literal["xgboost"]
    problem: Problem
    hyperparameters: dict[str, str]
    compute: Compute


@dataclass(frozen=True, slots=True)
class Evaluate(_Document):
    """What a version must reach before anyone may approve it."""

    metric: str
    direction: Direction
    minimum: float


@dataclass(frozen=True, slots=True)
class Approve(_Document):
    """Who lets a version into service."""

    mode: Approval


@dataclass(frozen=True, slots=True)
class Deploy(_Document):
    """The endpoint's machines."""

    instance: str
    count: int


@dataclass(frozen=True, slots=True)
class Spec(_Document):
    """One model, compiled."""

    version: int  # of this document's shape; readers accept the last two
    project: str
    model: str
    data: Data
    delivery: Delivery
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    approve: Approve
    deploy: Deploy

    def __post_init__(self) -> None:
        """Refuse a document that a newer Tidemill wrote, rather than half understand it."""
        if self.version not in VERSIONS:
            raise ValueError(f"spec of version {self.version}; this Tidemill reads {VERSIONS}")

    @property
    def ref(self) -> str:
        """`project/model`, as people and tables name it."""
        return f"{self.project}/{self.model}"

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces; equal specs give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
