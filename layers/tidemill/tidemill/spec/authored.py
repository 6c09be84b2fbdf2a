"""
What people write: the keys of model.yaml, their types, bounds and defaults.

Only `compile.py` reads this, on the caller's side: pydantic never gets into a handler. Messages
begin after the key's name, which `compile.py` puts in front together with the line. Every key is
described in docs/spec.md; a test compares the two.
"""

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from tidemill.spec import instances
from tidemill.spec.compiled import Direction, Format, Problem
from tidemill.spec.durations import format_duration, parse_duration
from tidemill.spec.metrics import METRICS, find_metric

NAME_LIMIT = 24  # two such names and the default stack's make 60 of SageMaker's 63 characters
COLUMN_LIMIT = 256
HOUR, DAY = 3_600, 86_400

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def refusal(message: str, at: str = "") -> PydanticCustomError:
    """
    Return the error of a value that has the right type but cannot be.

    Args:
        message: What follows the key's name, such as `is 'X'; write …`.
        at: The key below the one under validation that the message is about.
    """
    return PydanticCustomError("refused", "{said}", {"said": message, "at": at})


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the one of *known* that *word* is taken for, or None when none is near."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` for the nearest of *known*, or nothing when none is near."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise refusal(
            f"is '{text}'; a name is words of a-z and 0-9 joined by single hyphens, as late-flights"
        )
    if len(text) > NAME_LIMIT:
        raise refusal(
            f"has {len(text)} characters; AWS names leave room for {NAME_LIMIT}: shorten it"
        )
    return text


def _column(text: str) -> str:
    if not text.strip():
        raise refusal("is empty; write a column's name")
    if len(text) > COLUMN_LIMIT or not text.isprintable():
        raise refusal(
            f"is no column's name: write at most {COLUMN_LIMIT} printable characters, "
            "as in the file's header"
        )
    return text


def _marker(text: str) -> str:
    if not _FILE_NAME.fullmatch(text) or not text.strip("."):
        raise refusal(
            f"is '{text}'; write a file's name without a folder, such as _SUCCESS or manifest.json"
        )
    return text


def _seconds(low: int, high: int) -> BeforeValidator:
    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            raise refusal(f"is {value}, without a unit; write {value}s, {value}m or {value}h")
        seconds = parse_duration(value) if isinstance(value, str) else None
        if seconds is None:
            raise refusal("is no duration; write a number and a unit, such as 30s, 2m or 1h30m")
        if not low <= seconds <= high:
            raise refusal(
                f"is {value}; choose between {format_duration(low)} and {format_duration(high)}"
            )
        return seconds

    return BeforeValidator(parse)


def _instance(known: frozenset[str], work: str) -> AfterValidator:
    def check(text: str) -> str:
        if text not in known:
            near = nearest(text, tuple(sorted(known)))
            hint = f"did you mean {near}?" if near else "write one such as ml.m5.xlarge"
            raise refusal(f"is '{text}', which SageMaker does not offer for {work}; {hint}")
        return text

    return AfterValidator(check)


def _unquoted(value: Any) -> Any:
    """Read a number in quotes: a hyperparameter ends as text anyway."""
    if isinstance(value, str) and _NUMBER.fullmatch(value) and len(value) < COLUMN_LIMIT:
        return float(value)
    return value


def _whole(value: Any) -> Any:
    value = _unquoted(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, AfterValidator(_name)]
Column = Annotated[str, AfterValidator(_column)]
_JOBS = instances.TRAINING & instances.PROCESSING

# A key without a value leaves the hyperparameter to the trainer, as no key does.
Share = Annotated[Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(_unquoted)]
Amount = Annotated[Annotated[float, Field(ge=0, le=1e9)] | None, BeforeValidator(_unquoted)]
Whole = BeforeValidator(_whole)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Data(_Section):
    """How an upload is read."""

    format: Format = "csv"
    target: Column = Field(examples=["late"])
    id: Column | None = None
    timestamp: Column | None = None
    exclude: list[Column] = Field(default_factory=list)

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


class Delivery(_Section):
    """When uploads that belong together are complete."""

    quiet: Annotated[int, _seconds(1, HOUR)] = 120
    max_wait: Annotated[int, _seconds(1, DAY)] = HOUR
    marker: Annotated[str, AfterValidator(_marker)] | None = None

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


class Split(_Section):
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


class Prepare(_Section):
    """How rows become training, validation and test data."""

    split: Split = Field(default_factory=Split)
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class Compute(_Section):
    """One SageMaker job's machine: for prepare, train and evaluate alike."""

    instance: Annotated[str, _instance(_JOBS, "training and processing jobs")] = "ml.m5.xlarge"
    volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 30
    max_runtime: Annotated[int, _seconds(60, 5 * DAY)] = HOUR


class Hyperparameters(_Section):
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


class Train(_Section):
    """What is learned, how, and on what machine."""

    algorithm: Literal["xgboost"] = "xgboost"
    problem: Problem = Field(examples=["binary"])
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)
    compute: Compute = Field(default_factory=Compute)


class Evaluate(_Section):
    """What a version must reach."""

    metric: str | None = None
    minimum: float | None = None
    direction: Direction | None = None


class Deploy(_Section):
    """The endpoint's machines."""

    instance: Annotated[str, _instance(instances.HOSTING, "endpoints")] = "ml.m5.large"
    count: Annotated[int, Field(ge=1, le=100)] = 1


class Authored(_Section):
    """The whole of a model.yaml."""

    project: Name = Field(examples=["flights"])
    model: Name = Field(examples=["delay"])
    data: Data = Field(examples=["{target: late}"])
    delivery: Delivery = Field(default_factory=Delivery)
    prepare: Prepare = Field(default_factory=Prepare)
    train: Train = Field(examples=["{problem: binary}"])
    evaluate: Evaluate = Field(default_factory=Evaluate)
    approve: Literal["auto", "manual"] = "manual"
    deploy: Deploy = Field(default_factory=Deploy)

    @field_validator("evaluate")
    @classmethod
    def _suits_the_problem(cls, value: Evaluate, info: ValidationInfo) -> Evaluate:
        train: Train | None = info.data.get("train")
        if train is None:  # refused itself: what suits it cannot be said
            return value
        known = tuple(metric.name for metric in METRICS[train.problem])
        metric = find_metric(train.problem, value.metric or known[0])
        if metric is None:
            raise refusal(
                f"is '{value.metric}', which does not suit a {train.problem} problem; "
                f"choose one of {', '.join(known)}{suggestion(str(value.metric), known)}",
                at="metric",
            )
        if value.direction not in (None, metric.direction):
            raise refusal(
                f"is {value.direction}, but {metric.name} is better the "
                f"{'higher' if metric.direction == 'maximize' else 'lower'} it is; "
                "remove the line: it follows from the metric",
                at="direction",
            )
        if value.minimum is not None and not metric.low <= value.minimum <= metric.high:
            raise refusal(
                f"is {value.minimum:g}; {metric.name} lies between {metric.low:g} "
                f"and {metric.high:g}: write the share, as 0.7 for 70%"
                if metric.worst == 0
                else f"is {value.minimum:g}; {metric.name} lies between {metric.low:g} "
                f"and {metric.high:g}: choose a value there",
                at="minimum",
            )
        return value
