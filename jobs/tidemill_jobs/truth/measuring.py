"""
How good predictions were, once their truth is known: Model Monitor's model quality files.

`statistics.json` and `constraints.json` hold what Model Monitor's hold and no more; what is ours,
the interval of the metric that the spec names, stands in `Measured`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import metrics, quality
from tidemill_jobs.features import Class
from tidemill_jobs.metrics import Outcome, UndefinedError
from tidemill_jobs.spec import Problem
from tidemill_jobs.truth.classes import Classes
from tidemill_jobs.truth.columns import PROBABILITIES

Direction = Literal["maximize", "minimize"]
Verdict = Literal["reached", "below", "too_few_rows", "undefined", "no_floor"]

SECTION: Final[Mapping[Problem, str]] = {
    "binary": "binary_classification",
    "multiclass": "multiclass_classification",
    "regression": "regression",
}
#: Of our interval: resamples with replacement, of at most so many rows, whose spread is then that
#: of all rows by the square root of their numbers.
RESAMPLES: Final = 200
RESAMPLED_ROWS: Final = 20_000
CONFIDENCE: Final = 0.95
LEAST_ROWS: Final = 20  # below that an interval says nothing
_OURS: Final = ("logloss", "residuals")


@dataclass(frozen=True, slots=True)
class Floor:
    """What the metric must reach (None: nothing), and from how many rows on that is judged."""

    metric: str
    direction: Direction
    value: float | None = None
    minimum_rows: int = 1

    def judge(self, value: float) -> Verdict:
        """Say on which side of the floor *value* is; equal is reached."""
        if self.value is None:
            return "no_floor"
        missed = value < self.value if self.direction == "maximize" else value > self.value
        return "below" if missed else "reached"

    def said(self, verdict: Verdict) -> str:
        """Return how a value with that verdict stands against the floor."""
        if self.value is None:
            return "no floor is set"
        side = ("below", "floor") if self.direction == "maximize" else ("above", "ceiling")
        return f"{'' if verdict == 'below' else 'not '}{side[0]} the {side[1]} of {self.value:.4g}"

    @property
    def operator(self) -> str:
        """Model Monitor's comparison of a violation."""
        word = "Less" if self.direction == "maximize" else "Greater"
        return f"{word}ThanThreshold"


@dataclass(frozen=True, slots=True)
class Measured:
    """
    The quality of some predictions.

    Args:
        rows: How many had a label and an answer that can be compared.
        left_out: Labels and answers that cannot be: no class of the model's, no number.
        statistics: Model Monitor's statistics.json.
        value: The spec's metric; None where it is undefined (one class only), or without rows.
        low: Where its 95 % interval begins; None where there is none.
        high: Where it ends.
        verdict: How it stands against the floor; `reached` where there is no floor.
        sentence: The same for people.
    """

    rows: int
    left_out: Mapping[str, int]
    statistics: dict[str, Any]
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    sentence: str


def measure_window(
    known: pl.DataFrame,
    problem: Problem,
    classes: Sequence[Class],
    floor: Floor,
    *,
    evaluated_at: str,
) -> Measured:
    """
    Measure predictions with labels (`Joined.known`).

    Args:
        known: The rows.
        problem: The model's.
        classes: The model's, in the order of its outputs; none of a regression.
        floor: What is judged.
        evaluated_at: Goes into the statistics, ISO 8601.

    Raises:
        JobError: The problem has no such metric.
    """
    outcome, left_out = outcome_of(known, problem, classes)
    rows = len(outcome.truth)
    statistics: dict[str, Any] = {
        "version": 0.0,
        "dataset": {"item_count": rows, "evaluation_time": evaluated_at},
    }
    if floor.metric not in metrics.MEASURES[problem]:
        metrics.measure(outcome, floor.metric)  # says which there are
    value, low, high, why = None, None, None, ""
    if rows:
        section = f"{SECTION[problem]}_metrics"
        found = quality.report(outcome)[section]
        statistics[section] = {name: v for name, v in found.items() if name not in _OURS}
        value, why = _value(outcome, floor.metric)
        low, high = interval(outcome, floor.metric)
    verdict: Verdict = "undefined" if value is None else floor.judge(value)
    if rows < max(floor.minimum_rows, 1):
        verdict = "too_few_rows"
    counted = f"{rows:,} row{'' if rows == 1 else 's'}"
    if verdict == "too_few_rows":
        sentence = (
            f"{counted} with truth; {floor.minimum_rows:,} are needed to judge {floor.metric}"
        )
    elif value is None:
        sentence = f"{counted} with truth, but {why.partition(';')[0]}"
    else:
        spread = f" (95 %: {low:.4g} to {high:.4g})" if low is not None and high is not None else ""
        sentence = f"{floor.metric} is {value:.4g}{spread} on {counted}, {floor.said(verdict)}"
    return Measured(
        rows=rows,
        left_out=left_out,
        statistics=statistics,
        value=value,
        low=low,
        high=high,
        verdict=verdict,
        sentence=sentence,
    )


