"""From the text of a model.yaml to the compiled spec, or to every finding with its line."""

import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tidemill.spec import authored, authored_watch, compiled
from tidemill.spec.authored import DECIDED_ELSEWHERE, Authored
from tidemill.spec.calendar import read_blackout
from tidemill.spec.errors import Finding, SpecError
from tidemill.spec.fields import nearest, suggestion
from tidemill.spec.metrics import Metric, default_metric, find_metric
from tidemill.spec.yaml_lines import Ambiguous, Document, Origin, Path, dotted, load

VERSION = 1


def compile_spec(text: str | bytes, source: str = "model.yaml") -> compiled.Spec:
    """
    Compile a spec; equal meaning gives equal specs, and so equal digests.

    Args:
        text: The content of a model.yaml; bytes must be UTF-8.
        source: The file's name as the user gave it, for the findings.

    Raises:
        SpecError: With every finding at once, each with its line and what to do.
    """
    document = load(text, source)
    try:
        spec = Authored.model_validate(document.value)
    except ValidationError as exc:
        found = [_finding(error, document, source) for error in _told_once(exc)]
        raise SpecError([*document.findings, *found]) from None  # the cause says it less well
    if document.findings:
        raise SpecError(document.findings)
    return _compiled(spec)


def _compiled(spec: Authored) -> compiled.Spec:
    problem = spec.train.problem
    metric = find_metric(problem, spec.evaluate.metric or "") or default_metric(problem)
    minimum = metric.worst if spec.evaluate.minimum is None else spec.evaluate.minimum
    compute = spec.train.compute
    chosen = spec.train.hyperparameters.model_dump(by_alias=True, exclude_none=True)
    return compiled.Spec(
        version=VERSION,
        project=spec.project,
        model=spec.model,
        data=compiled.Data(
            format=spec.data.format,
            target=spec.data.target,
            id=spec.data.id,
            timestamp=spec.data.timestamp,
            exclude=tuple(sorted(spec.data.exclude)),
            binary=tuple(sorted(set(spec.data.binary))),
        ),
        delivery=compiled.Delivery(
            quiet_seconds=spec.delivery.quiet,
            max_wait_seconds=spec.delivery.max_wait,
            marker=spec.delivery.marker,
            expect=spec.delivery.expect,
        ),
        prepare=compiled.Prepare(
            validation=float(spec.prepare.split.validation),
            test=float(spec.prepare.split.test),
            seed=spec.prepare.seed,
            window=compiled.Window(
                deliveries=spec.prepare.window.deliveries, age_seconds=spec.prepare.window.age
            ),
        ),
        train=compiled.Train(
            algorithm=spec.train.algorithm,
            problem=problem,
            hyperparameters={name: _text(chosen[name]) for name in sorted(chosen)},
            compute=compiled.Compute(
                instance=compute.instance,
                volume_gb=compute.volume_gb,
                max_runtime_seconds=compute.max_runtime,
            ),
        ),
        evaluate=compiled.Evaluate(
            metric=metric.name,
            direction=metric.direction,
            minimum=float(minimum) + 0.0,  # -0.0 would be another digest
        ),
        approve=compiled.Approve(mode=spec.approve),
        deploy=compiled.Deploy(
            instance=spec.deploy.instance,
            count=spec.deploy.count,
            serverless=_serverless(spec.deploy.serverless),
        ),
        check=_check(spec.check),
        triggers=_triggers(spec.triggers),
        watch=_watch(spec.watch, problem, metric),
    )


def _check(check: authored.Check) -> compiled.Check:
    return compiled.Check(
        on_violation=check.on_violation,
        bad_rows=float(check.bad_rows),
        columns={
            name: compiled.ColumnRule(
                type=rule.type,
                required=rule.required,
                completeness=_number(rule.completeness),
                minimum=_number(rule.minimum),
                maximum=_number(rule.maximum),
                values=None if rule.values is None else tuple(sorted(set(rule.values))),
                unique=rule.unique,
            )
            for name, rule in sorted(check.columns.items())
        },
    )


def _triggers(triggers: authored.Triggers) -> compiled.Triggers:
    return compiled.Triggers(
        cooldown_seconds=triggers.cooldown,
        minimum_rows=triggers.minimum_rows,
        minimum_share=float(triggers.minimum_share),
        runs_per_week=triggers.runs_per_week,
        time_zone=triggers.time_zone,
        blackout=tuple(read_blackout(text) for text in sorted(set(triggers.blackout))),
        schedule=tuple(triggers.schedule),
        alarms=tuple(sorted(triggers.alarms)),
        on_change=triggers.on_change,
    )


