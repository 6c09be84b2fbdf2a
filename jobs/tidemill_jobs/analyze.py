"""
Analyze: a SageMaker MonitoringSchedule's image, that holds captured traffic against a baseline.

SageMaker starts it once a period, as a processing job whose environment says what to look at
(developer guide, "Container Contract Inputs"). All that it needs is Model Monitor's own: captured
lines, statistics.json and constraints.json. Of its own it reads

    tidemill_plan          s3://…/plan.json of a model of ours (`monitored`): its spec and version
    tidemill_minimum_rows  with fewer there is no verdict
    tidemill_completeness  so many more of a feature's cells may be missing
    tidemill_ignore        features that are not looked at, with commas between
    tidemill_metrics       features with metrics of their own: worst, all or none

and writes statistics.json, constraints.json and constraint_violations.json, as its own analyzer
does, with our comparison, triage and profile beside them. Lines that cannot be read are counted.
"""

import json
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from tidemill_jobs import windows
from tidemill_jobs.baseline import CONSTRAINTS, PREDICTION
from tidemill_jobs.capture.layout import HOUR_SECONDS, hour_of
from tidemill_jobs.capture.reader import Batch, CaptureReader
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.container import Container, read_document
from tidemill_jobs.drift import DriftSettings
from tidemill_jobs.errors import JobError
from tidemill_jobs.lake import Lake
from tidemill_jobs.monitor import constraints, monitoring_config, to_text
from tidemill_jobs.monitor.reading import answers_of, enabled, profile_of, settings_of
from tidemill_jobs.monitored import MARKER, Monitored, Read
from tidemill_jobs.profile import Profile, Profiler
from tidemill_jobs.watch import Seen, kinds_of, with_prediction

log = logging.getLogger(__name__)

METRICS: Final = "metrics/cloudwatch/tidemill.jsonl"  # below /opt/ml/output
WORST: Final = 5  # features with metrics of their own, unless asked otherwise
_NAME_LEFT: Final = 255 - len("feature_baseline_drift_")
_UNREAD: Final = 3  # reasons that the exit message tells


@dataclass(frozen=True, slots=True)
class Request:
    """What the environment asks for."""

    source: Path
    output: Path
    start: float
    end: float
    endpoint: str
    schedule: str
    statistics: Path | None
    constraints: Path | None
    settings: DriftSettings
    metrics: str
    plan: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the contract's variables.

        Raises:
            JobError: One is missing, or asks for what this image does not do.
        """
        _refuse_others(environment)
        usual = DriftSettings()
        try:
            settings = replace(
                usual,
                minimum_rows=int(environment.get("tidemill_minimum_rows", usual.minimum_rows)),
                completeness_drop=float(
                    environment.get("tidemill_completeness", usual.completeness_drop)
                ),
                ignore=tuple(filter(None, environment.get("tidemill_ignore", "").split(","))),
            )
            start, end = (_time(environment.get(name, "")) for name in ("start_time", "end_time"))
        except ValueError as exc:
            raise JobError(f"The environment cannot be read: {exc}. Correct the schedule.") from exc
        published = environment.get("publish_cloudwatch_metrics") == "Enabled" and start is not None
        return cls(
            source=_path(environment, "dataset_source"),
            output=_path(environment, "output_path"),
            start=-math.inf if start is None else start,
            end=math.inf if end is None else end,
            endpoint=environment.get("sagemaker_endpoint_name", ""),
            schedule=environment.get("sagemaker_monitoring_schedule_name", ""),
            statistics=_optional(environment, "baseline_statistics"),
            constraints=_optional(environment, "baseline_constraints"),
            settings=settings,
            metrics=environment.get("tidemill_metrics", "worst") if published else "none",
            plan=environment.get("tidemill_plan", ""),
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the traffic is held against; without statistics there is nothing to hold it against."""

    profile: Profile | None
    settings: DriftSettings
    evaluated: bool = True
    measured: bool = True

    @classmethod
    def read(cls, request: Request) -> Self:
        """
        Read the baseline's files, as far as the schedule names them.

        Raises:
            JobError: One cannot be read.
        """
        asked = _text(request.constraints)
        statistics = _text(request.statistics)
        profile = profile_of(statistics, asked) if statistics else None
        if asked is None:
            return cls(profile, request.settings)
        return cls(
            profile,
            settings_of(asked, request.settings),
            evaluated=enabled(asked, "evaluate_constraints"),
            measured=enabled(asked, "emit_metrics"),
        )


