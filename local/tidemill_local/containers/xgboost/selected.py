"""SAGEMAKER_INFERENCE_OUTPUT: the answer holds what was asked for, by the model's objective."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF = 0.5
_CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABLE = (*_CLASSES, "probability", "probabilities")
_OFFERED = {
    "reg:squarederror": ("predicted_score",),
    "reg:logistic": ("predicted_score",),
    "reg:gamma": ("predicted_score",),
    "reg:tweedie": ("predicted_score",),
    "binary:logistic": _PROBABLE,
    "binary:logitraw": _CLASSES,
    "binary:hinge": _CLASSES,
    "multi:softmax": _CLASSES,
    "multi:softprob": _PROBABLE,
}


def keys_of(setting: str) -> list[str]:
    """Return the names in SAGEMAKER_INFERENCE_OUTPUT, in order."""
    return setting.replace(" ", "").lower().split(",")


def select(
    predictions: NDArray[Any], keys: Sequence[str], objective: str, classes: int
) -> list[dict[str, Any]]:
    """
    Return one object per row with the selected keys; what the objective does not give is NaN.

    Raises:
        ValueError: The objective gives nothing to select.
    """
    if objective not in _OFFERED:
        raise ValueError(
            f"Objective `{objective}` unsupported for selectable inference predictions."
        )
    offered = _OFFERED[objective]
    return [
        {
            key: _VALUES[key](objective, row, classes) if key in offered else float("nan")
            for key in keys
        }
        for row in predictions
    ]


def encode(selected: list[dict[str, Any]], accept: str) -> bytes:
    """
    Return selected predictions as text/csv, application/json or application/jsonlines.

    Raises:
        ValueError: It is another type.
    """
    if accept == "application/json":
        return json.dumps({"predictions": selected}).encode()
    if accept == "application/jsonlines":
        return "".join(json.dumps(row) + "\n" for row in selected).encode()
    if accept == "text/csv":
        return "\n".join(",".join(map(_cell, row.values())) for row in selected).encode()
    raise ValueError(f"Cannot encode selected predictions into accept type '{accept}'.")


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _label(objective: str, row: Any, _classes: int) -> Any:
    if objective == "multi:softprob":
        return int(np.argmax(row))
    if objective == "binary:logistic":
        return int(row > _HALF)
    if objective == "binary:logitraw":
        return int(row > 0)
    return row.item()


def _labels(objective: str, _row: Any, classes: int) -> list[int]:
    return [0, 1] if objective.startswith("binary:") else list(range(classes))


def _score(objective: str, row: Any, _classes: int) -> float:
    value: float = row.max().item() if objective == "multi:softprob" else row.item()
    return value


def _scores(objective: str, row: Any, _classes: int) -> list[float]:
    if objective == "multi:softprob":
        values: list[float] = row.tolist()
        return values
    return [1.0 - row.item(), row.item()]


_VALUES: dict[str, Callable[[str, Any, int], Any]] = {
    "predicted_label": _label,
    "labels": _labels,
    "probability": _score,
    "raw_score": _score,
    "probabilities": _scores,
    "raw_scores": _scores,
    "predicted_score": lambda _objective, row, _classes: row.item(),
}
