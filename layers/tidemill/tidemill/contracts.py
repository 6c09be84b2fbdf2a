"""
Every shape that crosses a boundary: events, queue messages, each function's input.

Plain frozen dataclasses, read by `parse`. What AWS sends may grow, so unknown keys of events are
left out; what is missing or of another type is refused by name.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

from tidemill.errors import InvalidInputError
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class ObjectCreated(Contract):
    """
    The detail of S3's event `Object Created`, flattened; the key as it is in the bucket.

    *etag*, *size* (bytes) and *at* (ISO 8601) are what the event says of the object, if it does.
    """

    bucket: str
    key: str
    version_id: str
    sequencer: str
    etag: str = ""
    size: int | None = None
    at: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Bucket, key and version id: what makes two events speak of the same version."""
        return self.bucket, self.key, self.version_id

    @classmethod
    def of_event(cls, event: Any) -> Self:
        """
        Read an EventBridge event of S3, or a sweep's message in the same shape.

        Raises:
            InvalidInputError: It is neither.
        """
        try:
            detail = event["detail"]
            held = detail["object"]
            document = {
                "bucket": detail["bucket"]["name"],
                "key": held["key"],
                "version_id": held.get("version-id") or "null",
                "sequencer": held.get("sequencer") or "",
                "etag": (held.get("etag") or "").strip('"'),
                "size": held.get("size"),
                "at": event.get("time") or "",
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"not an S3 Object Created event: {error!r}") from error
        return cls.parse(document)

    def to_event(self) -> dict[str, Any]:
        """Return the event that S3 would have sent, as far as `of_event` reads it."""
        held = {
            "key": self.key,
            "version-id": self.version_id,
            "sequencer": self.sequencer,
            "etag": self.etag,
            "size": self.size,
        }
        return {"time": self.at, "detail": {"bucket": {"name": self.bucket}, "object": held}}


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
class CloseDelivery(ModelRef):
    """A message of the delivery queue; one that comes only *once* does not send itself again."""

    delivery: str
    once: bool = False


@dataclass(frozen=True, slots=True)
class CheckRef(ModelRef):
    """Input of the check machine, and of its functions; attempts count from 1."""

    delivery: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CheckUploads(Contract):
    """Input of `functions/check_uploads`: the plan's URI."""

    plan: str


@dataclass(frozen=True, slots=True)
class ExplainUpload(ModelRef):
    """
    Input of `functions/explain_upload`: a quarantined object version and what it was judged by.

    *facts* and *contract* are URIs; a model without a good delivery has no contract. *reason* is
    the verdict's sentence.
    """

    bucket: str
    key: str
    version_id: str
    facts: str
    reason: str
    contract: str = ""


@dataclass(frozen=True, slots=True)
class RunRef(ModelRef):
    """Input of the retrain machine, and of its functions."""

    run: str
    execution: str = ""


@dataclass(frozen=True, slots=True)
class Failure(Contract):
    """What a workflow caught, and in which state."""

    state: str
    error: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CloseCheck(CheckRef):
    """Input of `functions/close_check`."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Registered(Contract):
    """What `functions/read_outcome` answers."""

    status: Literal["registered", "refused"]
    reason: str
    version: int | None = None
    package: str | None = None


@dataclass(frozen=True, slots=True)
class PrepareDataset(RunRef):
    """Input of `functions/prepare_dataset`; S3 addresses. Not every model has a contract."""

    dataset: str = ""
    spec: str = ""
    prepared: str = ""
    contract: str = ""


@dataclass(frozen=True, slots=True)
class ReadOutcome(RunRef):
    """Input of `functions/read_outcome`."""

    pipeline: str = ""
    prepared: str = ""


@dataclass(frozen=True, slots=True)
class CloseRun(RunRef):
    """Input of `functions/close_run`: an outcome, or a failure."""

    outcome: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Park(Contract):
    """
    Input of `functions/park`.

    *wanted* is the configuration an endpoint must come to; *run* is whose pipeline it is.
    """

    kind: Literal["pipeline", "endpoint"]
    resource: str
    token: str
    wanted: str = ""
    project: str = ""
    model: str = ""
    run: str = ""


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
class ExecutionChanged(Contract):
    """The detail of Step Functions' event `Execution Status Change`."""

    executionArn: str
    stateMachineArn: str
    name: str
    status: str
    input: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleFired(ModelRef):
    """What a model's schedule hands to `functions/raise_trigger`; *at* is its time, ISO 8601."""

    expression: str
    schedule: str  # the schedule's ARN
    at: str