def _serverless(serverless: authored.Serverless | None) -> compiled.Serverless | None:
    if serverless is None:
        return None
    return compiled.Serverless(
        memory_mb=serverless.memory_mb, max_concurrency=serverless.max_concurrency
    )


def _watch(
    watch: authored_watch.Watch, problem: compiled.Problem, judged_by: Metric
) -> compiled.Watch:
    drift, quality = watch.drift, watch.quality
    clears_below = drift.threshold / 2 if drift.clears_below is None else drift.clears_below
    return compiled.Watch(
        every_seconds=watch.every,
        capture=compiled.Capture(
            percent=watch.capture.percent, redact=dict(sorted(watch.capture.redact.items()))
        ),
        drift=compiled.Drift(
            distance=drift.distance,
            threshold=float(drift.threshold),
            clears_below=float(clears_below),
            windows=drift.windows,
            of=drift.of,
            minimum_rows=drift.minimum_rows,
            cooldown_seconds=drift.cooldown,
            per_week=drift.per_week,
            ignore=tuple(sorted(set(drift.ignore))),
            retrain=drift.retrain,
        ),
        quality=None if quality is None else _quality(quality, problem, judged_by),
        metrics=watch.metrics,
        backend=watch.backend,
    )


def _quality(
    quality: authored_watch.Quality, problem: compiled.Problem, judged_by: Metric
) -> compiled.Quality:
    """Live predictions are judged as versions are, unless the spec names another metric."""
    metric = find_metric(problem, quality.metric or "") or judged_by
    return compiled.Quality(
        metric=metric.name,
        direction=metric.direction,
        floor=float(quality.floor) + 0.0,  # -0.0 would be another digest
        minimum_rows=quality.minimum_rows,
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value) + 0.0  # -0.0 would be another digest


def _text(value: float | str) -> str:
    """Return a hyperparameter as SageMaker takes it: 6, 6.0 and "6" are all `6`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _told_once(exc: ValidationError) -> list[Any]:
    """Return pydantic's errors; a key is not missing when another is taken for its misspelling."""
    errors: list[Any] = list(exc.errors(include_url=False))
    unknown = {error["loc"] for error in errors if error["type"] == "extra_forbidden"}
    meant = {
        (*path[:-1], near)
        for path in unknown
        if (near := nearest(str(path[-1]), tuple(_fields(path[:-1]))))
    }
    return [error for error in errors if error["type"] != "missing" or error["loc"] not in meant]


