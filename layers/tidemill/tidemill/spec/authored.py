"""
What people write: the keys of model.yaml, their types, bounds and defaults.

Only `compile.py` reads this, on the caller's side: pydantic never gets into a handler. Messages
begin after the key's name, which `compile.py` puts in front together with the line. Every key is
described in docs/spec.md; a test compares the two.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from tidemill.spec import calendar, instances
from tidemill.spec.authored_watch import Watch
from tidemill.spec.compiled import (
    ColumnType,
    Direction,
    Format,
    Problem,
    Violation,
)
from tidemill.spec.durations import format_duration
from tidemill.spec.fields import (
    DAY,
    HOUR,
    Amount,
    Column,
    Folder,
    Marker,
    Name,
    Section,
    Share,
    Whole,
    instance_type,
    refusal,
    seconds,
    suggestion,
)
from tidemill.spec.metrics import METRICS, Metric, find_metric

_JOBS = instances.TRAINING & instances.PROCESSING


class Data(Section):
    """How an upload is read."""

    format: Format = "csv"
    target: Column = Field(examples=["late"])
    id: Column | None = None
    timestamp: Column | None = None
    exclude: list[Column] = Field(default_factory=list)
    binary: list[Folder] = Field(default_factory=list)

    @field_validator("id", "timestamp")
    @classmethod
    def _has_one_role(cls, value: str | None, info: ValidationInfo) -> str | None:
        for role in ("target", "id"):
            if value is not None and value == info.data.get(role):
                raise refusal(f"is '{value}', as is data.{role}; name two different columns")
        return value

    @field_validator("exclude")
    @classmethod
    def _keeps_the_target(cls, value: list[str], info: ValidationInfo) -> list[str]:
        target = info.data.get("target")
        if target in value:
            raise refusal(f"names the target '{target}', which is never an input; remove it there")
        twice = next((name for name in value if value.count(name) > 1), None)
        if twice is not None:
            raise refusal(f"names '{twice}' twice; remove one of them")
        return value


class Delivery(Section):
    """When uploads that belong together are complete."""

    quiet: Annotated[int, seconds(1, HOUR)] = 120
    max_wait: Annotated[int, seconds(1, DAY)] = HOUR
    marker: Marker | None = None
    expect: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @field_validator("max_wait")
    @classmethod
    def _outlasts_the_quiet(cls, value: int, info: ValidationInfo) -> int:
        quiet = info.data.get("quiet", 0)
        if value < quiet:
            raise refusal(
                f"is {format_duration(value)}, shorter than delivery.quiet "
                f"({format_duration(quiet)}); make it at least as long"
            )
        return value

    @field_validator("expect")
    @classmethod
    def _closes_alone(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("marker") is not None:
            raise refusal(f"is {value}, and delivery.marker closes deliveries too; keep one")
        return value


class ColumnRule(Section):
    """What is known of one column, and holds before what the contract inferred."""

    type: ColumnType | None = None
    required: bool | None = None
    completeness: Annotated[float, Field(ge=0, le=1)] | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None
    unique: bool | None = None

    @field_validator("maximum")
    @classmethod
    def _is_not_below_the_minimum(cls, value: float | None, info: ValidationInfo) -> float | None:
        minimum = info.data.get("minimum")
        if value is not None and minimum is not None and value < minimum:
            raise refusal(f"is {value:g}, below the minimum of {minimum:g}; exchange the two")
        return value


class Check(Section):
    """What happens to an upload that breaks the contract."""

    on_violation: Violation = "refuse"
    bad_rows: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    columns: dict[Column, ColumnRule] = Field(default_factory=dict)

    @field_validator("bad_rows")
    @classmethod
    def _needs_drop(cls, value: float, info: ValidationInfo) -> float:
        if value and info.data.get("on_violation") in ("refuse", "warn"):
            raise refusal(f"is {value:g}, but only `on_violation: drop` leaves rows out; write it")
        return value


class Split(Section):
    """Shares of the rows; what is left is for training."""

    validation: Annotated[float, Field(ge=0.01, le=0.5)] = 0.15
    test: Annotated[float, Field(ge=0.01, le=0.5)] = 0.15

    @field_validator("test")
    @classmethod
    def _leaves_rows_to_train_on(cls, value: float, info: ValidationInfo) -> float:
        held = value + info.data.get("validation", 0.0)
        if held > 0.8:  # noqa: PLR2004  # said in the message below
            raise refusal(
                f"and prepare.split.validation take {held:.0%} of the rows; "
                "leave 20% for training at least"
            )
        return value


class Window(Section):
    """Which uploads a run takes; without a key, all."""

    deliveries: Annotated[int, Field(ge=1, le=10_000)] | None = None
    age: Annotated[int, seconds(HOUR, 3_650 * DAY)] | None = None


class Prepare(Section):
    """How rows become training, validation and test data."""

    split: Split = Field(default_factory=Split)
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    window: Window = Field(default_factory=Window)


class Compute(Section):
    """One SageMaker job's machine: for prepare, train and evaluate alike."""

    instance: Annotated[str, instance_type(_JOBS, "training and processing jobs")] = "ml.m5.xlarge"
    volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 30
    max_runtime: Annotated[int, seconds(60, 5 * DAY)] = HOUR