@dataclass(frozen=True, slots=True)
class AlarmChanged(Contract):
    """CloudWatch's event `CloudWatch Alarm State Change`, flattened."""

    id: str
    alarm: str
    state: str
    reason: str
    at: str
    previous: str
    previous_reason: str

    @classmethod
    def of_event(cls, event: Any) -> Self:
        """
        Read an EventBridge event of CloudWatch.

        Raises:
            InvalidInputError: It is none.
        """
        try:
            detail = event["detail"]
            state, previous = detail["state"], detail.get("previousState") or {}
            document = {
                "id": event["id"],
                "alarm": detail["alarmName"],
                "state": state["value"],
                "reason": state.get("reason") or "",
                "at": event["time"],
                "previous": previous.get("value") or "",
                "previous_reason": previous.get("reason") or "",
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"not an alarm's state change: {error!r}") from error
        return cls.parse(document)


@dataclass(frozen=True, slots=True)
class RequestRun(ModelRef):
    """Input of `functions/request_run`: a person wants a run."""

    why: str
    id: str = ""  # the same for every attempt of one request


@dataclass(frozen=True, slots=True)
class ReleaseUpload(ModelRef):
    """
    Input of `functions/release_upload`: a person wants an upload used that is set aside.

    Without *version_id* it is the newest version of *key*.
    """

    key: str
    why: str
    version_id: str = ""
    by: str = "person"


@dataclass(frozen=True, slots=True)
class AcceptContract(ReleaseUpload):
    """
    Input of `functions/accept_contract`: a person wants an upload to be the contract.

    *after* is where the answer before it ended (its `next`): the work goes on there.
    """

    after: str = ""


@dataclass(frozen=True, slots=True)
class RequestCheck(ModelRef):
    """Input of `functions/request_check`: a person wants a check that failed to be tried again."""

    delivery: str
    why: str
    id: str = ""  # the same for every attempt of one request


@dataclass(frozen=True, slots=True)
class RequestRollback(ModelRef):
    """Input of `functions/request_rollback`."""

    why: str
    version: int | None = None
    id: str = ""  # the same for every attempt of one request


@dataclass(frozen=True, slots=True)
class ApplyModel(Contract):
    """Input of `functions/apply_model`: the compiled spec."""

    spec: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class DeleteModel(ModelRef):
    """Input of `functions/delete_model`."""

    why: str


@dataclass(frozen=True, slots=True)
class LedgerChange(Contract):
    """
    One record of the ledger table's stream; items are as DynamoDB has them (`{"S": …}`).

    *expired* is true when DynamoDB removed the item because its time had come.
    """

    model: str
    entry: str
    change: Literal["INSERT", "MODIFY", "REMOVE"]
    sequence: str
    expired: bool = False
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None

    @classmethod
    def of_record(cls, record: Any) -> Self:
        """
        Read a record of a DynamoDB stream with new and old images.

        Raises:
            InvalidInputError: It is none.
        """
        try:
            changed = record["dynamodb"]
            document = {
                "model": changed["Keys"]["model"]["S"],
                "entry": changed["Keys"]["entry"]["S"],
                "change": record["eventName"],
                "sequence": changed["SequenceNumber"],
                "expired": (record.get("userIdentity") or {}).get("principalId")
                == "dynamodb.amazonaws.com",
                "old": changed.get("OldImage"),
                "new": changed.get("NewImage"),
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"not a record of the ledger's stream: {error!r}") from error
        return cls.parse(document)


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

    *finding* is the same however often it is told; *window* says which traffic was looked at.
    """

    detail_type = "Drift Found"
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
)
