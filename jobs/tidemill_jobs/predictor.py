"""A trained model, ready to answer: features.json and model.onnx, and nothing of the trainer."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tidemill_jobs.errors import JobError
from tidemill_jobs.features import THRESHOLD, Features, ModelInput, class_name, transform_rows

MODEL, FEATURES, DESCRIPTION = "model.onnx", "features.json", "model.json"
NUMERIC, CATEGORIES, SCORES = "numeric", "categories", "scores"  # as onnx_export.py names them
WARM_ROWS = 10
ROWS = 4_096  # per call: bounds the memory of a large request

Scores = NDArray[np.float32]


class Predictor:
    """Answers rows with predictions; may be called from several threads at once."""

    def __init__(self, features: Features, model: bytes) -> None:
        self.features = features
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # rows are answered in parallel, not parts of a row
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
        except Exception as exc:  # the runtime's own classes are private
            raise JobError(f"model.onnx cannot be loaded ({exc}); train the model again.") from exc
        self.row_seconds = math.inf  # of CPU that a row costs; nobody knows before `warm`
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """
        Load the model that training wrote.

        Raises:
            JobError: A file is missing or damaged.
        """
        try:
            features = Features.parse((folder / FEATURES).read_text(encoding="utf-8"))
            return cls(features, (folder / MODEL).read_bytes())
        except (OSError, UnicodeDecodeError) as exc:
            raise JobError(f"the model in {folder} is not complete ({exc}); train again.") from exc

    def warm(self) -> None:
        """Answer a row, so that the model is known to work, and note what that costs."""
        row = dict.fromkeys(self.features.names)
        for _ in range(WARM_ROWS):
            began = time.thread_time()
            self.predict([row])
            self.row_seconds = min(self.row_seconds, time.thread_time() - began)

    def scores(self, rows: ModelInput) -> Scores:
        """
        Return the model's output, of shape (rows, outputs).

        One output is the positive class's probability, or a regression's number; several are the
        classes' probabilities.
        """
        if len(rows) <= ROWS:
            return self._run(rows)
        starts = range(0, len(rows), ROWS)
        return np.concatenate([self._run(rows[start : start + ROWS]) for start in starts])

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """
        Answer rows in the user's own columns.

        Raises:
            ValueRefusedError: Names the row, the column and the value.
        """
        return describe(self.features, self.scores(transform_rows(self.features, rows)))

    def _run(self, rows: ModelInput) -> Scores:
        feed = {NUMERIC: rows.numeric, CATEGORIES: rows.categories}
        feed = {name: value for name, value in feed.items() if name in self._inputs}
        scores: Scores = self._session.run([SCORES], feed)[0]
        return scores


def describe(features: Features, scores: Scores) -> list[dict[str, Any]]:
    """
    Return each row's prediction.

    Binary: the positive class's probability as `score`, and the `label`. Multiclass: the `label`
    and each class's probability. Regression: the number as `score`.
    """
    classes = features.target.classes
    # The shortest text that is the same 32-bit float: 0.1 rather than 0.10000000149011612.
    shortest = [float(str(score)) for score in scores.ravel()]
    width = scores.shape[1]
    if not classes:
        return [{"score": score} for score in shortest]
    if width == 1:
        return [{"score": score, "label": classes[score >= THRESHOLD]} for score in shortest]
    names = [class_name(value) for value in classes]
    return [
        {
            "label": classes[int(best)],
            "probabilities": dict(zip(names, shortest[at : at + width], strict=True)),
        }
        for best, at in zip(scores.argmax(axis=1), range(0, len(shortest), width), strict=True)
    ]