class Hyperparameters(Section):
    """XGBoost's, as far as they keep to one ONNX tree ensemble; unset ones are the trainer's."""

    num_round: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, Whole] = None
    early_stopping_rounds: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, Whole] = None
    eta: Share = None
    gamma: Amount = None
    max_depth: Annotated[Annotated[int, Field(ge=1, le=64)] | None, Whole] = None
    min_child_weight: Amount = None
    max_delta_step: Amount = None
    subsample: Share = None
    colsample_bytree: Share = None
    colsample_bylevel: Share = None
    colsample_bynode: Share = None
    lambda_: Amount = Field(default=None, alias="lambda")
    alpha: Amount = None
    tree_method: Literal["hist", "approx"] | None = None
    grow_policy: Literal["depthwise", "lossguide"] | None = None
    max_leaves: Annotated[Annotated[int, Field(ge=0, le=65_536)] | None, Whole] = None
    max_bin: Annotated[Annotated[int, Field(ge=2, le=65_536)] | None, Whole] = None
    scale_pos_weight: Amount = None


#: Hyperparameters that are decided elsewhere, and the reason, or the name to use instead.
DECIDED_ELSEWHERE = {
    "problem": "is decided by train.problem; remove it here",
    "objective": "follows from train.problem; remove it here",
    "num_class": "is counted from the target column; remove it here",
    "metric": "is decided by evaluate.metric; remove it here",
    "eval_metric": "follows from evaluate.metric; remove it here",
    "seed": "is decided by prepare.seed; remove it here",
    "random_state": "is decided by prepare.seed; remove it here",
    "nthread": "is every core of train.compute.instance; remove it here",
    "booster": "is gbtree, the one that converts to ONNX exactly; remove it here",
    "learning_rate": "is XGBoost's other name of eta; write eta",
    "n_estimators": "is XGBoost's other name of num_round; write num_round",
    "num_boost_round": "is XGBoost's other name of num_round; write num_round",
    "min_split_loss": "is XGBoost's other name of gamma; write gamma",
    "reg_lambda": "is XGBoost's other name of lambda; write lambda",
    "reg_alpha": "is XGBoost's other name of alpha; write alpha",
}


class Train(Section):
    """What is learned, how, and on what machine."""

    algorithm: Literal["xgboost"] = "xgboost"
    problem: Problem = Field(examples=["binary"])
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)
    compute: Compute = Field(default_factory=Compute)


class Evaluate(Section):
    """What a version must reach."""

    metric: str | None = None
    minimum: float | None = None
    direction: Direction | None = None


class Triggers(Section):
    """When a run may start by itself, and what else starts one."""

    cooldown: Annotated[int, seconds(0, 30 * DAY)] = 0
    minimum_rows: Annotated[int, Field(ge=0, le=10**12)] = 0
    minimum_share: Annotated[float, Field(ge=0, le=10)] = 0.0
    runs_per_week: Annotated[int, Field(ge=1, le=1_000)] | None = None
    time_zone: Annotated[str, AfterValidator(calendar.time_zone)] = "UTC"
    blackout: Annotated[
        list[Annotated[str, AfterValidator(calendar.blackout)]], Field(max_length=20)
    ] = Field(default_factory=list)
    schedule: Annotated[
        list[Annotated[str, AfterValidator(calendar.schedule)]], Field(max_length=10)
    ] = Field(default_factory=list)
    alarms: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=20)
    ] = Field(default_factory=list)
    on_change: bool = False

    @field_validator("blackout")
    @classmethod
    def _leaves_time_to_run(cls, value: list[str]) -> list[str]:
        if calendar.covers_the_week(calendar.read_blackout(text) for text in value):
            raise refusal("leaves no minute of the week in which a run may start; shorten it")
        return value

    @field_validator("schedule", "alarms")
    @classmethod
    def _names_none_twice(cls, value: list[str]) -> list[str]:
        twice = next((text for text in value if value.count(text) > 1), None)
        if twice is not None:
            raise refusal(f"names '{twice}' twice; remove one of them")
        return value