def _finding(error: Any, document: Document, source: str) -> Finding:
    """Turn one of pydantic's errors into a sentence with a line."""
    path: Path = error["loc"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    kind: str = error["type"]
    if kind == "refused" and context["at"]:
        path = (*path, *context["at"].split("."))
    origin = _origin(document, path)
    if kind == "extra_forbidden":
        return Finding(origin.key_line, _unknown_key(path), source)
    if kind == "missing":
        field = _fields(path[:-1])[str(path[-1])]
        example = f"`{path[-1]}: {(field.examples or ['…'])[0]}`"
        return Finding(origin.line, f"{dotted(path)} is missing; add {example}", source)
    value = error["input"]
    sentence = _SENTENCES.get(kind)
    if kind == "refused" and not isinstance(value, Ambiguous):
        said = context["said"]
    elif value is None:
        said = "is empty; write a value, or remove the line"
    elif sentence is not None:
        said = sentence(origin.text or "", value, context)
    else:
        said = f"cannot be so ({error['msg']}); see docs/spec.md"
    return Finding(origin.line, f"{dotted(path)} {said}", source)


def _origin(document: Document, path: Path) -> Origin:
    """Return where *path* stands, or the nearest thing around it that the file does hold."""
    while path and path not in document.origins:
        path = path[:-1]
        if path in document.origins:
            around = document.origins[path]
            return Origin(around.key_line, around.key_line, None)
    return document.origins.get(path, Origin(1, 1, None))


def _fields(path: Path) -> dict[str, FieldInfo]:
    """Return the keys that may stand under *path*, by the name people write."""
    section: type[BaseModel] = Authored
    for part in path:
        if part not in section.model_fields:  # a column of check.columns
            continue
        annotation = section.model_fields[str(part)].annotation
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        if get_origin(annotation) is UnionType:  # a section that may be left out
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return {}
        section = annotation
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _unknown_key(path: Path) -> str:
    key, section = str(path[-1]), path[:-1]
    below = f" under {dotted(section)}" if section else ""
    if section == ("train", "hyperparameters") and key in DECIDED_ELSEWHERE:
        return f"{dotted(path)} {DECIDED_ELSEWHERE[key]}"
    known = tuple(_fields(section))
    if near := suggestion(key, known):
        return f"unknown key '{key}'{below}{near}"
    homes = [dotted(home) or "the top level" for home in _SECTIONS if key in _fields(home)]
    if homes:
        return f"unknown key '{key}'{below}; it belongs under {homes[0]}: check the indentation"
    return f"unknown key '{key}'{below}; remove it, or use one of {', '.join(known)}"


_SECTIONS: tuple[Path, ...] = (
    (),
    ("data",),
    ("delivery",),
    ("prepare",),
    ("prepare", "split"),
    ("prepare", "window"),
    ("train",),
    ("train", "hyperparameters"),
    ("train", "compute"),
    ("evaluate",),
    ("deploy",),
    ("deploy", "serverless"),
    ("check",),
    ("triggers",),
    ("watch",),
    ("watch", "capture"),
    ("watch", "drift"),
    ("watch", "quality"),
)


def _not_text(text: str, value: Any, _: Mapping[str, Any]) -> str:
    if isinstance(value, list | dict):
        return "takes one value; write it on the key's own line"
    if isinstance(value, bool):
        reads_as = str(value).lower()
        return f'is {text}, which YAML reads as {reads_as}; write "{text}", or remove the line'
    reads_as = value.reads_as if isinstance(value, Ambiguous) else "a number"
    return f'is {text}, which YAML reads as {reads_as}; put it in quotes: "{text}"'


def _not_number(text: str, value: Any, kind: str) -> str:
    if isinstance(value, list | dict):
        return f"takes {kind}; write it on the key's own line"
    return f"is {text or value}; write {kind}, without quotes"


def _not_one_of(text: str, value: Any, context: Mapping[str, Any]) -> str:
    choices = tuple(re.findall(r"'([^']*)'", context["expected"]))
    if isinstance(value, list | dict):
        return f"takes one of {', '.join(choices)}; write it on the key's own line"
    return f"is '{text}'; write {' or '.join(choices)}{suggestion(text, choices)}"


def _bounded(word: str, key: str) -> Callable[[str, Any, Mapping[str, Any]], str]:
    def say(text: str, value: Any, context: Mapping[str, Any]) -> str:
        bound = context[key]
        limit = f"{bound:g}" if isinstance(bound, float) else f"{bound:,}"
        return f"is {text or value}; it must be {word} {limit}"

    return say


_SENTENCES: dict[str, Callable[[str, Any, Mapping[str, Any]], str]] = {
    "string_type": _not_text,
    "int_type": lambda text, value, _: _not_number(text, value, "a whole number"),
    "float_type": lambda text, value, _: _not_number(text, value, "a number"),
    "finite_number": lambda text, value, _: _not_number(text, value, "a finite number"),
    "literal_error": _not_one_of,
    "refused": lambda text, value, _: (
        f"is {text}, which YAML reads as {value.reads_as}; put it in quotes or write it plainly"
    ),
    "greater_than": _bounded("more than", "gt"),
    "greater_than_equal": _bounded("at least", "ge"),
    "less_than_equal": _bounded("at most", "le"),
    "multiple_of": lambda text, value, context: (
        f"is {text or value}; it must be a multiple of {context['multiple_of']:,}"
    ),
    "list_type": lambda *_: "takes a list; write it in brackets, as [first, second]",
    "bool_type": lambda text, value, _: _not_number(text, value, "true or false"),
    "dict_type": lambda *_: "takes keys of its own; write them on the lines below, indented",
    "too_long": lambda _text, _value, context: f"has too many: at most {context['max_length']}",
    "too_short": lambda *_: "is empty; write one at least, or remove the line",
    "string_too_long": lambda _text, _value, context: (
        f"is too long: at most {context['max_length']} characters"
    ),
    "string_too_short": lambda *_: "is empty; write a name, or remove it",
    "model_type": lambda *_: "takes keys of its own; write them on the lines below, indented",
}
