"""`serve` of the built-in XGBoost."""

import json
import logging
import os
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from tidemill_local.containers import http_server
from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.http_server import Answer, RefusedError, Request
from tidemill_local.containers.scripts import serve as scripts
from tidemill_local.containers.scripts.handlers import Defaults
from tidemill_local.containers.xgboost import data, selected
from tidemill_local.containers.xgboost.train import load

log = logging.getLogger(__name__)

_CSV, _JSON, _JSON_LINES = "text/csv", "application/json", "application/jsonlines"


def main(container: Container) -> None:
    """Serve the model in /opt/ml/model until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="[%(asctime)s:%(levelname)s] %(message)s", stream=sys.stdout
    )
    if container.environment.get("SAGEMAKER_PROGRAM"):
        scripts.main(container, ScriptDefaults())
        return
    parameters = {
        "MaxConcurrentTransforms": os.cpu_count() or 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": container.payload_bytes >> 20,
    }
    http_server.serve(
        container.port,
        container.payload_bytes,
        lambda: Predictor(container).answer,
        json.dumps(parameters).encode(),
    )


class ScriptDefaults(Defaults):
    """What XGBoost's image does for a script that serves a Booster."""

    def input_fn(self, body: str | bytes, content_type: str | None) -> Any:
        """Return a CSV or libsvm body as a DMatrix."""
        raw = body.encode() if isinstance(body, str) else body
        return data.request_matrix(raw, content_type, 0)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Predict, whatever the columns are called."""
        return model.predict(data, validate_features=False)


class Predictor:
    """The loaded model; several files are several models, whose predictions are averaged."""

    def __init__(self, container: Container) -> None:
        environment = container.environment
        self._accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", _CSV)
        self._batch = bool(environment.get("SAGEMAKER_BATCH"))
        output = environment.get("SAGEMAKER_INFERENCE_OUTPUT")
        self._keys = None if output is None else selected.keys_of(output)
        files = sorted(path for path in container.model.iterdir() if _is_model(path))
        if environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true").lower() != "true":
            files = files[:1]
        if not files:
            raise UserError(f"{container.model} holds no model; there should be xgboost-model.")
        self._boosters = [_load(path) for path in files]
        config = json.loads(self._boosters[0].save_config())["learner"]
        self._objective: str = config["objective"]["name"]
        self._classes = int(config["learner_model_param"].get("num_class") or 0)
        self._features: int = self._boosters[0].num_features()
        self._lock = threading.Lock()  # gblinear and dart predict one at a time

    def answer(self, request: Request) -> Answer:
        """
        Return the predictions of a request's rows.

        Raises:
            RefusedError: With the status that SageMaker's image gives.
        """
        if not request.body:
            return Answer(b"", status=HTTPStatus.NO_CONTENT)
        accept = (request.accept or self._accept).partition(";")[0].strip().lower()
        try:
            matrix = data.request_matrix(request.body, request.content_type, self._features)
        except UserError as error:
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
        if self._keys is not None:
            return self._selected(self._predict(matrix), self._keys, accept)
        if accept not in (_CSV, "csv", _JSON, "json", _JSON_LINES):
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Encoding to accept type {accept} failed with exception: {accept} is not an "
                f"accepted Accept type. Please choose one of the following: ['{_CSV}', '{_JSON}'].",
            )
        rows = self._predict(matrix).tolist()
        if accept in (_JSON, "json"):
            return Answer(json.dumps(rows).encode(), _JSON)
        if accept == _JSON_LINES:
            return Answer("".join(json.dumps(row) + "\n" for row in rows).encode(), _JSON_LINES)
        # Commas between rows are no CSV, but they are what SageMaker's image writes.
        text = "\n".join(map(str, rows)) + "\n" if self._batch else ",".join(map(str, rows))
        return Answer(text.encode())

    def _predict(self, matrix: Any) -> NDArray[Any]:
        given = matrix.num_col()
        if given != self._features:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST,
                f"Unable to evaluate payload provided: Feature size of inference data {given} is "
                f"not consistent with feature size of trained model {self._features}.",
            )
        try:
            with self._lock:
                answers = [self._once(booster, matrix) for booster in self._boosters]
        except xgb.core.XGBoostError as error:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, f"Unable to evaluate payload provided: {error}"
            ) from error
        return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)

    @staticmethod
    def _once(booster: Any, matrix: Any) -> NDArray[Any]:
        answer: NDArray[Any] = booster.predict(matrix, validate_features=False)
        return answer

    def _selected(self, predictions: NDArray[Any], keys: list[str], accept: str) -> Answer:
        if accept not in (_CSV, _JSON, _JSON_LINES):
            raise RefusedError(
                HTTPStatus.NOT_ACCEPTABLE,
                f"Accept type {accept} is not supported. Please use supported accept types: "
                f"{[_CSV, _JSON, _JSON_LINES]}.",
            )
        rows = selected.select(predictions, keys, self._objective, self._classes)
        body = selected.encode(rows, accept)
        if accept == _CSV and self._batch:
            body += b"\n"
        return Answer(body, accept)


def _is_model(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _load(path: Path) -> Any:
    log.info("Loading the model from %s", path)
    try:
        booster = load(path)
    except xgb.core.XGBoostError as error:
        said = str(error).partition("\nStack trace")[0]
        raise UserError(
            f"Model at {path} cannot be loaded:\n{said}\nIt must be what Booster.save_model writes "
            "(a pickle of an older XGBoost is not read here)."
        ) from error
    booster.set_param({"nthread": 1})
    return booster
