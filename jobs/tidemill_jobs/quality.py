"""
The evaluation in the shape of Model Monitor's model quality statistics.

Each metric is `{"value", "standard_deviation"}`; the deviation is over five samples of 80 % of
the rows, and "NaN" below 200 rows, as Model Monitor writes it. A metric that is undefined on the
rows is "NaN" too.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs import metrics
from tidemill_jobs.metrics import Metric, Outcome, UndefinedError

SAMPLES: Final = 5
SAMPLE_SHARE: Final = 0.8
SAMPLED_FROM: Final = 200  # rows
CURVE_POINTS: Final = 101
BETAS: Final = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}

Values = Mapping[str, float]


def report(outcome: Outcome) -> dict[str, Any]:
    """
    Return `{"<problem>_metrics": …}`.

    Args:
        outcome: At least one row; class numbers are those of the confusion matrix.
    """
    write = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    name = {
        "binary": "binary_classification_metrics",
        "multiclass": "multiclass_classification_metrics",
        "regression": "regression_metrics",
    }[outcome.problem]
    return {name: write[outcome.problem](outcome)}


def roc_curve(outcome: Outcome) -> tuple[list[float], list[float]]:
    """
    Return false and true positive rates, from (0, 0) to (1, 1), at most 101 points.

    Scores that are equal make one step, so that ties do not depend on the order of rows.
    """
    false, true = _curve_counts(outcome)
    return _thinned(false / max(false[-1], 1), true / max(true[-1], 1))


def precision_recall_curve(outcome: Outcome) -> tuple[list[float], list[float]]:
    """Return precisions and recalls by falling threshold, at most 101 points."""
    false, true = _curve_counts(outcome)
    labelled = (false + true)[1:]
    return _thinned(true[1:] / labelled, true[1:] / max(true[-1], 1))


def _curve_counts(outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(-outcome.scores, kind="stable")
    positive = outcome.classes[order] == 1
    ends = np.append(np.flatnonzero(np.diff(outcome.scores[order])), len(order) - 1)
    true = np.cumsum(positive)[ends]
    false = ends + 1 - true
    return np.append(0, false), np.append(0, true)


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[list[float], list[float]]:
    points = np.unique(np.linspace(0, len(x) - 1, CURVE_POINTS).round().astype(np.int64))
    return x[points].tolist(), y[points].tolist()


def _binary(outcome: Outcome) -> dict[str, Any]:
    false, true = roc_curve(outcome)
    precisions, recalls = precision_recall_curve(outcome)
    constant = Outcome("binary", outcome.truth, np.full(len(outcome.truth), _majority(outcome)))
    return {
        "confusion_matrix": confusion_matrix(outcome, 2),
        **_with_deviations(outcome, _binary_values),
        **_constant(_binary_rates(constant)),
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": false,
            "true_positive_rates": true,
        },
        "precision_recall_curve": {"precisions": precisions, "recalls": recalls},
    }


def _multiclass(outcome: Outcome) -> dict[str, Any]:
    majority = np.full(len(outcome.truth), _majority(outcome))
    numbered = int(max(outcome.truth.max(), outcome.labels.max())) + 1
    classes = outcome.scores.shape[1] if outcome.scores.ndim > 1 else numbered
    return {
        "confusion_matrix": confusion_matrix(outcome, classes),
        **_with_deviations(outcome, _multiclass_values),
        **_constant(_multiclass_rates(Outcome("multiclass", outcome.truth, majority))),
    }


def _regression(outcome: Outcome) -> dict[str, Any]:
    errors = outcome.scores - outcome.truth
    at = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    return {
        **_with_deviations(outcome, _regression_values),
        "residuals": {  # ours: predicted less true, by quantile
            "mean": float(errors.mean()),
            "std_dev": float(errors.std()),
            "quantiles": dict(zip(map(str, at), np.quantile(errors, at).tolist(), strict=True)),
        },
    }


def confusion_matrix(outcome: Outcome, classes: int) -> dict[str, dict[str, int]]:
    """Return rows by true class, then by predicted class."""
    pairs = np.bincount(outcome.classes * classes + outcome.labels, minlength=classes**2)
    table = pairs.reshape(classes, classes)
    names = [str(number) for number in range(classes)]
    return {
        name: dict(zip(names, map(int, row), strict=True))
        for name, row in zip(names, table, strict=True)
    }


def _binary_values(outcome: Outcome) -> Values:
    return {
        **_binary_rates(outcome),
        "auc": _defined(metrics.auc, outcome),
        "logloss": metrics.log_loss(outcome),  # ours
    }


def _binary_rates(outcome: Outcome) -> Values:
    labels, truth = outcome.labels, outcome.classes
    precision, recall = metrics.precision(outcome), metrics.recall(outcome)
    negatives = max(int((truth == 0).sum()), 1)
    false_positive = float(((labels == 1) & (truth == 0)).sum()) / negatives
    return {
        "recall": recall,
        "precision": precision,
        "accuracy": metrics.accuracy(outcome),
        "true_positive_rate": recall,
        "true_negative_rate": 1.0 - false_positive,
        "false_positive_rate": false_positive,
        "false_negative_rate": 1.0 - recall,
        **{name: metrics.f_beta(precision, recall, beta) for name, beta in BETAS.items()},
    }


def _multiclass_values(outcome: Outcome) -> Values:
    return {**_multiclass_rates(outcome), "logloss": _defined(metrics.log_loss, outcome)}


def _multiclass_rates(outcome: Outcome) -> Values:
    return {
        "accuracy": metrics.accuracy(outcome),
        "weighted_recall": metrics.weighted(outcome, lambda _, r: r),
        "weighted_precision": metrics.weighted(outcome, lambda p, _: p),
        **{
            f"weighted_{name}": metrics.weighted(outcome, partial(metrics.f_beta, beta=beta))
            for name, beta in BETAS.items()
        },
    }


def _regression_values(outcome: Outcome) -> Values:
    known = metrics.MEASURES["regression"]
    return {name: _defined(measure.value, outcome) for name, measure in known.items()}


def _defined(metric: Metric, outcome: Outcome) -> float:
    try:
        return metric(outcome)
    except UndefinedError:
        return math.nan


def _with_deviations(
    outcome: Outcome, values: Callable[[Outcome], Values]
) -> dict[str, dict[str, float | str]]:
    whole, samples = values(outcome), []
    if len(outcome.truth) >= SAMPLED_FROM:
        random = np.random.default_rng(0)  # the same report for the same rows
        size = int(len(outcome.truth) * SAMPLE_SHARE)
        samples = [
            values(outcome.take(random.permutation(len(outcome.truth))[:size]))
            for _ in range(SAMPLES)
        ]
    return {
        name: {
            "value": _written(value),
            # Undefined in one sample, as where it lacks the rare class: no deviation to tell.
            "standard_deviation": _written(float(np.std([sample[name] for sample in samples])))
            if samples
            else "NaN",
        }
        for name, value in whole.items()
    }


def _written(value: float) -> float | str:
    return value if math.isfinite(value) else "NaN"


def _constant(values: Values) -> dict[str, Any]:
    names = ("accuracy", "recall", "precision", *BETAS)
    return {
        f"{name}_best_constant_classifier": {"value": value, "standard_deviation": "NaN"}
        for name, value in values.items()
        if name.removeprefix("weighted_") in names
    }


def _majority(outcome: Outcome) -> float:
    shares = metrics.class_shares(outcome.classes)
    return float(max(shares, key=lambda number: shares[number]))
