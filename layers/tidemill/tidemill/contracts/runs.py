"""Runs: what starts one, its functions, and how it ends."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from tidemill.contracts.models import ModelRef
from tidemill.errors import InvalidInputError
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class RunRef(ModelRef):
    """Input of the retrain machine, and of its functions."""

    run: str
    execution: str = ""


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