def constraints(problem: Problem, floor: Floor) -> dict[str, Any]:
    """Return Model Monitor's constraints.json of the floor; without one it constrains nothing."""
    limit = {"threshold": floor.value, "comparison_operator": floor.operator}
    held = {} if floor.value is None else {floor.metric: limit}
    return {"version": 0.0, f"{SECTION[problem]}_constraints": held}


def violations(measured: Measured, floor: Floor) -> dict[str, Any]:
    """Return Model Monitor's constraint_violations.json."""
    found = []
    if measured.verdict == "below":
        found.append(
            {
                "constraint_check_type": floor.operator,
                "description": f"Metric {floor.metric} with {measured.value} was "
                f"{floor.operator} {floor.value}",
                "metric_name": floor.metric,
            }
        )
    return {"violations": found}


def outcome_of(
    known: pl.DataFrame, problem: Problem, classes: Sequence[Class]
) -> tuple[Outcome, dict[str, int]]:
    """Return what was true and what was predicted, and how many rows cannot be compared."""
    if problem == "regression":
        return _numbers(known)
    named = Classes(classes)
    truth = named.numbers(known["label"], grow=problem == "multiclass")
    if problem == "binary":
        scores = _positive(known, named)
        usable = truth.is_not_null() & scores.is_not_null()
        values = scores.filter(usable).to_numpy()
    else:
        answers = named.numbers(known["prediction"], grow=False).cast(pl.Float64)
        usable = truth.is_not_null() & answers.is_not_null()
        if PROBABILITIES in known.columns:
            told = known[PROBABILITIES].list.len().fill_null(0) == len(classes)
            usable &= told & ~known[PROBABILITIES].list.eval(pl.element().is_null()).list.any()
        values = answers.filter(usable).to_numpy()
        if PROBABILITIES in known.columns and usable.any():
            shares = np.vstack(known[PROBABILITIES].filter(usable).to_list())
            values = np.pad(shares, ((0, 0), (0, named.count - len(classes))))  # new: none given
    outcome = Outcome(problem, truth.filter(usable).cast(pl.Float64).to_numpy(), values)
    return outcome, _left_out(truth, usable)


def interval(outcome: Outcome, metric: str) -> tuple[float | None, float | None]:
    """
    Return the 95 % percentile bootstrap interval of a metric, the same for the same rows.

    None for fewer than 20 rows, and where half of the resamples leave the metric undefined.

    Source:
        Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13; resampling
        fewer rows than there are: Bickel, Goetze and van Zwet (1997). The cap on rows is ours.
    """
    rows = len(outcome.truth)
    middle, _ = _value(outcome, metric)
    if rows < LEAST_ROWS or middle is None:
        return None, None
    random = np.random.default_rng(0)
    size = min(rows, RESAMPLED_ROWS)
    resampled = (
        _value(outcome.take(random.integers(0, rows, size)), metric)[0] for _ in range(RESAMPLES)
    )
    drawn = [value for value in resampled if value is not None]
    if len(drawn) < RESAMPLES / 2:
        return None, None
    ends: NDArray[np.float64] = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    shrink = math.sqrt(size / rows)
    low, high = (middle + (end - middle) * shrink for end in ends.tolist())
    return low, high


def _value(outcome: Outcome, metric: str) -> tuple[float | None, str]:
    """Return the metric, or None and why it is undefined."""
    try:
        return metrics.MEASURES[outcome.problem][metric].value(outcome), ""
    except UndefinedError as exc:
        return None, str(exc)


def _numbers(known: pl.DataFrame) -> tuple[Outcome, dict[str, int]]:
    truth, answers = (_finite(known[name]) for name in ("label", "prediction"))
    usable = truth.is_not_null() & answers.is_not_null()
    outcome = Outcome(
        "regression", truth.filter(usable).to_numpy(), answers.filter(usable).to_numpy()
    )
    return outcome, _left_out(truth, usable)


def _left_out(truth: pl.Series, usable: pl.Series) -> dict[str, int]:
    unknown = truth.null_count()
    wrong = {
        "unknown_label": unknown,
        "unreadable_prediction": len(truth) - unknown - int(usable.sum()),
    }
    return {reason: count for reason, count in wrong.items() if count}


def _positive(known: pl.DataFrame, classes: Classes) -> pl.Series:
    """Return the positive class's probability: as captured, or what the answer says of it."""
    given = known["probability"].cast(pl.Float64)
    given = given.set(~given.is_between(0.0, 1.0), None)
    answered = _finite(known["prediction"])
    answered = answered.set(~answered.is_between(0.0, 1.0), None)  # CSV answers are the score
    labelled = classes.numbers(known["prediction"], grow=False).cast(pl.Float64)
    return known.select(pl.coalesce(given, labelled, answered)).to_series()


def _finite(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)
