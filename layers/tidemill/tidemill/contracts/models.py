"""What names a model, what people ask of one, and what failed."""

from dataclasses import dataclass
from typing import Any

from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class ModelRef(Contract):
    """Input of most functions that a person calls."""

    project: str
    model: str

    @property
    def ref(self) -> str:
        """`project/model`."""
        return f"{self.project}/{self.model}"


@dataclass(frozen=True, slots=True)
class LookAtModel(ModelRef):
    """
    A message of the trigger queue: decide what is pending.

    *look_at* is when a delayed one was due; it sends the next hop. Seconds since 1970.
    """

    look_at: float | None = None


@dataclass(frozen=True, slots=True)
class Failure(Contract):
    """What a workflow caught, and in which state."""

    state: str
    error: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ApplyModel(Contract):
    """Input of `functions/apply_model`: the compiled spec."""

    spec: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class DeleteModel(ModelRef):
    """Input of `functions/delete_model`."""

    why: str
