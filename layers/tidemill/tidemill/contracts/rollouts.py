"""Versions and their rollouts."""

from dataclasses import dataclass
from typing import Any, Literal

from tidemill.contracts.models import ModelRef
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class JudgeVersion(ModelRef):
    """Input of `functions/judge_version`: an approval or a rejection."""

    version: int
    verdict: Literal["approve", "reject"]
    why: str
    by: str = "person"
    id: str = ""  # the same for every attempt of one approval, such as the run's id


@dataclass(frozen=True, slots=True)
class PackageChanged(Contract):
    """The detail of SageMaker's event `Model Package State Change`."""

    ModelPackageArn: str
    ModelPackageGroupName: str
    ModelApprovalStatus: str
    UpdatedModelPackageFields: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class RolloutRef(ModelRef):
    """Input of the rollout machine, and of its functions."""

    version: int
    package: str
    why: str
    execution: str = ""


@dataclass(frozen=True, slots=True)
class CloseRollout(RolloutRef):
    """Input of `functions/close_rollout`: what was done, and the failure if there was one."""

    config: str = ""
    action: Literal["create", "update", "replace", "none"] = "none"
    failure: dict[str, Any] | None = None
    rolled_back: bool = False
    gone: bool = False  # the endpoint was deleted: nothing is in service


@dataclass(frozen=True, slots=True)
class SmokeEndpoint(RolloutRef):
    """Input of `functions/smoke_endpoint`."""

    endpoint: str = ""
    config: str = ""
    smoke: str = ""


@dataclass(frozen=True, slots=True)
class RequestRollback(ModelRef):
    """Input of `functions/request_rollback`."""

    why: str
    version: int | None = None
    id: str = ""  # the same for every attempt of one request
