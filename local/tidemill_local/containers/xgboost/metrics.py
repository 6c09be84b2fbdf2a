"""The metrics that SageMaker's image adds to XGBoost's own; numpy instead of scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF = 0.5
Vector = NDArray[np.float64]
Metric = Callable[[Vector, Vector], float]


def _classes(predicted: NDArray[Any]) -> Vector:
    """Return the class of each row: of probabilities per class, of one probability, or as given."""
    if predicted.ndim > 1:
        return np.asarray(predicted.argmax(axis=1), dtype=float)
    if predicted.size and predicted.max() <= 1 and predicted.min() >= 0:
        return (predicted > _HALF).astype(float)
    return predicted.astype(float)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def _counts(truth: Vector, guess: Vector, label: float) -> tuple[int, int, int]:
    """Return true positives, false positives and false negatives of one class."""
    hit, said, real = (guess == label) & (truth == label), guess == label, truth == label
    return int(hit.sum()), int((said & ~real).sum()), int((real & ~said).sum())


def _precision(counts: tuple[int, int, int]) -> float:
    return _ratio(counts[0], counts[0] + counts[1])


def _recall(counts: tuple[int, int, int]) -> float:
    return _ratio(counts[0], counts[0] + counts[2])


def _f1(counts: tuple[int, int, int]) -> float:
    return _ratio(2 * counts[0], 2 * counts[0] + counts[1] + counts[2])


def _binary(of: Callable[[tuple[int, int, int]], float]) -> Metric:
    return lambda truth, guess: of(_counts(truth, guess, 1.0))


def _macro(of: Callable[[tuple[int, int, int]], float]) -> Metric:
    def mean(truth: Vector, guess: Vector) -> float:
        labels = np.union1d(truth, guess)
        return float(np.mean([of(_counts(truth, guess, label)) for label in labels]))

    return mean


def _accuracy(truth: Vector, guess: Vector) -> float:
    return float((truth == guess).mean())


def _balanced_accuracy(truth: Vector, guess: Vector) -> float:
    return float(np.mean([_recall(_counts(truth, guess, label)) for label in np.unique(truth)]))


def _mse(truth: Vector, guess: Vector) -> float:
    return float(((truth - guess) ** 2).mean())


def _r2(truth: Vector, guess: Vector) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - _ratio(float(((truth - guess) ** 2).sum()), spread)


_OF_CLASSES: dict[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _macro(_f1),
    "f1_binary": _binary(_f1),
    "f1_macro": _macro(_f1),
    "precision": _binary(_precision),
    "precision_macro": _macro(_precision),
    "precision_micro": _accuracy,  # one class per row: every miss is one of each kind
    "recall": _binary(_recall),
    "recall_macro": _macro(_recall),
    "recall_micro": _accuracy,
}
_OF_VALUES: dict[str, Metric] = {"mse": _mse, "r2": _r2}
ADDED = frozenset(_OF_CLASSES) | frozenset(_OF_VALUES)


def evaluator(names: list[str]) -> Callable[[NDArray[Any], Any], list[tuple[str, float]]]:
    """Return a function of predictions and DMatrix, for `xgboost.train(custom_metric=…)`."""

    def evaluate(predicted: NDArray[Any], matrix: Any) -> list[tuple[str, float]]:
        truth = np.asarray(matrix.get_label(), dtype=float)
        classes = _classes(predicted) if any(name in _OF_CLASSES for name in names) else truth
        values = predicted.astype(float)
        return [
            (name, _OF_CLASSES[name](truth, classes))
            if name in _OF_CLASSES
            else (name, _OF_VALUES[name](truth, values))
            for name in names
        ]

    return evaluate