def main(container: Container, arguments: Sequence[str]) -> None:
    """
    Run the processing job that a MonitoringSchedule started.

    Raises:
        JobError: The baseline, the model or the environment cannot be used.
    """
    if arguments:
        log.warning("analyze takes no arguments; ignored: %s", " ".join(arguments))
    request = Request.of(container.environment)
    with tempfile.TemporaryDirectory(dir=container.work) as work:
        own = Monitored.find(request.plan, Lake(), Path(work)) if request.plan else None
        if own is not None:
            request = replace(request, settings=own.settings)
        baseline = Baseline.read(request)
        schema, answered = (own.schema, True) if own else _schema(request, baseline.profile)
        read = _read_traffic(request, schema, answered=answered)
        if own is not None:
            own.write(read, request.source, request.start, request.end)
    look = windows.look_at(
        json.dumps({"watch": {"drift": asdict(baseline.settings)}}),
        baseline.profile.dumps() if baseline.profile else None,
        [read.seen.profile.dumps()],
        [read.tally.document()],
    )
    documents = look["documents"]
    monitoring = monitoring_config(baseline.settings)
    documents[CONSTRAINTS] = to_text(constraints(read.seen.profile, monitoring)).encode()
    if not baseline.evaluated:
        documents[windows.VIOLATIONS] = to_text({"violations": []}).encode()
    if own is not None:
        documents[MARKER] = b"{}"
    request.output.mkdir(parents=True, exist_ok=True)
    for name, content in documents.items():
        (request.output / name).write_bytes(content)
    if baseline.measured and request.metrics != "none":
        _write_metrics(container.base / "output" / METRICS, request, look)
    message = _message(documents.get(windows.VIOLATIONS), read, baseline)
    log.info(message)
    container.say(message)


def _read_traffic(request: Request, schema: Schema, *, answered: bool) -> Read:
    """Profile what was captured in the period; more may have been downloaded."""
    reader, profiler = CaptureReader(schema), Profiler(kinds=kinds_of(schema))
    files, predictions = [], []
    for path in sorted(request.source.rglob("*.jsonl")):
        hour = hour_of(path.as_posix())
        if hour is not None and not request.start - HOUR_SECONDS < hour < request.end:
            continue
        files.append(path)
        with path.open("rb") as file:
            for batch in reader.read(file, path.as_posix()):
                frame = with_prediction(batch, schema) if answered else batch.inputs
                within = _within(batch, request)
                profiler.add(frame.filter(within))
                predictions.append(batch.predictions.filter(within))
    return Read(Seen(profiler.profile(), predictions, reader.events()), reader.tally, files)


def _within(batch: Batch, request: Request) -> pl.Series:
    """Tell which rows are of the period; one of whole hours has what lies in their folders."""
    times = batch.predictions["time"]
    if request.start % HOUR_SECONDS == 0 and request.end % HOUR_SECONDS == 0:
        return times.is_not_null()
    return (times >= request.start) & (times < request.end)


def _schema(request: Request, baseline: Profile | None) -> tuple[Schema, bool]:
    """
    Return what rows and answers mean to a baseline, and whether it has answers.

    They are the number or the label that it has of them, which in our own baselines of binary
    models is the score.
    """
    if baseline is None:
        raise JobError(
            "The schedule has no baseline, so nothing says which columns the traffic has: name the "
            "statistics of one."
        )
    columns = baseline.columns
    answers = answers_of(list(columns), PREDICTION)
    answered = columns[answers] if answers else None
    labels = answered is not None and answered.kind != "number"
    names = tuple(name for name in columns if name != answers)
    schema = Schema(
        names=names,
        header=names,
        problem="multiclass" if labels else "regression",
        classes=tuple(sorted(answered.categories)) if answered and labels else (),
        ignored=frozenset(request.settings.ignore),
        kinds={name: kind for name in names if (kind := columns[name].kind)},
    )
    return schema, answered is not None


