"""`train` of the built-in XGBoost."""

import logging
import os
import re
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import xgboost as xgb

from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.xgboost import data, parameters
from tidemill_local.containers.xgboost.metrics import ADDED, evaluator

log = logging.getLogger(__name__)

MODEL = "xgboost-model"
_CHECKPOINT = "xgboost-checkpoint"
_KEPT = 5  # checkpoints
_TRAIN, _VALIDATION = "train", "validation"


def main(container: Container) -> None:
    """
    Train on the channels `train` and, if there, `validation`; leave /opt/ml/model/xgboost-model.

    Raises:
        UserError: A hyperparameter, a channel or the data is at fault.
    """
    logging.basicConfig(
        level=logging.INFO, format="[%(asctime)s:%(levelname)s] %(message)s", stream=sys.stdout
    )
    settings = parameters.parse(container.hyperparameters())
    channels = container.channels()
    if _TRAIN not in channels:
        raise UserError("Missing required channel: train")
    hosts = container.resources().get("hosts", [])
    if len(hosts) > 1:
        raise UserError(
            f"The local XGBoost trains on one instance, and this job has {len(hosts)}; "
            "set InstanceCount to 1."
        )
    weights = settings.pop("csv_weights", 0) == 1
    kind = data.kind_of(channels[_TRAIN].get("ContentType"))
    matrices = {}
    for name in (_TRAIN, _VALIDATION):
        if name in channels:
            matrix = data.training_matrix(container.channel(name), kind, weights=weights)
            if matrix is None:
                raise UserError(f"No data in {name} channel path {container.channel(name)}")
            matrices[name] = matrix
    log.info(
        "Train matrix has %d rows and %d columns",
        matrices[_TRAIN].num_row(),
        matrices[_TRAIN].num_col(),
    )
    if _VALIDATION in matrices:
        log.info("Validation matrix has %d rows", matrices[_VALIDATION].num_row())
    booster = _train(settings, matrices, container)
    if booster is not None:
        save(booster, container.model / MODEL)


def save(booster: Any, path: Path) -> None:
    """Write a model, whole or not at all, in XGBoost's own binary form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(booster.save_raw("ubj"))
    draft.replace(path)


def load(path: Path) -> Any:
    """
    Return the model in a file, whatever it is called; JSON or UBJSON.

    Raises:
        xgb.core.XGBoostError: It is neither.
    """
    return xgb.Booster(model_file=bytearray(path.read_bytes()))


class _Rounds(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    """Keeps checkpoints, and ends early when SageMaker says so."""

    def __init__(self, checkpoints: Path | None, first: int) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._first = first
        self.ending = threading.Event()

    def after_iteration(self, model: Any, epoch: int, _evals: Any) -> bool:
        """Save the round; return whether training should end."""
        if self._checkpoints is not None:
            done = self._first + epoch
            save(model, self._checkpoints / f"{_CHECKPOINT}.{done}")
            (self._checkpoints / f"{_CHECKPOINT}.{done - _KEPT}").unlink(missing_ok=True)
        return self.ending.is_set()


def _train(settings: dict[str, Any], matrices: dict[str, Any], container: Container) -> Any:
    rounds = settings.pop("num_round")
    save_when_ended = settings.pop("save_model_on_termination", "false") == "true"
    patience = settings.pop("early_stopping_rounds", None)
    asked = parameters.metrics_of(settings)
    tuned = parameters.tuned_metric(settings)
    settings.pop("_tuning_objective_metric", None)
    added = [name for name in asked if name in ADDED]
    own = [name for name in asked if name not in ADDED]
    if own:
        settings["eval_metric"] = own
    else:
        settings.pop("eval_metric", None)
        if added:
            settings["disable_default_eval_metric"] = True
    if "updater" in settings:
        settings["updater"] = ",".join(settings["updater"])
    settings.setdefault("nthread", os.cpu_count() or 1)

    checkpoints = container.checkpoints()
    earlier, first = _latest(checkpoints)
    if earlier is not None:
        log.info("Checkpoint loaded from %s", earlier)
        log.info("Resuming from iteration %d", first)
    watch = _Rounds(checkpoints, first)
    if save_when_ended:
        signal.signal(signal.SIGTERM, lambda _number, _frame: _end(watch, _frame))
    callbacks = [xgb.callback.EvaluationMonitor(logger=_renumbered(first)), watch]
    metric = tuned or (asked[-1] if asked else None)
    if patience and metric and _VALIDATION in matrices:
        callbacks.append(
            xgb.callback.EarlyStopping(
                rounds=patience,
                data_name=_VALIDATION,
                metric_name=metric,
                maximize=metric.partition("@")[0] in parameters.MAXIMIZED,
                save_best=True,
            )
        )
    try:
        return xgb.train(
            settings,
            matrices[_TRAIN],
            num_boost_round=max(0, rounds - first),
            evals=[(matrix, name) for name, matrix in matrices.items()],
            custom_metric=evaluator(added) if added else None,
            callbacks=callbacks,
            xgb_model=None if earlier is None else load(earlier),
            verbose_eval=False,
        )
    except (xgb.core.XGBoostError, ValueError) as error:
        said = str(error).partition("\nStack trace")[0]
        raise UserError(f"XGB train call failed with exception:\n {said}") from error


def _end(watch: _Rounds, _frame: FrameType | None) -> None:
    log.info("SIGTERM: training ends after this round, and the model is saved")
    watch.ending.set()


def _renumbered(first: int) -> Any:
    r"""Print `[round]\ttrain-rmse:…` lines, counting on where an earlier attempt stopped."""

    def say(line: str) -> None:
        number, bracket, rest = line.partition("]")
        if first and bracket and number[1:].isdigit():
            line = f"[{int(number[1:]) + first}]{rest}"
        sys.stdout.write(line if line.endswith("\n") else f"{line}\n")
        sys.stdout.flush()

    return say


def _latest(directory: Path | None) -> tuple[Path | None, int]:
    """Return the newest checkpoint that can be read, and the rounds that it holds."""
    if directory is None or not directory.is_dir():
        return None, 0
    found = {
        int(match[1]): path
        for path in directory.iterdir()
        if (match := re.fullmatch(rf"{_CHECKPOINT}\.(\d+)", path.name))
    }
    for number in sorted(found, reverse=True):
        try:
            load(found[number])
        except xgb.core.XGBoostError:
            continue  # cut off while it was written
        return found[number], number + 1
    return None, 0
