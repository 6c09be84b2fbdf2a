"""
How good predictions are, and how good a predictor would be that knows nothing of the row.

Pure numpy. A model has to beat the trivial value too: 95 % accuracy is nothing where 95 % of the
rows are alike.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.errors import JobError
from tidemill_jobs.features import THRESHOLD
from tidemill_jobs.spec import Problem

SMALLEST: Final = 1e-15  # a probability of 0 would make the log loss infinite


class UndefinedError(JobError):
    """A metric has no value on these rows; the text says why."""


Truth = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What was true and what was predicted.

    Args:
        truth: Class numbers from 0, or a regression's numbers.
        scores: Binary: the positive class's probability per row. Multiclass: a row per row, a
            probability per class; or, where no more is known, the predicted class numbers.
            Regression: the predicted numbers.
    """

    problem: Problem
    truth: NDArray[np.float64]
    scores: Floats

    @property
    def classes(self) -> Truth:
        """The true classes."""
        return self.truth.astype(np.int64)

    @property
    def labels(self) -> Truth:
        """The predicted classes: the most probable one."""
        if self.problem == "binary":
            return (self.scores >= THRESHOLD).astype(np.int64)
        if self.scores.ndim == 1:
            return self.scores.astype(np.int64)
        labels: Truth = self.scores.argmax(axis=1)
        return labels

    def take(self, rows: NDArray[np.int64]) -> "Outcome":
        """Return some of the rows."""
        return Outcome(self.problem, self.truth[rows], self.scores[rows])


