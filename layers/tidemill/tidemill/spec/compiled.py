"""
The compiled spec: what handlers, jobs and the pipeline emitter read.

Plain frozen dataclasses and plain JSON: no pydantic at run time. `authored.py` is what people
write, `compile.py` turns the one into the other. A field with a default was added later: a
document without it means what it meant before.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NoReturn,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

#: The document's shapes that are read; the last one is written.
VERSIONS = (1,)

Format = Literal["csv", "tsv", "parquet", "jsonl"]
Problem = Literal["binary", "multiclass", "regression"]
Direction = Literal["maximize", "minimize"]
Approval = Literal["auto", "manual"]
Violation = Literal["refuse", "drop", "warn"]
Redaction = Literal["hash", "drop"]
Distance = Literal["robust", "simple"]
Reported = Literal["worst", "all", "none"]
Backend = Literal["tidemill", "sagemaker"]
ColumnType = Literal["number", "boolean", "time", "category"]


class MalformedSpecError(ValueError):
    """A document is no compiled spec that this Tidemill reads; the message names the field."""


class _Document:
    """From and to plain JSON; unknown keys of a newer writer are left out."""

    @classmethod
    def parse(cls, document: Any) -> Self:
        """
        Read *document*.

        Raises:
            MalformedSpecError: Names the field that is missing or wrong, such as `data.target`.
        """
        return _parsed(cls, document, "")


_Kind = TypeVar("_Kind", bound=_Document)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    # Evaluating annotations takes most of the time of a parse, and they do not change.
    return get_type_hints(kind)


def _parsed(kind: type[_Kind], document: Any, at: str) -> _Kind:
    """Read an object; *at* is the path of the field that it is in, empty for the whole spec."""
    if not isinstance(document, Mapping):
        raise MalformedSpecError(_refusal(at or "the spec", "an object", document))
    hints = _hints(kind)  # type: ignore[arg-type]  # every class is hashable
    read: dict[str, Any] = {}
    for known in fields(kind):  # type: ignore[arg-type]  # every subclass is a dataclass
        where = f"{at}.{known.name}" if at else known.name
        if known.name in document:
            read[known.name] = _read(hints[known.name], document[known.name], where)
        elif known.default is MISSING and known.default_factory is MISSING:
            raise MalformedSpecError(f"{where} is missing")
    return kind(**read)


def _read(kind: Any, value: Any, at: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, _Document):
        return _parsed(kind, value, at)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in _UNIONS and isinstance(value, list | tuple | Mapping):
        held = next((option for option in arguments if _holds(option)), None)
        return _read(held, value, at) if held else _refuse(at, kind, value)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(arguments[0], item, f"{at}[{n}]") for n, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {name: _read(arguments[1], item, f"{at}.{name}") for name, item in value.items()}
    if not _fits(kind, value):
        _refuse(at, kind, value)
    if kind is float:  # JSON on its way through AWS may lose the fraction of 1.0
        return float(value)
    return value


def _holds(kind: Any) -> bool:
    return get_origin(kind) in (tuple, dict) or (
        isinstance(kind, type) and issubclass(kind, _Document)
    )


def _fits(kind: Any, value: Any) -> bool:
    """Say whether *value* is one of a kind that holds no others."""
    origin = get_origin(kind)
    if origin in _UNIONS:
        return any(_fits(option, value) for option in get_args(kind) if not _holds(option))
    if origin is Literal:
        return value in get_args(kind)
    if origin is not None or isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # nor is NaN
    return isinstance(value, kind)


_UNIONS = (UnionType, Union)  # `X | None` is the one or the other, by what X is
_SAID = {
    str: "a text", int: "a whole number", float: "a number", NoneType: "null",
    tuple: "a list", dict: "an object", bool: "true or false",
}  # fmt: skip


def _said(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in _UNIONS:
        return " or ".join(map(_said, get_args(kind)))
    if origin is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return _SAID.get(origin or kind, "an object")


def _refuse(at: str, kind: Any, value: Any) -> NoReturn:
    raise MalformedSpecError(_refusal(at, _said(kind), value))


def _refusal(at: str, wanted: str, value: Any) -> str:
    return f"{at} must be {wanted}, not {value!r:.80}"


@dataclass(frozen=True, slots=True)
class Data(_Document):
    """How an upload is read. Files ending in .gz are unpacked."""

    format: Format
    target: str
    id: str | None  # identifies a row; never a feature; the split hashes it
    timestamp: str | None
    exclude: tuple[str, ...]
    binary: tuple[str, ...] = ()  # folders below the model's prefix: catalogued, never read


@dataclass(frozen=True, slots=True)
class Delivery(_Document):
    """When uploads that belong together are complete."""

    quiet_seconds: int
    max_wait_seconds: int
    marker: str | None  # the file name that closes a delivery: _SUCCESS, or a JSON list of names
    expect: int | None = None  # so many uploads close it


@dataclass(frozen=True, slots=True)
class ColumnRule(_Document):
    """What the spec says of one column, before what the contract inferred; None leaves it to it."""

    type: ColumnType | None = None
    required: bool | None = None  # the column must be there
    completeness: float | None = None  # the least share of cells that are not missing
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None  # the only categories
    unique: bool | None = None  # within a file


@dataclass(frozen=True, slots=True)
class Check(_Document):
    """What happens to an upload that breaks the contract, and what the spec adds to that."""

    on_violation: Violation = "refuse"
    bad_rows: float = 0.0  # with `drop`: the largest share of a file's rows that may be left out
    columns: dict[str, ColumnRule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window(_Document):
    """Which uploads a dataset takes: of the last so many deliveries, not older than so long."""

    deliveries: int | None = None
    age_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Prepare(_Document):
    """Shares of rows; the rest is for training. Rows are assigned by a stable hash."""

    validation: float
    test: float
    seed: int
    window: Window = Window()


@dataclass(frozen=True, slots=True)
class Blackout(_Document):
    """A time of the week in which no run starts by itself."""

    written: str  # as in model.yaml: `mon-fri 08:00-18:00`
    days: tuple[int, ...]  # 0 is Monday
    start: int  # minutes since midnight
    end: int  # minutes since midnight, at most 1,440; not after `start`: it ends the next day


@dataclass(frozen=True, slots=True)
class Triggers(_Document):
    """When a run may start, and what else starts one. Nothing here holds back a person's run."""

    cooldown_seconds: int = 0  # after a run's end
    minimum_rows: int = 0  # new rows, of data triggers
    minimum_share: float = 0.0  # new rows by the rows of the last run's dataset
    runs_per_week: int | None = None  # in any seven days
    time_zone: str = "UTC"  # of blackouts and schedules, an IANA name
    blackout: tuple[Blackout, ...] = ()
    schedule: tuple[str, ...] = ()  # EventBridge Scheduler's cron(…), rate(…), at(…)
    alarms: tuple[str, ...] = ()  # names of CloudWatch alarms that count as drift
    on_change: bool = False  # a spec or training code that changed starts a run


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
class Serverless(_Document):
    """An endpoint without machines of its own."""

    memory_mb: int  # 1,024 to 6,144 in steps of 1,024
    max_concurrency: int  # requests at a time, 1 to 200; more are refused


