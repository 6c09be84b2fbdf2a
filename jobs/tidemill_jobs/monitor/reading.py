"""
Model Monitor's baseline files read back: statistics.json is a profile, constraints.json settings.

What statistics.json does not say is not made up: numbers are compared by the sketch, all else by
the categories that are listed, each of which is what its text says.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from tidemill_jobs.drift.findings import DriftSettings
from tidemill_jobs.errors import JobError
from tidemill_jobs.meanings import SHARE
from tidemill_jobs.profile import Column, Kll, Lengths, Numbers, Profile, Times
from tidemill_jobs.profile.cells import sort_cells
from tidemill_jobs.profile.counted import Few, Frequent
from tidemill_jobs.profile.distinct import Distinct, K

_ALL: Final = 2.0**64
_NEVER: Final = 1.0  # no distance and no share is larger


class BaselineError(JobError):
    """A baseline's file is not what Model Monitor writes."""


def profile_of(text: str, constraints: str | None = None) -> Profile:
    """
    Return the profile that statistics.json tells of.

    Args:
        text: statistics.json.
        constraints: constraints.json: where it asks for another completeness than the baseline had,
            a column is given as many missing cells.

    Raises:
        BaselineError: One of them is something else; the sentence names the feature.
    """
    asked = _completeness(constraints) if constraints is not None else {}
    document = _document(text, "statistics.json")
    name = ""
    try:
        rows, columns = int(document["dataset"]["item_count"]), {}
        for feature in document["features"]:
            name = feature["name"]
            columns[name] = _as_complete(_column(feature), asked.get(name))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        where = f" at the feature {name!r}" if name else ""
        raise BaselineError(
            f"statistics.json of the baseline cannot be read{where} ({exc!r}); make it again."
        ) from exc
    return Profile(rows, columns)


def settings_of(text: str, usual: DriftSettings) -> DriftSettings:
    """
    Return how constraints.json wants traffic judged; what it does not say is as in *usual*.

    Raises:
        BaselineError: It is no constraints.json.
    """
    monitoring = _document(text, "constraints.json").get("monitoring_config") or {}
    try:
        distances = monitoring.get("distribution_constraints") or {}
        settings = replace(
            usual,
            threshold=float(distances.get("comparison_threshold", usual.threshold)),
            type_share=1 - float(monitoring.get("datatype_check_threshold", 1 - usual.type_share)),
            new_categories=1
            - float(monitoring.get("domain_content_threshold", 1 - usual.new_categories)),
        )
        if method := distances.get("comparison_method"):
            settings = replace(settings, distance="simple" if method == "Simple" else "robust")
        if method := distances.get("categorical_drift_method"):
            chi = method == "ChiSquared"
            settings = replace(settings, categorical="ChiSquared" if chi else "LInfinity")
        if distances.get("perform_comparison") == "Disabled":
            settings = replace(settings, threshold=_NEVER, categorical="LInfinity")
    except (AttributeError, TypeError, ValueError) as exc:
        raise BaselineError(
            f"monitoring_config of constraints.json cannot be read ({exc!r}); correct it."
        ) from exc
    return settings


def enabled(text: str, switch: str) -> bool:
    """Whether constraints.json has *switch* on: `evaluate_constraints` or `emit_metrics`."""
    monitoring = _document(text, "constraints.json").get("monitoring_config") or {}
    return bool(monitoring.get(switch, "Enabled") != "Disabled")


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise BaselineError(f"{name} of the baseline is no JSON ({exc}); make it again.") from exc
    if not isinstance(document, dict):
        raise BaselineError(f"{name} of the baseline is no JSON object; make it again.")
    return document


def _completeness(text: str) -> dict[str, float]:
    features = _document(text, "constraints.json").get("features") or []
    try:
        return {
            feature["name"]: float(feature["completeness"])
            for feature in features
            if feature.get("completeness") is not None
        }
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise BaselineError(
            f"the features of constraints.json cannot be read ({exc!r}); correct them."
        ) from exc


def _as_complete(column: Column, asked: float | None) -> Column:
    """Return the column with as many missing cells as its constraint allows."""
    if asked is None or not 0 < asked <= 1 or not column.present:
        return column
    blank = round(column.present / asked) - column.present
    return replace(column, rows=column.present + blank, blank=blank)


def _column(feature: Mapping[str, Any]) -> Column:
    numbers, texts = feature.get("numerical_statistics"), feature.get("string_statistics")
    common = (numbers or texts or {}).get("common") or {}
    present, missing = int(common.get("num_present", 0)), int(common.get("num_missing", 0))
    column = Column(rows=present + missing, blank=missing)
    if not present:
        return column
    if numbers is not None:
        return _numeric(column, numbers, whole=feature.get("inferred_type") == "Integral")
    return _categorical(column, texts or {})


