"""
Evaluate: judge a model on rows it has never seen, and write what its endpoint must answer.

Reads the exported model, not the trainer's: what is judged is what will serve.
"""

import argparse
import json
import logging
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import quality
from tidemill_jobs.baseline import Baseline
from tidemill_jobs.container import Container, find, read_document
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Features, class_name
from tidemill_jobs.metrics import Outcome, measure
from tidemill_jobs.predictor import Predictor, Scores
from tidemill_jobs.prepared import read_rows

log = logging.getLogger(__name__)

NO_MINIMUM = 1e30  # the spec's value for "no minimum"


@dataclass(frozen=True, slots=True)
class Gate:
    """What a version must reach; `minimum` is in the metric's unit."""

    metric: str
    direction: Literal["maximize", "minimize"]
    minimum: float

    def judge(self, value: float, trivial: float) -> tuple[bool, str]:
        """Return whether the version passes, and the sentence that says why."""
        sign = 1 if self.direction == "maximize" else -1
        reached, beats = sign * value >= sign * self.minimum, sign * value > sign * trivial
        if abs(self.minimum) >= NO_MINIMUM:
            limit = "no minimum is set"
        else:
            side = "minimum" if self.direction == "maximize" else "maximum"
            limit = f"the {side} of {self.minimum:.4g} is {'reached' if reached else 'missed'}"
        known = "better" if beats else "no better"
        return reached and beats, (
            f"{self.metric} is {value:.4g}; {limit}, and it is {known} than the trivial "
            f"predictor's {trivial:.4g}."
        )


def main(container: Container, arguments: Sequence[str]) -> None:
    """Run the processing job that the container describes."""
    gate = _parse(arguments)
    with tempfile.TemporaryDirectory(dir=container.work) as work:
        predictor = Predictor.load(_unpack(container.processing_input("model"), Path(work)))
    rows, truth = read_rows(container.processing_input("test"), predictor.features)
    scores = predictor.scores(rows)
    evaluation = evaluate(predictor.features, scores, truth, gate)
    tried = [
        json.loads(line)
        for line in read_document(container.processing_input("smoke"), "smoke.jsonl").splitlines()
    ]
    smoke = {"rows": tried, "predictions": predictor.predict(tried) if tried else []}
    output = container.processing_output("evaluation")
    for name, document in (("evaluation.json", evaluation), ("smoke.json", smoke)):
        (output / name).write_text(
            json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8"
        )
    _write_baseline(container, predictor.features, scores)
    sentence = evaluation["gate"]["reason"]
    log.info("gate_passed=%s %s", evaluation["gate"]["passed"], sentence)
    container.say(f"Evaluated on {evaluation['rows']['test']:,} rows: {sentence}")


def evaluate(
    features: Features, scores: Scores, truth: NDArray[np.float64], gate: Gate
) -> dict[str, Any]:
    """
    Return evaluation.json.

    Args:
        features: What the model reads and answers.
        scores: The model's output on the test rows.
        truth: Their targets: class numbers, or a regression's numbers.
        gate: What the model must reach.

    Raises:
        JobError: The metric is undefined on these rows.
    """
    of_classes = features.problem == "multiclass"
    wide = scores.astype(np.float64)
    outcome = Outcome(features.problem, truth, wide if of_classes else wide[:, 0])
    value, trivial = measure(outcome, gate.metric)
    passed, reason = gate.judge(value, trivial)
    return {
        "version": 1,
        "problem": outcome.problem,
        "classes": list(features.target.classes),
        "metric": {
            "name": gate.metric,
            "value": value,
            "trivial": trivial,
            "minimum": gate.minimum,
            "direction": gate.direction,
        },
        "gate": {"passed": passed, "reason": reason},
        "rows": {"test": len(outcome.truth)},
        **quality.report(outcome),
    }


def _write_baseline(container: Container, features: Features, scores: Scores) -> None:
    """Add the answers to the baseline that Prepare made of the training rows."""
    folder = container.processing_input("baseline")
    if not folder.exists():  # the pipeline was defined before there were baselines
        log.warning("no baseline: apply the model's spec again, and its next version has one")
        return
    baseline = Baseline.read(folder).with_answers(_answers(features, scores))
    output = container.processing_output("baseline")
    for name, data in baseline.files().items():
        (output / name).write_bytes(data)


def _answers(features: Features, scores: Scores) -> pl.Series:
    """Return what an endpoint answers in CSV: the score, or in a multiclass problem the label."""
    if features.problem == "multiclass":
        names = [class_name(value) for value in features.target.classes]
        return pl.Series([names[best] for best in scores.argmax(axis=1)], dtype=pl.String)
    # The shortest decimal that is the same 32-bit float, as answers have it.
    return pl.Series(scores[:, 0], dtype=pl.Float32).cast(pl.String).cast(pl.Float64)


def _unpack(folder: Path, work: Path) -> Path:
    path = find(folder, "model.tar.gz")[0]
    try:
        with tarfile.open(path) as archive:
            archive.extractall(work, filter="data")  # nothing outside, no links, no devices
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise JobError(f"model.tar.gz cannot be unpacked ({exc}); train the model again.") from exc
    return work


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise JobError(f"evaluate was called wrongly: {message}; apply the spec again.")


def _parse(arguments: Sequence[str]) -> Gate:
    parser = _Parser(prog="evaluate", allow_abbrev=False)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--direction", required=True, choices=("maximize", "minimize"))
    parser.add_argument("--minimum", required=True, type=float)
    found = parser.parse_args(list(arguments))
    return Gate(found.metric, found.direction, found.minimum)
