import pytest

from tidemill_jobs.errors import JobError
from tidemill_jobs.parameters import ROUNDS, STOP_AFTER, Parameters


def parse(**texts):
    return Parameters.parse({"problem": "binary", **texts})


def test_defaults():
    found = parse(metric="auc", seed="3")

    assert (found.rounds, found.stop_after, found.seed) == (ROUNDS, STOP_AFTER, 3)
    assert found.score == "logloss"
    assert found.booster == {"objective": "binary:logistic", "tree_method": "hist", "seed": 3}


def test_parameters_become_numbers_and_aliases_their_names():
    found = parse(learning_rate="0.1", max_depth="6.0", n_estimators="50", subsample="1")

    assert (found.booster["eta"], found.booster["max_depth"], found.rounds) == (0.1, 6, 50)
    assert isinstance(found.booster["max_depth"], int)


def test_what_sagemaker_adds_is_passed_over():
    found = parse(sagemaker_region="eu-west-1", _tuning_objective_metric="validation_auc")

    assert found.booster == parse().booster


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"max_dept": "6"}, "max_dept is none that this trainer knows; did you mean max_depth?"),
        ({"qqqq": "6"}, "qqqq is none.*known are alpha, "),
        ({"eta": "0"}, "eta is '0'; write a number above 0 and at most 1"),
        ({"eta": "fast"}, "eta is 'fast'"),
        ({"eta": "nan"}, "eta is 'nan'"),
        ({"gamma": "inf"}, "gamma is 'inf'"),
        (
            {"max_depth": "2.5"},
            "max_depth is '2.5'; write a whole number of at least 0 and at most 16",
        ),
        ({"max_depth": "17"}, "max_depth is '17'"),
        ({"subsample": "1.01"}, "subsample"),
        ({"tree_method": "exact"}, "tree_method is 'exact'; write one of hist, approx"),
        ({"objective": "binary:hinge"}, "objective is 'binary:hinge'"),
        ({"eval_metric": "rmse"}, "eval_metric is 'rmse'"),
        ({"num_round": "0"}, "num_round is '0'"),
        ({"early_stopping_rounds": "x"}, "early_stopping_rounds is 'x'"),
        ({"seed": "-1"}, "seed is '-1'"),
        ({"eta": "0.1", "learning_rate": "0.2"}, "eta is given twice"),
        ({"problem": "clustering"}, "problem is 'clustering'; write one of binary, multiclass"),
        ({"booster": "dart"}, "booster is none"),
    ],
)
def test_what_xgboost_would_ignore_or_choke_on_is_refused_by_name(texts, said):
    with pytest.raises(JobError, match=said):
        parse(**texts)


def test_a_job_without_a_problem_is_refused():
    with pytest.raises(JobError, match="problem is ''"):
        Parameters.parse({})


def test_what_the_sdk_adds_to_every_job_is_let_through():
    assert "sagemaker_region" not in parse(sagemaker_region='"eu-west-1"').booster


def test_a_regression_judged_by_mae_stops_by_mae():
    assert Parameters.parse({"problem": "regression", "metric": "mae"}).score == "mae"
    assert Parameters.parse({"problem": "regression", "metric": "r2"}).score == "rmse"
    assert Parameters.parse({"problem": "multiclass"}).score == "mlogloss"