def _write_metrics(path: Path, request: Request, look: Mapping[str, Any]) -> None:
    """Write what SageMaker puts into CloudWatch: a line of JSON for each metric."""
    dimensions = [
        {"Name": "Endpoint", "Value": request.endpoint},
        {"Name": "MonitoringSchedule", "Value": request.schedule},
    ]
    begin = datetime.fromtimestamp(request.start, UTC)
    at = f"{begin:%Y-%m-%dT%H:%M:%SZ}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for datum in _data(look, request.metrics):
            file.write(json.dumps({**datum, "Timestamp": at, "Dimensions": dimensions}) + "\n")


def _data(look: Mapping[str, Any], reported: str) -> Iterator[dict[str, Any]]:
    """Yield the metrics that a watch of ours puts, by the names that Model Monitor documents."""
    features: list[dict[str, Any]] = look["features"]
    known = [one["distance"] for one in features if one["distance"] is not None]
    yield {"MetricName": "rows", "Value": float(look["rows"])}
    yield {"MetricName": "drifted_features", "Value": float(len(look["drifted"]))}
    if known:
        yield {"MetricName": "baseline_drift_max", "Value": max(known)}
    if not look["rows"]:
        return
    farthest = sorted(features, key=lambda one: (-(one["distance"] or 0.0), one["feature"]))
    for one in farthest if reported == "all" else farthest[:WORST]:
        name = one["feature"][:_NAME_LEFT]
        yield {"MetricName": f"feature_non_null_{name}", "Value": float(one["present"])}
        if one["distance"] is not None:
            yield {"MetricName": f"feature_baseline_drift_{name}", "Value": one["distance"]}
        if one["data"] is not None and all(map(math.isfinite, one["data"].values())):
            values = {
                "SampleCount": float(one["present"]),
                "Sum": one["data"]["sum"],
                "Minimum": one["data"]["low"],
                "Maximum": one["data"]["high"],
            }
            yield {"MetricName": f"feature_data_{name}", "StatisticValues": values}


def _message(violations: bytes | None, read: Read, baseline: Baseline) -> str:
    """Return the exit message: how it begins is what SageMaker makes the status of."""
    found = len(json.loads(violations)["violations"]) if violations else 0
    if found:
        many = "s" if found > 1 else ""
        said = [
            f"CompletedWithViolations: Job completed successfully with {found} violation{many}."
        ]
    elif baseline.profile is None:
        said = ["Completed: Job completed successfully; it has no baseline to compare with."]
    else:
        said = ["Completed: Job completed successfully with no violations."]
    rows = read.seen.profile.rows
    if baseline.profile is not None and rows < max(1, baseline.settings.minimum_rows):
        said.append(f"{rows:,} rows are too few for a verdict on what they hold.")
    if unread := read.tally.unreadable.counts:
        lines = sum(unread.values())
        reasons = ", ".join(reason for reason, _ in unread.most_common(_UNREAD))
        said.append(f"{lines:,} lines could not be read ({reasons}).")
    return " ".join(said)


def _refuse_others(environment: Mapping[str, str]) -> None:
    kind = environment.get("analysis_type")
    if kind not in (None, "", "DATA_QUALITY"):
        raise JobError(f"This image analyzes data quality, not {kind}; give it another schedule.")
    try:
        form = json.loads(environment.get("dataset_format") or '{"sagemakerCaptureJson": {}}')
    except ValueError as exc:
        raise JobError(f"dataset_format is no JSON ({exc}).") from exc
    if not isinstance(form, dict) or "sagemakerCaptureJson" not in form:
        raise JobError(
            f"dataset_format is {json.dumps(form)[:100]}; this image reads an endpoint's captured "
            "traffic (sagemakerCaptureJson). Give the schedule an EndpointInput."
        )


def _path(environment: Mapping[str, str], name: str) -> Path:
    if not environment.get(name):
        raise JobError(f"{name} is not set; this image is started by a MonitoringSchedule.")
    return Path(environment[name])


def _optional(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def _text(path: Path | None) -> str | None:
    return None if path is None else read_document(path.parent, path.name)


def _time(text: str) -> float | None:
    """Return a moment in seconds since 1970; the guide's own example has blanks in it."""
    return datetime.fromisoformat(text.replace(" ", "")).timestamp() if text else None
