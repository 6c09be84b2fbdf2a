"""The hyperparameters of SageMaker's XGBoost: names, kinds and ranges, in its words."""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill_local.containers.contract import UserError

MAXIMIZED = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg",
    "precision", "precision_macro", "precision_micro", "r2", "recall", "recall_macro",
    "recall_micro",
)  # fmt: skip
MINIMIZED = (
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik",
    "interval-regression-accuracy", "logloss", "mae", "mape", "merror", "mlogloss", "mphe", "mse",
    "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
_THRESHOLDED = ("error", "ndcg", "map")
_OBJECTIVES = (
    "aft_loss_distribution", "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson",
    "multi:softmax", "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear",
    "reg:squarederror", "reg:logistic", "reg:gamma", "reg:pseudohubererror",
    "reg:squaredlogerror", "reg:absoluteerror", "reg:quantileerror", "reg:tweedie",
    "survival:aft", "survival:cox",
)  # fmt: skip
_UPDATERS = (
    "grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker", "grow_skmaker",
    "grow_quantile_histmaker", "sync", "refresh", "prune", "shotgun", "coord_descent",
)  # fmt: skip

Range = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers between two bounds; None is no bound."""

    low: float | None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a number lies between the bounds."""
        if math.isnan(value):
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return not (
            self.high is not None and (value > self.high or (self.high_open and value == self.high))
        )

    def __str__(self) -> str:
        """Return it as mathematicians write it."""
        low = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{self.low}"
        high = "+inf)" if self.high is None else f"{self.high}{')' if self.high_open else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class _Parameter:
    parse: Callable[[str], Any]
    range: Any  # has `in`, and reads well


def _integer(low: float | None = 0, high: float | None = None) -> _Parameter:
    return _Parameter(int, Interval(low, high))


def _number(interval: Interval) -> _Parameter:
    return _Parameter(float, interval)


def _one_of(*values: str) -> _Parameter:
    return _Parameter(str, list(values))


_FRACTION = Interval(0, 1)
_SHARE = Interval(0, 1, low_open=True)
_AT_LEAST_0 = Interval(0)
_KNOWN = {
    "num_round": _integer(1),
    "csv_weights": _integer(0, 1),
    "early_stopping_rounds": _integer(1),
    "booster": _one_of("gbtree", "gblinear", "dart"),
    "verbosity": _integer(0, 3),
    "nthread": _integer(1),
    "eta": _number(_FRACTION),
    "gamma": _number(_AT_LEAST_0),
    "max_depth": _integer(0),
    "min_child_weight": _number(_AT_LEAST_0),
    "max_delta_step": _number(_AT_LEAST_0),
    "subsample": _number(_SHARE),
    "colsample_bytree": _number(_SHARE),
    "colsample_bylevel": _number(_SHARE),
    "colsample_bynode": _number(_SHARE),
    "lambda": _number(_AT_LEAST_0),
    "alpha": _number(_AT_LEAST_0),
    "tree_method": _one_of("auto", "exact", "approx", "hist", "gpu_hist"),
    "sketch_eps": _number(Interval(0, 1, low_open=True, high_open=True)),
    "scale_pos_weight": _number(Interval(0, low_open=True)),
    "updater": _Parameter(lambda text: text.split(","), _UPDATERS),
    "dsplit": _one_of("row", "col"),
    "refresh_leaf": _integer(0, 1),
    "process_type": _one_of("default", "update"),
    "grow_policy": _one_of("depthwise", "lossguide"),
    "max_leaves": _integer(0),
    "max_bin": _integer(0),
    "predictor": _one_of("auto", "cpu_predictor", "gpu_predictor"),
    "monotone_constraints": _Parameter(ast.literal_eval, (-1, 0, 1)),
    "interaction_constraints": _Parameter(ast.literal_eval, Interval(0)),
    "sample_type": _one_of("uniform", "weighted"),
    "normalize_type": _one_of("tree", "forest"),
    "rate_drop": _number(_FRACTION),
    "one_drop": _integer(0, 1),
    "skip_drop": _number(_FRACTION),
    "lambda_bias": _number(_FRACTION),
    "tweedie_variance_power": _number(Interval(1, 2, low_open=True, high_open=True)),
    "huber_slope": _number(Interval(0, low_open=True)),
    "quantile_alpha": _number(_FRACTION),
    "objective": _one_of(*_OBJECTIVES),
    "num_class": _integer(2),
    "base_score": _number(_AT_LEAST_0),
    "_kfold": _integer(2),
    "_num_cv_round": _integer(1),
    "_tuning_objective_metric": _Parameter(str, None),
    "eval_metric": _Parameter(lambda text: text.split(","), (*MAXIMIZED, *MINIMIZED)),
    "seed": _integer(-(2**31), 2**31 - 1),
    "num_parallel_tree": _integer(1),
    "save_model_on_termination": _one_of("true", "false"),
    "aft_loss_distribution": _one_of("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _number(Interval(0, low_open=True)),
    "deterministic_histogram": _one_of("true", "false"),
    "sampling_method": _one_of("uniform", "gradient_based"),
    "prob_buffer_row": _number(Interval(1, low_open=True)),
    "use_dask_gpu_training": _one_of("true", "false"),
}
#: Of earlier XGBoosts; the release here refuses or ignores them.
_GONE = frozenset({"sketch_eps", "dsplit", "predictor", "deterministic_histogram",
                   "prob_buffer_row"})  # fmt: skip
_LISTS = frozenset({"updater", "eval_metric", "monotone_constraints"})


def parse(given: Mapping[str, str]) -> dict[str, Any]:
    """
    Return hyperparameters as XGBoost takes them.

    Args:
        given: The job's, all strings. `sagemaker_…` names are the toolkit's and are left out.

    Raises:
        UserError: One is missing, unknown, no number, out of range, or cannot go with another;
            in the sentences of SageMaker's image.
    """
    if "num_round" not in given:
        raise UserError("Missing required hyperparameter: num_round")
    parsed = {
        name: _value(name, text)
        for name, text in given.items()
        if not name.startswith("sagemaker_")
    }
    _check_together(parsed)
    if parsed.pop("use_dask_gpu_training", "false") == "true":
        raise UserError("use_dask_gpu_training needs GPUs, and there are none here; leave it out.")
    if "_kfold" in parsed:
        raise UserError("_kfold is not supported by the local XGBoost; leave it out.")
    parsed.pop("_num_cv_round", None)
    if parsed.get("tree_method") == "gpu_hist":
        parsed["tree_method"] = "hist"  # the same trees, made by the processors
    if parsed.get("objective") == "reg:linear":
        parsed["objective"] = "reg:squarederror"  # its later name
    return {name: value for name, value in parsed.items() if name not in _GONE}


def metrics_of(parsed: Mapping[str, Any]) -> list[str]:
    """Return the metrics to evaluate: what was asked for and what a tuning job looks at."""
    asked = list(parsed.get("eval_metric", []))
    tuned = tuned_metric(parsed)
    return asked if tuned is None or tuned in asked else [*asked, tuned]


def tuned_metric(parsed: Mapping[str, Any]) -> str | None:
    """Return the metric of `_tuning_objective_metric`, as in `validation:auc`."""
    text = parsed.get("_tuning_objective_metric")
    return None if text is None else text.rpartition(":")[2]


def _value(name: str, text: str) -> Any:
    known = _KNOWN.get(name)
    if known is None:
        raise UserError(f"Extraneous hyperparameter found: {name}")
    try:
        value = known.parse(text)
    except (ValueError, SyntaxError) as error:
        raise UserError(
            f"Hyperparameter {name}: could not parse value (caused by {type(error).__name__}): "
            f"{text!r}"
        ) from error
    if name == "interaction_constraints":
        flat = [item for group in value for item in group]
        _check_all(name, value, flat, known.range)
    elif name in _LISTS:
        _check_all(name, value, [_without_threshold(item) for item in value], known.range)
    elif known.range is not None and value not in known.range:
        raise UserError(f"Hyperparameter {name}: {value} is not in {known.range}")
    return value


def _check_all(name: str, value: Any, items: list[Any], allowed: Any) -> None:
    if any(item not in allowed for item in items):
        raise UserError(f"Hyperparameter {name}: value {value} not in range {allowed}")


def _without_threshold(metric: Any) -> Any:
    """`error@0.7` is error, as XGBoost has it for three metrics."""
    name, at, threshold = metric.partition("@") if isinstance(metric, str) else (metric, "", "")
    if not at:
        return name
    if name not in _THRESHOLDED:
        raise UserError(
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized "
            f"threshold should be one of these options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold)
    except ValueError as error:
        raise UserError(f"Threshold value 't' in '{name}@t' expects float input.") from error
    return name


def _check_together(parsed: Mapping[str, Any]) -> None:
    objective = parsed.get("objective", "reg:squarederror")
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in parsed:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    asked = metrics_of(parsed)
    if "auc" in asked and not objective.startswith(("binary:", "rank:", "multi:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in asked and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")
