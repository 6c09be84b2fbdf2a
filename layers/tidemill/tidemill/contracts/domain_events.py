"""What the bus carries; `events/schemas/` is generated from it."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from tidemill.contracts.models import ModelRef


@dataclass(frozen=True, slots=True)
class DomainEvent(ModelRef):
    """
    What the bus carries about a model; `events/schemas/` is generated from its subclasses.

    Names and fields are promises to subscribers: fields are added, never changed or taken away.
    """

    detail_type: ClassVar[str]
    version: ClassVar[int] = 1  # of the shape, not of the model

    def to_detail(self) -> dict[str, Any]:
        """Return the event's detail as JSON."""
        return {"version": self.version, **asdict(self)}


@dataclass(frozen=True, slots=True)
class UploadQuarantined(DomainEvent):
    """An object version was set aside; *rule* names the check it failed."""

    detail_type = "Upload Quarantined"
    key: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryClosed(DomainEvent):
    """A delivery is complete; its check follows."""

    detail_type = "Delivery Closed"
    delivery: str
    reason: str


@dataclass(frozen=True, slots=True)
class TriggerDecided(DomainEvent):
    """A trigger got its verdict; *run* is the run it starts, joins or waits for."""

    detail_type = "Trigger Decided"
    trigger: str
    verdict: Literal["start", "coalesce", "defer", "refuse"]
    run: str


@dataclass(frozen=True, slots=True)
class RunStarted(DomainEvent):
    """A run's workflow is under way; *trigger* is the kind of what started it."""

    detail_type = "Run Started"
    run: str
    trigger: Literal["data", "schedule", "drift", "manual", "code", "replay"]
    why: str


@dataclass(frozen=True, slots=True)
class RunSucceeded(DomainEvent):
    """A run registered a version."""

    detail_type = "Run Succeeded"
    run: str
    status: Literal["succeeded"]
    reason: str


@dataclass(frozen=True, slots=True)
class RunFailed(DomainEvent):
    """A run ended without a version: its data or gate refused it, it broke, or it was stopped."""

    detail_type = "Run Failed"
    run: str
    status: Literal["refused", "failed", "stopped"]
    reason: str


@dataclass(frozen=True, slots=True)
class VersionRegistered(DomainEvent):
    """The registry has a new version, *number*; nobody has approved it yet."""

    detail_type = "Version Registered"
    run: str
    number: int
    package: str


@dataclass(frozen=True, slots=True)
class VersionApproved(DomainEvent):
    """A person, or the spec, lets a version into service."""

    detail_type = "Version Approved"
    number: int
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class VersionRejected(DomainEvent):
    """A person keeps a version out of service."""

    detail_type = "Version Rejected"
    number: int
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class RolloutSucceeded(DomainEvent):
    """A version is in service and answers as evaluated."""

    detail_type = "Rollout Succeeded"
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutRolledBack(DomainEvent):
    """A version did not get into service; *reason* says what is there instead."""

    detail_type = "Rollout RolledBack"
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class DriftFound(DomainEvent):
    """
    What a model sees in service differs from what it learned from.

    *finding* is the same however often it is told; *feature* is the one that is farthest; *window*
    says which traffic was looked at last. Without *retrain* it is for people only.
    """

    detail_type = "Drift Found"
    finding: str
    feature: str
    window: str
    reason: str
    retrain: bool = True


@dataclass(frozen=True, slots=True)
class UpstreamBroken(DomainEvent):
    """
    What an endpoint is asked looks broken rather than changed: for the owner of the data.

    Nothing is trained on it. *finding*, *feature* and *window* are as in `Drift Found`.
    """

    detail_type = "Upstream Broken"
    finding: str
    feature: str
    window: str
    reason: str


DOMAIN_EVENTS: tuple[type[DomainEvent], ...] = (
    UploadQuarantined,
    DeliveryClosed,
    TriggerDecided,
    RunStarted,
    RunSucceeded,
    RunFailed,
    VersionRegistered,
    VersionApproved,
    VersionRejected,
    RolloutSucceeded,
    RolloutRolledBack,
    DriftFound,
    UpstreamBroken,
)
