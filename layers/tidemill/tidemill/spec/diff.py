"""What an apply changes, and what follows from it; in the words of model.yaml."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tidemill.spec.compiled import Check, Spec, Triggers, Watch
from tidemill.spec.durations import format_duration
from tidemill.spec.metrics import find_metric


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose meaning changed; `before` and `after` are as people write them."""

    path: str
    before: str | None  # None: the key had no value
    after: str | None
    effect: str
    breaking: bool = False  # existing versions of the model forbid it

    def __str__(self) -> str:
        return f"{self.path}: {self.before or 'none'} → {self.after or 'none'}"


#: What compiled keys are called in model.yaml, where the two differ.
_WRITTEN_AS = {
    "approve.mode": "approve",
    "delivery.max_wait_seconds": "delivery.max_wait",
    "delivery.quiet_seconds": "delivery.quiet",
    "prepare.window.age_seconds": "prepare.window.age",
    "prepare.test": "prepare.split.test",
    "prepare.validation": "prepare.split.validation",
    "train.compute.max_runtime_seconds": "train.compute.max_runtime",
    "triggers.cooldown_seconds": "triggers.cooldown",
    "watch.drift.cooldown_seconds": "watch.drift.cooldown",
    "watch.every_seconds": "watch.every",
}

_REFUSED = "refused once versions exist: {}; give the spec another model name instead"

#: The longest prefix of a key decides.
_EFFECTS = {
    "project": _REFUSED.format("versions stay with the project that made them"),
    "model": _REFUSED.format("versions stay with the model that they belong to"),
    "data.format": _REFUSED.format("the uploads before the change could not be read any more"),
    "data.target": _REFUSED.format("they predict another column"),
    "train.problem": _REFUSED.format("their answers and scores mean something else"),
    "data.id": "the next run assigns rows to train, validation and test anew",
    "data.timestamp": "the next run retrains with this column as a time",
    "data.exclude": "the next run retrains with other input columns",
    "data.binary": "holds from the next upload on",
    "delivery": "holds from the next delivery on",
    "prepare": "the next run assigns rows to train, validation and test anew: scores before and "
    "after are not of the same rows",
    "prepare.window": "the next run takes its uploads by it",
    "train.compute": "the next run's jobs run on it",
    "train.algorithm": "the next run retrains with {after}",
    "train.hyperparameters": "the next run retrains with {key} {after}",
    "evaluate.metric": "the next run is judged by {after}; registered versions are not judged anew",
    "evaluate.direction": "follows from the metric",
    "evaluate.minimum": "the next run must reach {after}; registered versions are not judged anew",
    "approve": "holds from the next version on",
    "deploy": "changes the endpoint at the next rollout",
    "check": "holds from the next check on; uploads that were checked keep their verdict",
    "triggers": "holds from the next trigger on; those that wait are decided by it",
    "triggers.time_zone": "blackouts and schedules are read in it",
    "triggers.schedule": "the schedules are replaced",
    "watch": "holds from the next look at the endpoint on",
    "watch.every": "windows have another length from the next look on; findings count anew",
    "watch.capture": "holds once the next version is in service: start a run. Until then the "
    "endpoint captures as it does now",
    "watch.capture.redact": "holds once the next version is in service: start a run. Until then "
    "the endpoint captures as it does now, and the watch leaves the column out",
    "watch.quality.direction": "follows from the metric",
    "watch.backend": "the endpoint's traffic is read on {after}'s schedule from now on",
}
#: What stands for {after} when the key's value was taken away.
_UNSET = {"train.hyperparameters": "at the trainer's default", "evaluate.minimum": "no minimum"}
#: Sections that a new model does not list when nothing in them was written.
_DEFAULTS = {"check": Check(), "triggers": Triggers(), "watch": Watch()}
_BREAKING = frozenset(path for path, effect in _EFFECTS.items() if effect.startswith("refused"))


def diff(old: Spec | None, new: Spec) -> list[Change]:
    """
    Return what *new* changes, in the order of model.yaml; equal specs differ in nothing.

    Args:
        old: The applied spec; None when the model is new: then every key counts as changed.
        new: The spec to apply.
    """
    before = {} if old is None else _flat(old)
    after = _flat(new)
    return [
        _change(path, before.get(path), after.get(path), known=old is not None)
        for path in dict.fromkeys((*after, *before))
        if before.get(path) != after.get(path)
    ]


def breaking_changes(old: Spec, new: Spec) -> list[Change]:
    """Return the changes that must be refused when the model has versions."""
    return [change for change in diff(old, new) if change.breaking]


def render(changes: list[Change]) -> list[str]:
    """Return a line per change, in columns, for a terminal."""
    width = max((len(str(change)) for change in changes), default=0)
    return [f"{'!' if c.breaking else '~'} {c!s:<{width}}  {c.effect}" for c in changes]


def _change(path: str, before: str | None, after: str | None, *, known: bool) -> Change:
    if not known:
        return Change(path, None, after, "a new model")
    rule = path
    while rule not in _EFFECTS:
        rule = rule.rpartition(".")[0]
    key = path.rpartition(".")[2]
    effect = _EFFECTS[rule].format(key=key, after=after or _UNSET.get(rule, "none"))
    return Change(path, before, after, effect, breaking=rule in _BREAKING)


def _flat(spec: Spec) -> dict[str, str]:
    leaves: dict[str, str] = {}
    document = asdict(spec)
    del document["version"]  # of the document's shape, which no one writes
    _gather(document, "", leaves)
    metric = find_metric(spec.train.problem, spec.evaluate.metric)
    unsaid = tuple(
        f"{name}." for name, default in _DEFAULTS.items() if getattr(spec, name) == default
    )
    leaves = {path: said for path, said in leaves.items() if not path.startswith(unsaid)}
    if metric is not None and spec.evaluate.minimum == metric.worst:
        del leaves["evaluate.minimum"]  # how "none" is compiled
    return leaves


def _gather(value: Any, path: str, leaves: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _gather(item, f"{path}.{key}" if path else key, leaves)
    elif isinstance(value, tuple):
        if value:
            items = (item["written"] if isinstance(item, Mapping) else item for item in value)
            leaves[path] = f"[{', '.join(items)}]"
    elif value is not None:
        said = str(value).lower() if isinstance(value, bool) else str(value)
        written = format_duration(value) if path.endswith("_seconds") else said
        leaves[_WRITTEN_AS.get(path, path)] = written