@dataclass(frozen=True, slots=True)
class Deploy(_Document):
    """The endpoint's machines; with *serverless* it has none, and they are not used."""

    instance: str
    count: int
    serverless: Serverless | None = None


@dataclass(frozen=True, slots=True)
class Capture(_Document):
    """What of an endpoint's traffic is kept for the watch."""

    percent: int = 100  # of the requests, 0 to 100; 0 captures nothing
    redact: dict[str, Redaction] = field(default_factory=dict)  # column → how, before writing


@dataclass(frozen=True, slots=True)
class Drift(_Document):
    """When what an endpoint is asked counts as drifted, and when that is told."""

    distance: Distance = "robust"
    threshold: float = 0.1  # a feature's distance above it is a violation
    clears_below: float = 0.05  # and it is over only when below this (hysteresis)
    windows: int = 3  # of the last `of` windows so many must be violated
    of: int = 5
    minimum_rows: int = 500  # of a window; with fewer it says nothing
    cooldown_seconds: int = 86_400  # between two findings
    per_week: int = 2  # findings in any seven days
    ignore: tuple[str, ...] = ()  # columns that are profiled but never found to have drifted
    retrain: bool = True  # false: findings notify people only


@dataclass(frozen=True, slots=True)
class Quality(_Document):
    """What live predictions must reach once their truth is known."""

    metric: str
    direction: Direction
    floor: float
    minimum_rows: int = 200


@dataclass(frozen=True, slots=True)
class Watch(_Document):
    """How the endpoint's traffic is looked at."""

    every_seconds: int = 3_600  # a window's length, and between two looks; 0 is never
    capture: Capture = Capture()
    drift: Drift = Drift()
    quality: Quality | None = None
    metrics: Reported = "worst"  # which features get CloudWatch metrics of their own
    backend: Backend = "tidemill"  # whose schedule reads the traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(_Document):
    """One model, compiled."""

    version: int  # of this document's shape; readers accept the last two
    project: str
    model: str
    data: Data
    delivery: Delivery
    check: Check = Check()
    triggers: Triggers = Triggers()
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    approve: Approve
    deploy: Deploy
    watch: Watch = Watch()

    def __post_init__(self) -> None:
        """Refuse another version's document, rather than half understand it."""
        _check_version(self.version)

    @classmethod
    def parse(cls, document: Any) -> Self:
        """
        Read *document*.

        Raises:
            MalformedSpecError: Names the field that is missing or wrong. Of another version's
                document it is the version: that its other fields differ is no wonder.
        """
        if isinstance(document, Mapping) and "version" in document:
            _check_version(document["version"])
        return _parsed(cls, document, "")

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


def _check_version(version: Any) -> None:
    if isinstance(version, bool) or version not in VERSIONS:
        readable = " and ".join(map(str, VERSIONS))
        raise MalformedSpecError(
            f"version is {version!r:.80}; this Tidemill reads {readable}: upgrade it, or compile "
            "model.yaml again with this one"
        )