Metric = Callable[[Outcome], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric and the value that the trivial predictor reaches on the same rows."""

    value: Metric
    trivial: Metric


def measure(outcome: Outcome, name: str) -> tuple[float, float]:
    """
    Return a metric's value and the trivial predictor's.

    Raises:
        JobError: The problem has no such metric, or it is undefined on these rows.
    """
    known = MEASURES[outcome.problem]
    if name not in known:
        raise JobError(
            f"there is no metric {name} for a {outcome.problem} problem; set evaluate.metric to "
            f"one of {', '.join(known)}."
        )
    return known[name].value(outcome), known[name].trivial(outcome)


def auc(outcome: Outcome) -> float:
    """
    Return the area under the ROC curve: 0.5 for guessing, 1 at best.

    The share of (positive, negative) pairs in which the positive scores higher; a tie counts half.

    Raises:
        UndefinedError: The rows hold one class only.

    Source:
        Hanley and McNeil, *The meaning and use of the area under a ROC curve* (1982), by ranks
        (Mann-Whitney U).
    """
    positive = outcome.classes == 1
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        raise UndefinedError(
            "the rows hold one class only, so the auc is undefined; deliver more rows."
        )
    _, rank_of, counts = np.unique(outcome.scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[rank_of]  # ties share the mean of their ranks
    return float((ranks[positive].sum() - n * (n + 1) / 2.0) / (n * m))


def log_loss(outcome: Outcome) -> float:
    """
    Return the mean negative log-likelihood in nats.

    Raises:
        UndefinedError: No more is known of the predictions than their class.

    Source:
        Good, *Rational Decisions* (1952).
    """
    scores = outcome.scores
    if outcome.problem == "multiclass" and scores.ndim == 1:
        raise UndefinedError("the answers have no probabilities, so the logloss is undefined.")
    if outcome.problem == "binary":
        scores = np.column_stack((1.0 - scores, scores))
    chosen = scores[np.arange(len(scores)), outcome.classes]
    return float(-np.log(np.clip(chosen, SMALLEST, 1.0)).mean())


def accuracy(outcome: Outcome) -> float:
    """Return the share of rows whose most probable class is the true one."""
    return float((outcome.labels == outcome.classes).mean())


def f_beta(precision_value: float, recall_value: float, beta: float = 1.0) -> float:
    """
    Return the weighted harmonic mean of precision and recall; 0 where both are 0.

    Source:
        van Rijsbergen, *Information Retrieval* (2nd ed., 1979), chapter 7.
    """
    weight = beta**2
    below = weight * precision_value + recall_value
    return (1 + weight) * precision_value * recall_value / below if below else 0.0


def precision(outcome: Outcome) -> float:
    """Return the share of rows labelled positive that are; 0 where none is labelled so."""
    return _class_rates(outcome, 1)[0]


def recall(outcome: Outcome) -> float:
    """Return the share of positive rows that are labelled so; 0 where there is none."""
    return _class_rates(outcome, 1)[1]


def weighted(outcome: Outcome, rate: Callable[[float, float], float]) -> float:
    """Return the mean of *rate*(precision, recall) over the classes, weighted by their rows."""
    shares = class_shares(outcome.classes)
    return float(sum(s * rate(*_class_rates(outcome, c)) for c, s in shares.items()))


def rmse(outcome: Outcome) -> float:
    """Return the root of the mean squared error, in the target's unit."""
    return math.sqrt(mse(outcome))


def mse(outcome: Outcome) -> float:
    """Return the mean squared error, in the target's unit squared."""
    return float(((outcome.scores - outcome.truth) ** 2).mean())


def mae(outcome: Outcome) -> float:
    """Return the mean absolute error, in the target's unit."""
    return float(np.abs(outcome.scores - outcome.truth).mean())


def r2(outcome: Outcome) -> float:
    """
    Return the coefficient of determination: 1 at best, 0 for always answering the mean.

    Raises:
        UndefinedError: All rows have the same target.

    Source:
        Draper and Smith, *Applied Regression Analysis* (3rd ed., 1998), section 1.3.
    """
    spread = float(outcome.truth.var())
    if spread == 0.0:
        raise UndefinedError(
            "all rows have the same target, so r2 is undefined; deliver more rows."
        )
    return 1.0 - mse(outcome) / spread


def class_shares(classes: Truth) -> dict[int, float]:
    """Return the share of rows of each class that occurs."""
    numbers, counts = np.unique(classes, return_counts=True)
    return {int(c): float(n) / len(classes) for c, n in zip(numbers, counts, strict=True)}


def _class_rates(outcome: Outcome, number: int) -> tuple[float, float]:
    labelled, true = outcome.labels == number, outcome.classes == number
    hits = int((labelled & true).sum())
    return (
        hits / int(labelled.sum()) if labelled.any() else 0.0,
        hits / int(true.sum()) if true.any() else 0.0,
    )


def _majority(outcome: Outcome) -> float:
    return max(class_shares(outcome.classes).values())


def _positives(outcome: Outcome) -> float:
    return class_shares(outcome.classes).get(1, 0.0)


def _entropy(outcome: Outcome) -> float:
    shares = np.array(list(class_shares(outcome.classes).values()))
    return float(-(shares * np.log(shares)).sum())


def _always_positive_f1(outcome: Outcome) -> float:
    return f_beta(_positives(outcome), 1.0)


def _majority_f1(outcome: Outcome) -> float:
    share = _majority(outcome)
    return share * f_beta(share, 1.0)


def _by_mean(metric: Metric) -> Metric:
    return lambda o: metric(Outcome(o.problem, o.truth, np.full(len(o.truth), o.truth.mean())))


def _by_median(metric: Metric) -> Metric:
    return lambda o: metric(Outcome(o.problem, o.truth, np.full(len(o.truth), np.median(o.truth))))


#: The trivial predictor of each metric is the best one that ignores the row: a constant answer;
#: for precision and recall, where a constant scores 1 or 0 for nothing, guessing positive as
#: often as positives occur, which gives their share for both.
MEASURES: Final[Mapping[Problem, Mapping[str, Measure]]] = {
    "binary": {
        "auc": Measure(auc, lambda _: 0.5),
        "logloss": Measure(log_loss, _entropy),
        "accuracy": Measure(accuracy, _majority),
        "f1": Measure(lambda o: f_beta(precision(o), recall(o)), _always_positive_f1),
        "precision": Measure(precision, _positives),
        "recall": Measure(recall, _positives),
    },
    "multiclass": {
        "logloss": Measure(log_loss, _entropy),
        "accuracy": Measure(accuracy, _majority),
        "weighted_f1": Measure(lambda o: weighted(o, f_beta), _majority_f1),
        "weighted_precision": Measure(
            lambda o: weighted(o, lambda p, _: p), lambda o: _majority(o) ** 2
        ),
        "weighted_recall": Measure(lambda o: weighted(o, lambda _, r: r), _majority),
    },
    "regression": {
        "rmse": Measure(rmse, _by_mean(rmse)),
        "mse": Measure(mse, _by_mean(mse)),
        "mae": Measure(mae, _by_median(mae)),
        "r2": Measure(r2, lambda _: 0.0),
    },
}