def _numeric(column: Column, statistics: Mapping[str, Any], *, whole: bool) -> Column:
    present = column.rows - column.blank
    kll = (statistics.get("distribution") or {}).get("kll") or {}
    sketch = _sketch(kll.get("sketch") or {}, statistics)
    counted = sketch.count or present
    mean, total = float(statistics.get("mean", 0.0)), float(statistics.get("sum", 0.0))
    numbers = Numbers(
        count=present,
        wholes=present if whole else 0,
        whole_sum=round(total) if whole else 0,
        other_sum=0.0 if whole else total,
        mean=mean,
        deviations=float(statistics.get("std_dev", 0.0)) ** 2 * counted,
        low=float(statistics.get("min", math.nan)),
        high=float(statistics.get("max", math.nan)),
        sketch=sketch,
    )
    return replace(
        column,
        declared="number",
        numbers=numbers,
        number_counts=Few(present, None),
        hashed=_distinct(present),
    )


def _sketch(sketch: Mapping[str, Any], statistics: Mapping[str, Any]) -> Kll:
    """Return the quantile sketch; level i of Deequ's weighs 2^i, as in ours."""
    levels = tuple(np.asarray(level, np.float64) for level in sketch.get("data") or [])
    if not all(np.isfinite(level).all() for level in levels):
        raise ValueError("a sketch with numbers that are not finite")
    count = sum(len(level) << place for place, level in enumerate(levels))
    if not count:
        return Kll()
    kept = np.concatenate(levels)
    return Kll(
        k=int((sketch.get("parameters") or {}).get("k", Kll().k)),
        count=count,
        low=float(statistics.get("min", kept.min())),
        high=float(statistics.get("max", kept.max())),
        levels=levels,
    )


def _categorical(column: Column, statistics: Mapping[str, Any]) -> Column:
    present = column.rows - column.blank
    listing = ((statistics.get("distribution") or {}).get("categorical") or {}).get("buckets") or []
    counts = {str(bucket["value"]): int(bucket["count"]) for bucket in listing}
    listed = sum(counts.values())
    distinct = int(statistics.get("distinct_count", len(counts)))
    if set(counts) <= {"true", "false"} and listed == present:
        return replace(column, trues=counts.get("true", 0), falses=counts.get("false", 0))
    complete = listed >= present and distinct <= len(counts)
    error = 0 if complete else min(counts.values(), default=present)
    column = _sorted(column, counts, present - listed)
    flags = ("true", "false")
    texts = {text: rows for text, rows in counts.items() if text not in flags}
    return replace(
        column,
        trues=counts.get("true", 0),
        falses=counts.get("false", 0),
        text_counts=Frequent(present - listed + sum(texts.values()), texts, error),
        hashed=None if complete else _distinct(max(distinct, len(counts))),
    )


def _sorted(column: Column, counts: Mapping[str, int], unlisted: int) -> Column:
    """Return the column with how many of its values are what: categories may look like numbers."""
    kinds = dict.fromkeys(("integral", "fractional", "boolean", "time"), 0) | {"text": unlisted}
    cells = sort_cells(pl.Series(list(counts), dtype=pl.String))
    if cells.texts.frequent.rows == len(counts):
        kinds["text"] += sum(counts.values())
    else:
        for text, rows in counts.items():
            alone = Column(declared="category").add(sort_cells(pl.Series([text])))
            for kind, found in alone.kinds.items():
                kinds[kind] += found * rows
    numbers = kinds["integral"] + kinds["fractional"]
    lengths = [len(text) for text in counts] or [0]
    return replace(
        column,
        declared="time" if kinds["time"] >= SHARE * sum(kinds.values()) else "category",
        numbers=Numbers(count=numbers, wholes=kinds["integral"]) if numbers else None,
        times=Times(kinds["time"]) if kinds["time"] else None,
        lengths=Lengths(
            kinds["text"], min(lengths), max(lengths), round(_mean(counts) * kinds["text"])
        ),
    )


def _mean(counts: Mapping[str, int]) -> float:
    listed = sum(counts.values())
    return sum(len(text) * rows for text, rows in counts.items()) / listed if listed else 0.0


def _distinct(count: int) -> Distinct:
    """Return a sketch that tells of so many different values, and of none in particular."""
    kept = min(count, K)
    last = min((kept - 1) / count if count >= K else 0.5, 0.5) * _ALL
    return Distinct(np.linspace(1.0, max(last, 2.0), kept).astype(np.uint64))


def answers_of(names: Sequence[str], first: str) -> str | None:
    """
    Return the feature that stands for the answers, if a baseline has one.

    Args:
        names: The baseline's features.
        first: What it is called when no input is called so; else it has underscores more.
    """
    candidates = [first]
    while candidates[-1] in names:
        candidates.append(f"{candidates[-1]}_")
    return next((one for one, after in pairwise(candidates) if after == candidates[-1]), None)
