"""The text of a first model.yaml: what the sample makes certain, and the rest as comments."""

import json
import re

import yaml

from tidemill.spec.metrics import METRICS
from tidemill_cli.suggestions import Remark, Suggestion

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_WIDTH = 28
_MINIMUM = {"binary": "0.6", "multiclass": "0.6", "regression": "10"}


def render(found: Suggestion, *, project: str, model: str, form: str, sample: str) -> str:
    """
    Return a model.yaml with comments; it compiles when the names may be so.

    Args:
        found: What the sample suggests.
        project: The team's space.
        model: The model's name.
        form: The uploads' format.
        sample: The sample file's name, for the comment.
    """
    metric = METRICS[found.problem][0]
    better = "higher" if metric.direction == "maximize" else "lower"
    lines = [
        "# yaml-language-server: $schema=model.schema.json",
        f"# Begun by `tidemill init` from {_comment(sample)}. Every key: docs/spec.md",
        f"project: {quoted(project)}",
        f"model: {quoted(model)}",
        "",
        "data:",
        _line(f"  format: {form}", "how every upload of this model is written"),
        _line(f"  target: {quoted(found.target)}", "what is predicted"),
        *_id(found),
        *_timestamp(found),
        *_exclude(found),
        "",
        "delivery:",
        _line("  quiet: 2m", "uploads belong together until none came for so long"),
        _line("  max_wait: 1h", "and never for longer than this"),
        _line("  # marker: _SUCCESS", "or: the upload of this name ends a delivery at once"),
        "",
        "# check:",
        _line("#   on_violation: refuse", "an upload that breaks the contract is set aside;"),
        _line("#   bad_rows: 0.01", "with `drop`, up to so many of its rows are left out instead"),
        "",
        "# triggers:",
        _line("#   minimum_rows: 1000", "new data waits until it has so many rows together"),
        _line("#   cooldown: 6h", "so long after a run's end no other starts by itself"),
        _line('#   schedule: ["rate(7 days)"]', "also start runs by the clock"),
        "",
        "prepare:",
        "  split:",
        _line("    validation: 0.15", "rows that say when to stop training"),
        _line("    test: 0.15", "rows that a version is judged by; the rest trains"),
        "",
        "train:",
        _line(f"  problem: {found.problem}", _comment(found.because)),
        "",
        "evaluate:",
        _line(f"  metric: {metric.name}", f"the {better} the better"),
        _line(
            f"  # minimum: {_MINIMUM[found.problem]}",
            "what a version must reach; it always has to beat a guess that knows nothing",
        ),
        "",
        _line("approve: manual", "a person decides; auto: what passes goes into service by itself"),
        "",
        "deploy:",
        _line("  instance: ml.m5.large", "the endpoint's machine: it costs by the hour"),
        _line("  count: 1", "two at least for a canary"),
        *(f"# Note: {_comment(warning)}" for warning in found.warnings),
    ]
    return "\n".join(lines) + "\n"


def _id(found: Suggestion) -> list[str]:
    others = _also(found.ids)
    if found.id is not None:
        said = f"tells rows apart; never an input, keeps a row in its split{others}"
        return [_line(f"  id: {quoted(found.id)}", said)]
    if found.ids:
        said = f"different in every row: is it the row's name? never an input then{others}"
        return [_line(f"  # id: {quoted(found.ids[0])}", said)]
    return [_line("  # id: …", "a column that tells rows apart, if there is one")]


def _timestamp(found: Suggestion) -> list[str]:
    if found.timestamp is None and found.timestamps:
        said = f"when the row happened, if it is known before the outcome{_also(found.timestamps)}"
        return [_line("  # timestamp: …", said)]
    if found.timestamp is None:
        return [_line("  # timestamp: …", "when the row happened, if a column says so")]
    said = f"when the row happened; its hour, weekday and month are inputs{_also(found.timestamps)}"
    return [_line(f"  timestamp: {quoted(found.timestamp)}", said)]


def _exclude(found: Suggestion) -> list[str]:
    """Suggest what is no input; all are comments, since only a person knows."""
    remarks = [
        *found.leaks,
        *found.texts,
        *(Remark(name, "the same in every row") for name in found.constants),
    ]
    if not remarks:
        return [_line("  # exclude: […]", "columns that are no inputs: known only afterwards")]
    once = {remark.column: remark for remark in reversed(remarks)}
    return [
        "  # Known only after the outcome, or different in every row? Then it is no input: remove",
        "  # the marks before exclude, and before each such column.",
        "  # exclude:",
        *(_line(f"  #   - {quoted(item.column)}", _comment(item.why))
          for item in remarks if once.get(item.column) is item),
    ]  # fmt: skip


def _also(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(_comment, names[:3]))
    return f" (so could be: {shown})" if names else ""


def _line(text: str, comment: str) -> str:
    return f"{text:<{_WIDTH}}  # {comment}"


def quoted(text: str) -> str:
    """Return *text* as YAML writes it so that it is read back as this text."""
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _comment(text: str) -> str:
    """Return *text* on one line: a comment ends with it, whatever a column is called."""
    return _BREAKS.sub(" ", text)
