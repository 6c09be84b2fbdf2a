"""Results of earlier executions in the place of new ones: step caching and selective execution."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.pipelines.definition import Definition, Step
from tidemill_local.sagemaker.pipelines.expressions import Scope, evaluate
from tidemill_local.sagemaker.pipelines.record import CACHE_KEY, PROPERTIES, STEPS, TYPE
from tidemill_local.sagemaker.pipelines.step_types import KINDS

_EVERYTHING = ("",)


class SelectionError(ValueError):
    """The selected steps cannot run on their own."""


def cache_key(step: Step, scope: Scope) -> str | None:
    """
    Return what two runs of a step must share for one's result to stand for the other's.

    None for the types whose results are not kept.

    Raises:
        ExpressionError: An argument cannot be evaluated.
    """
    paths = KINDS[step.type].cache_key
    if not paths:
        return None
    if paths == _EVERYTHING:
        chosen: Any = [step.arguments, step.target]
    else:
        chosen = {path: _at(step.arguments, path) for path in paths}
    text = json.dumps([step.type, evaluate(chosen, scope)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _at(arguments: Mapping[str, Any], path: str) -> Any:
    value: Any = arguments
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def find_earlier(
    context: Context, pipeline_arn: str, step: Step, key: str
) -> tuple[str, dict[str, Any]] | None:
    """
    Return the latest run of a step that may stand for a new one, and its execution's ARN.

    That is one of the same pipeline, step and key that succeeded by itself, not longer ago than
    the step's CacheConfig allows.
    """
    if step.cache is None or not step.cache.enabled:
        return None
    since = time.time() - step.cache.expires
    found = [
        (body["PipelineExecutionArn"], entry)
        for body in context.store.rows("PipelineExecution")
        if body["PipelineArn"] == pipeline_arn
        for entry in body[STEPS]
        if entry["StepName"] == step.name
        and entry.get(CACHE_KEY) == key
        and entry["StepStatus"] == "Succeeded"
        and entry["StartTime"] >= since
        and not {"CacheHitResult", "SelectiveExecutionResult"} & entry.keys()
    ]
    return max(found, key=lambda hit: hit[1]["StartTime"], default=None)


def reused_steps(
    definition: Definition, selected: Collection[str], source: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """
    Return the entries of the steps that the selected ones need of an earlier execution.

    Args:
        definition: The pipeline, as it is now.
        selected: The names of the steps that are to run.
        source: The record of the earlier execution, if one is given.

    Raises:
        SelectionError: A step does not exist, one between two others is left out, or what is
            needed did not succeed then.
    """
    steps = {step.name: step for step in definition.steps}
    unknown = sorted(set(selected) - set(steps))
    if unknown:
        raise SelectionError(f"Selected steps do not exist in the pipeline: {', '.join(unknown)}.")
    between = (_below(steps, selected) & _above(steps, selected)) - set(selected)
    if between:
        raise SelectionError(
            "All steps on the paths between selected steps must be selected; missing: "
            f"{', '.join(sorted(between))}."
        )
    needed = sorted({need for name in selected for need in steps[name].needs} - set(selected))
    if needed and source is None:
        raise SelectionError(
            "Invalid SourcePipelineExecutionArn: null. The selected steps "
            f"[{', '.join(sorted(selected))}] have dependencies on [{', '.join(needed)}]"
        )
    return [_reused(steps[name], source) for name in needed if source is not None]


def _reused(step: Step, source: Mapping[str, Any]) -> dict[str, Any]:
    arn = source["PipelineExecutionArn"]
    for entry in source[STEPS]:
        fits = entry["StepName"] == step.name and entry[TYPE] == step.type
        if fits and entry["StepStatus"] == "Succeeded" and PROPERTIES in entry:
            kept = {k: v for k, v in entry.items() if k not in {CACHE_KEY, "CacheHitResult"}}
            return kept | {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": arn}}
    raise SelectionError(f"Step [{step.name}] has not succeeded in {arn}; select it as well.")


def _below(steps: Mapping[str, Step], names: Collection[str]) -> set[str]:
    """Return every step that needs one of *names*, directly or not."""
    below: set[str] = set()
    grown = True
    while grown:
        new = {name for name, step in steps.items() if step.needs & (below | set(names))} - below
        below |= new
        grown = bool(new)
    return below


def _above(steps: Mapping[str, Step], names: Collection[str]) -> set[str]:
    """Return every step that one of *names* needs, directly or not."""
    above: set[str] = set()
    queue = list(names)
    while queue:
        new = steps[queue.pop()].needs - above
        above |= new
        queue.extend(new)
    return above