class Serverless(Section):
    """An endpoint without machines of its own."""

    memory_mb: Annotated[int, Field(ge=1_024, le=6_144, multiple_of=1_024)] = 2_048
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 5


class Deploy(Section):
    """The endpoint's machines, or what a serverless one may use."""

    instance: Annotated[str, instance_type(instances.HOSTING, "endpoints")] = "ml.m5.large"
    count: Annotated[int, Field(ge=1, le=100)] = 1
    serverless: Serverless | None = None

    @field_validator("serverless")
    @classmethod
    def _stands_alone(cls, value: Serverless | None, info: ValidationInfo) -> Serverless | None:
        if value is not None and info.data.get("count", 1) > 1:
            raise refusal("has no machines to count; remove deploy.count")
        return value


class Authored(Section):
    """The whole of a model.yaml."""

    project: Name = Field(examples=["flights"])
    model: Name = Field(examples=["delay"])
    data: Data = Field(examples=["{target: late}"])
    delivery: Delivery = Field(default_factory=Delivery)
    check: Check = Field(default_factory=Check)
    triggers: Triggers = Field(default_factory=Triggers)
    prepare: Prepare = Field(default_factory=Prepare)
    train: Train = Field(examples=["{problem: binary}"])
    evaluate: Evaluate = Field(default_factory=Evaluate)
    approve: Literal["auto", "manual"] = "manual"
    deploy: Deploy = Field(default_factory=Deploy)
    watch: Watch = Field(default_factory=Watch)

    @field_validator("evaluate")
    @classmethod
    def _suits_the_problem(cls, value: Evaluate, info: ValidationInfo) -> Evaluate:
        train: Train | None = info.data.get("train")
        if train is None:  # refused itself: what suits it cannot be said
            return value
        metric = _suitable(train.problem, value.metric, at="metric")
        if value.direction not in (None, metric.direction):
            raise refusal(
                f"is {value.direction}, but {metric.name} is better the "
                f"{'higher' if metric.direction == 'maximize' else 'lower'} it is; "
                "remove the line: it follows from the metric",
                at="direction",
            )
        if value.minimum is not None:
            _within(metric, value.minimum, at="minimum")
        return value

    @field_validator("watch")
    @classmethod
    def _knows_its_metric_and_columns(cls, value: Watch, info: ValidationInfo) -> Watch:
        train: Train | None = info.data.get("train")
        data: Data | None = info.data.get("data")
        if train is not None and value.quality is not None:
            judged: Evaluate | None = info.data.get("evaluate")
            name = value.quality.metric or (judged.metric if judged else None)
            metric = _suitable(train.problem, name, at="quality.metric")
            _within(metric, value.quality.floor, at="quality.floor")
        for at, names in (
            ("capture.redact", value.capture.redact),
            ("drift.ignore", value.drift.ignore),
        ):
            if data is not None and data.target in names:
                raise refusal(
                    f"names the target '{data.target}', which no request holds; remove it there",
                    at=at,
                )
        deploy: Deploy | None = info.data.get("deploy")
        if value.backend == "sagemaker" and deploy is not None and deploy.serverless:
            raise refusal(
                "is sagemaker, which captures no serverless endpoint; remove deploy.serverless, "
                "or this",
                at="backend",
            )
        return value


def _suitable(problem: Problem, name: str | None, *, at: str) -> Metric:
    """Return the metric of that name, the problem's own without one; refuse any other."""
    known = tuple(metric.name for metric in METRICS[problem])
    metric = find_metric(problem, name or known[0])
    if metric is None:
        raise refusal(
            f"is '{name}', which does not suit a {problem} problem; "
            f"choose one of {', '.join(known)}{suggestion(str(name), known)}",
            at=at,
        )
    return metric


def _within(metric: Metric, value: float, *, at: str) -> None:
    if metric.low <= value <= metric.high:
        return
    hint = "write the share, as 0.7 for 70%" if metric.worst == 0 else "choose a value there"
    raise refusal(
        f"is {value:g}; {metric.name} lies between {metric.low:g} and {metric.high:g}: {hint}",
        at=at,
    )
