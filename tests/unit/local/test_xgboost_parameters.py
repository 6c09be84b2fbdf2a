"""The built-in XGBoost takes SageMaker's hyperparameters, and refuses others in its words."""

import pytest

from tidemill_local.built_in_images import BUILT_IN
from tidemill_local.containers.contract import UserError
from tidemill_local.containers.xgboost import parameters

GOOD = {"num_round": "3"}


def test_strings_become_what_xgboost_takes():
    parsed = parameters.parse(
        GOOD
        | {
            "eta": "0.3",
            "objective": "reg:linear",
            "eval_metric": "rmse,mae",
            "monotone_constraints": "(1, -1)",
            "interaction_constraints": "[[0, 1]]",
            "tree_method": "gpu_hist",
            "predictor": "auto",
            "sagemaker_region": "eu-west-1",
        }
    )

    assert parsed == {
        "num_round": 3,
        "eta": 0.3,
        "objective": "reg:squarederror",
        "eval_metric": ["rmse", "mae"],
        "monotone_constraints": (1, -1),
        "interaction_constraints": [[0, 1]],
        "tree_method": "hist",
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        (GOOD | {"depth": "3"}, "Extraneous hyperparameter found: depth"),
        (GOOD | {"eta": "3"}, "Hyperparameter eta: 3.0 is not in [0, 1]"),
        (GOOD | {"eta": "nan"}, "Hyperparameter eta: nan is not in [0, 1]"),
        (GOOD | {"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
        (GOOD | {"max_depth": "x"}, "Hyperparameter max_depth: could not parse value"),
        (GOOD | {"booster": "tree"}, "Hyperparameter booster: tree is not in ['gbtree'"),
        (GOOD | {"eval_metric": "speed"}, "Hyperparameter eval_metric: value ['speed'] not in"),
        (GOOD | {"eval_metric": "auc@1"}, "Metric 'auc@1' is not supported."),
        (GOOD | {"eval_metric": "error@x"}, "Threshold value 't' in 'error@t' expects float"),
        (GOOD | {"monotone_constraints": "(2,)"}, "Hyperparameter monotone_constraints: value"),
        (GOOD | {"interaction_constraints": "[[-1]]"}, "Hyperparameter interaction_constraints"),
        (GOOD | {"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
        (GOOD | {"eval_metric": "auc"}, "Metric 'auc' can only be applied for classification"),
        (GOOD | {"eval_metric": "aft-nloglik"}, "Metric 'aft-nloglik' can only be applied"),
        (GOOD | {"_kfold": "3"}, "_kfold is not supported"),
        (GOOD | {"use_dask_gpu_training": "true"}, "use_dask_gpu_training needs GPUs"),
    ],
)
def test_what_cannot_be_is_refused(given, sentence):
    with pytest.raises(UserError) as refused:
        parameters.parse(given)
    assert str(refused.value).startswith(sentence)


def test_what_a_tuning_job_looks_at_is_evaluated_too():
    parsed = parameters.parse(
        GOOD | {"eval_metric": "mae", "_tuning_objective_metric": "validation:rmse"}
    )
    assert parameters.metrics_of(parsed) == ["mae", "rmse"]


def test_the_built_in_metrics_fit_into_a_request():
    definitions = BUILT_IN["sagemaker-xgboost"].metric_definitions()
    assert len(definitions) == 40
    assert {"Name": "validation:auc"}.items() <= definitions[3].items()
