"""
Train: XGBoost on prepared rows, exported to ONNX and compared with the original before it counts.

The same input, parameters and image give the same bytes of model.onnx.
"""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from tidemill_jobs.container import Container, read_document
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import OTHER, Features, ModelInput, class_name
from tidemill_jobs.onnx_export import export
from tidemill_jobs.parameters import Parameters
from tidemill_jobs.predictor import DESCRIPTION, FEATURES, MODEL, Predictor, Scores
from tidemill_jobs.prepared import read_rows

log = logging.getLogger(__name__)

TOLERANCE = 1e-5
COMPARED_ROWS = 2_000
UNSEEN = "\x1fnever seen"


@dataclass(frozen=True, slots=True)
class Rows:
    """Prepared rows, as the booster and as the exported graph read them."""

    model_input: ModelInput
    matrix: NDArray[np.float32]  # numeric inputs, then a code per text column; NaN where missing
    target: NDArray[np.float64]


def main(container: Container, arguments: Sequence[str]) -> None:
    """Run the training job that the container describes."""
    if arguments:
        log.warning("train takes no arguments; ignored: %s", " ".join(arguments))
    parameters = Parameters.parse(container.hyperparameters())
    features = Features.parse(read_document(container.channel("features"), FEATURES))
    if features.problem != parameters.problem:
        raise JobError(
            f"the rows were prepared for a {features.problem} problem and the job trains a "
            f"{parameters.problem} one; apply the spec again and start a new run."
        )
    training = load(container.channel("train"), features)
    validation = load(container.channel("validation"), features)
    booster, score = fit(training, validation, features, parameters, container.cpus)
    model = export_checked(booster, validation, features)
    description = describe(booster, features, parameters, training, score)
    container.model.mkdir(parents=True, exist_ok=True)
    (container.model / MODEL).write_bytes(model)
    (container.model / FEATURES).write_text(features.to_json(), encoding="utf-8")
    (container.model / DESCRIPTION).write_text(
        json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    log.info(
        "validation_%s=%.6f rounds=%d model_bytes=%d",
        parameters.score,
        score,
        booster.num_boosted_rounds(),
        len(model),
    )


def load(folder: Path, features: Features) -> Rows:
    """
    Read a channel's prepared rows.

    Raises:
        JobError: There is none, or its columns are not those of *features*.
    """
    model_input, target = read_rows(folder, features)
    codes = np.empty_like(model_input.categories, np.float32)
    for at, column in enumerate(features.categorical):
        codes[:, at] = encode(model_input.categories[:, at].tolist(), column.categories)
    return Rows(model_input, np.hstack((model_input.numeric, codes)), target)


def encode(texts: Sequence[str], categories: Sequence[str]) -> list[float]:
    """Return each category's code: its place, the place after the last for others, NaN for none."""
    codes = {value: float(place) for place, value in enumerate(categories)}
    codes[""] = math.nan
    other = float(len(categories))
    return [codes.get(text, other) for text in texts]


def fit(
    training: Rows, validation: Rows, features: Features, parameters: Parameters, threads: int
) -> tuple[xgb.Booster, float]:
    """
    Return the booster, cut at its best round, and its validation score there.

    Raises:
        JobError: XGBoost refuses the parameters or the rows.
    """
    settings: dict[str, Any] = {
        **parameters.booster,
        "nthread": threads,
        "eval_metric": parameters.score,
        "verbosity": 1,
    }
    if parameters.problem == "multiclass":
        settings["num_class"] = len(features.target.classes)
    try:
        booster = xgb.train(
            settings,
            _matrix(training, features),
            parameters.rounds,
            evals=[(_matrix(validation, features), "validation")],
            callbacks=[xgb.callback.EarlyStopping(rounds=parameters.stop_after)],
            verbose_eval=False,
        )
    except xgb.core.XGBoostError as exc:
        # "[time] file:line: Check failed: condition: reason", then a stack trace
        reason = str(exc).strip().splitlines()[0].rpartition("Check failed: ")[2]
        raise JobError(f"XGBoost cannot train on this ({reason}); check the parameters.") from exc
    best: xgb.Booster = booster[: booster.best_iteration + 1]
    return best, float(booster.best_score)


def export_checked(booster: xgb.Booster, validation: Rows, features: Features) -> bytes:
    """
    Return model.onnx, after its answers were compared with the booster's.

    Compared are validation rows and altered ones: with every number missing, every category
    missing, and every category unseen.

    Raises:
        JobError: An answer y differs by more than 1e-5 x max(1, |y|); in a regression, whose
            rounding grows with its sums, also more than 1e-5 of the answers' standard deviation.
    """
    categories = [column.categories for column in features.categorical]
    model = export(booster.save_raw("json"), features.problem, len(features.numeric), categories)
    rows, matrix = _altered(validation, features)
    expected = _predict(booster, matrix, features)
    answered = Predictor(features, model).scores(rows)
    bound = np.maximum(1.0, np.abs(expected))
    if not features.target.classes:
        bound = np.maximum(bound, expected.std())
    difference = np.abs(answered.astype(np.float64) - expected)
    if not (difference <= TOLERANCE * bound).all():
        raise JobError(
            f"the exported model differs from the trained one by up to {difference.max():.3g}; "
            "report this as a fault, with the spec's hyperparameters."
        )
    log.info("exported_max_difference=%.3g compared_rows=%d", difference.max(), len(rows))
    return model


def describe(
    booster: xgb.Booster,
    features: Features,
    parameters: Parameters,
    training: Rows,
    score: float,
) -> dict[str, Any]:
    """Return model.json: what was trained, how, and what it rests on."""
    positive = features.target.positive if parameters.problem == "binary" else None
    return {
        "version": 1,
        "problem": parameters.problem,
        "target": features.target.name,
        "classes": [class_name(value) for value in features.target.classes],
        "positive": None if positive is None else class_name(positive),
        "best_iteration": booster.num_boosted_rounds() - 1,
        "validation": {"metric": parameters.score, "value": score},
        "training_rows": len(training.target),
        "hyperparameters": {
            **parameters.booster,
            "num_round": parameters.rounds,
            "early_stopping_rounds": parameters.stop_after,
        },
        "importance": importance(booster, features),
        "notes": list(features.notes),
        "versions": {
            "xgboost": xgb.__version__,
            "onnx": onnx.__version__,
            "numpy": np.__version__,
            "polars": pl.__version__,
        },
    }


def importance(booster: xgb.Booster, features: Features) -> dict[str, float]:
    """Return each column's share of the total gain of all splits, greatest first."""
    owners = [c.name for c in features.columns if c.kind != "category" for _ in c.inputs]
    owners += [column.name for column in features.categorical]
    gains = dict.fromkeys(features.names, 0.0)
    for key, gain in booster.get_score(importance_type="total_gain").items():
        gains[owners[int(key.removeprefix("f"))]] += gain
    total = sum(gains.values()) or 1.0
    return dict(sorted(((n, g / total) for n, g in gains.items()), key=lambda e: (-e[1], e[0])))


def _matrix(rows: Rows, features: Features) -> xgb.DMatrix:
    return xgb.DMatrix(
        rows.matrix,
        rows.target,
        feature_types=["q"] * len(features.numeric) + ["c"] * len(features.categorical),
        enable_categorical=True,
    )


def _predict(booster: xgb.Booster, matrix: NDArray[np.float32], features: Features) -> Scores:
    types = ["q"] * len(features.numeric) + ["c"] * len(features.categorical)
    rows = xgb.DMatrix(matrix, feature_types=types, enable_categorical=True)
    scores: Scores = booster.predict(rows)
    return scores.reshape(len(matrix), -1)


def _altered(validation: Rows, features: Features) -> tuple[ModelInput, NDArray[np.float32]]:
    rows, matrix = validation.model_input[:COMPARED_ROWS], validation.matrix[:COMPARED_ROWS]
    some = slice(0, len(rows) // 3 + 1)
    few, codes = rows[some], matrix[some]
    numbers = len(features.numeric)
    unseen = [float(len(column.categories)) for column in features.categorical]
    inputs, matrices = [rows], [matrix]
    for numeric, text, code in (
        (np.full_like(few.numeric, np.nan), few.categories, codes[:, numbers:]),
        (few.numeric, np.full_like(few.categories, ""), np.full_like(codes[:, numbers:], np.nan)),
        (few.numeric, np.full_like(few.categories, UNSEEN), np.tile(unseen, (len(few), 1))),
        (few.numeric, np.full_like(few.categories, OTHER), np.tile(unseen, (len(few), 1))),
    ):
        inputs.append(ModelInput(numeric, text))
        matrices.append(np.hstack((numeric, code)).astype(np.float32))
    return (
        ModelInput(
            np.vstack([part.numeric for part in inputs]),
            np.vstack([part.categories for part in inputs]),
        ),
        np.vstack(matrices),
    )
