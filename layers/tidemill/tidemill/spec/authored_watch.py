"""What people write of the watch: how an endpoint's traffic is kept and looked at."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from tidemill.spec.compiled import Backend, Distance, Redaction, Reported
from tidemill.spec.fields import DAY, HOUR, MINUTE, Column, Section, refusal, seconds


class Capture(Section):
    """What of the endpoint's traffic is kept."""

    percent: Annotated[int, Field(ge=0, le=100)] = 100
    redact: dict[Column, Redaction] = Field(default_factory=dict)


class Drift(Section):
    """When what the endpoint is asked counts as drifted, and when that starts a run."""

    distance: Distance = "robust"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    clears_below: Annotated[float, Field(gt=0, lt=1)] | None = None
    windows: Annotated[int, Field(ge=1, le=100)] = 3
    of: Annotated[int, Field(ge=1, le=100)] = 5
    minimum_rows: Annotated[int, Field(ge=1, le=10**9)] = 500
    cooldown: Annotated[int, seconds(0, 30 * DAY)] = DAY
    per_week: Annotated[int, Field(ge=1, le=100)] = 2
    ignore: list[Column] = Field(default_factory=list)
    retrain: bool = True

    @field_validator("clears_below")
    @classmethod
    def _is_not_above_the_threshold(cls, value: float | None, info: ValidationInfo) -> float | None:
        threshold = info.data.get("threshold")
        if value is not None and threshold is not None and value > threshold:
            raise refusal(
                f"is {value:g}, above watch.drift.threshold ({threshold:g}); make it at most that"
            )
        return value

    @field_validator("of")
    @classmethod
    def _holds_the_windows(cls, value: int, info: ValidationInfo) -> int:
        windows = info.data.get("windows", 1)
        if value < windows:
            raise refusal(f"is {value}, fewer than watch.drift.windows ({windows}); raise it")
        return value


class Quality(Section):
    """What predictions must reach once their truth is known."""

    floor: float = Field(examples=["0.65"])
    metric: str | None = None
    minimum_rows: Annotated[int, Field(ge=10, le=10**9)] = 200


class Watch(Section):
    """How the endpoint's traffic is looked at."""

    every: Annotated[int, seconds(0, 7 * DAY)] = HOUR
    capture: Capture = Field(default_factory=Capture)
    drift: Drift = Field(default_factory=Drift)
    quality: Quality | None = None
    metrics: Reported = "worst"
    backend: Backend = "tidemill"

    @field_validator("every")
    @classmethod
    def _is_never_or_a_minute(cls, value: int) -> int:
        if 0 < value < MINUTE:
            raise refusal("is shorter than a minute, Scheduler's step; write 1m or more, or 0s")
        return value

    @field_validator("backend")
    @classmethod
    def _can_be_a_monitoring_schedule(cls, value: Backend, info: ValidationInfo) -> Backend:
        every: int | None = info.data.get("every")
        capture: Capture | None = info.data.get("capture")
        if value != "sagemaker" or every is None or capture is None:
            return value
        if not every or every % HOUR or DAY % every:
            raise refusal(
                "is sagemaker, whose schedules run every 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d; "
                "write one of these for watch.every"
            )
        if not capture.percent:
            raise refusal("is sagemaker, which needs captured traffic; raise watch.capture.percent")
        if capture.redact:
            raise refusal(
                "is sagemaker, which reads what SageMaker captures itself: that knows no "
                "watch.capture.redact; leave one of the two out"
            )
        return value
