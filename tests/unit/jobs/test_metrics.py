import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs import metrics, quality
from tidemill_jobs.errors import JobError
from tidemill_jobs.metrics import MEASURES, Outcome, measure


def binary(truth, scores):
    return Outcome("binary", np.array(truth, float), np.array(scores, float))


def regression(truth, scores):
    return Outcome("regression", np.array(truth, float), np.array(scores, float))


FOUR = binary([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
THREE_CLASSES = Outcome(
    "multiclass",
    np.array([0.0, 0, 0, 1, 2]),
    np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]),
)


@pytest.mark.parametrize(
    ("name", "value", "trivial"),
    [
        ("auc", 0.75, 0.5),
        ("accuracy", 0.5, 0.5),
        ("precision", 0.5, 0.5),
        ("recall", 0.5, 0.5),
        ("f1", 0.5, 2 / 3),
        ("logloss", -(2 * math.log(0.9) + 2 * math.log(0.4)) / 4, math.log(2)),
    ],
)
def test_binary_by_hand(name, value, trivial):
    assert measure(FOUR, name) == pytest.approx((value, trivial))


@pytest.mark.parametrize(
    ("name", "value", "trivial"),
    [
        ("accuracy", 3 / 5, 3 / 5),
        ("weighted_recall", (3 * 2 / 3 + 1 * 1 + 1 * 0) / 5, 3 / 5),
        ("weighted_precision", (3 * 2 / 3 + 1 * 1 / 2 + 1 * 0) / 5, 9 / 25),
        ("weighted_f1", (3 * 2 / 3 + 1 * 2 / 3) / 5, 3 / 5 * 3 / 4),
        (
            "logloss",
            -sum(map(math.log, (0.8, 0.5, 0.2, 0.8, 0.2))) / 5,
            -(0.6 * math.log(0.6) + 0.4 * math.log(0.2)),
        ),
    ],
)
def test_multiclass_by_hand(name, value, trivial):
    assert measure(THREE_CLASSES, name) == pytest.approx((value, trivial))


@pytest.mark.parametrize(
    ("name", "value", "trivial"),
    [
        ("mse", 2.5, 5.0),
        ("rmse", math.sqrt(2.5), math.sqrt(5.0)),
        ("mae", 1.5, 2.0),
        ("r2", 0.5, 0.0),
    ],
)
def test_regression_by_hand(name, value, trivial):
    assert measure(regression([0, 2, 4, 6], [1, 4, 3, 4]), name) == pytest.approx((value, trivial))


scored = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40).filter(
    lambda rows: len({truth for truth, _ in rows}) == 2
)


@given(scored)
def test_auc_is_the_share_of_ordered_pairs_with_ties_by_half(rows):
    positives = [score for truth, score in rows if truth]
    negatives = [score for truth, score in rows if not truth]
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    outcome = binary([t for t, _ in rows], [s / 5 for _, s in rows])

    assert metrics.auc(outcome) == pytest.approx(sum(pairs) / len(pairs))
    # The area under the reported curve is the same number.
    false, true = quality.roc_curve(outcome)
    assert np.trapezoid(true, false) == pytest.approx(metrics.auc(outcome))


def test_what_is_undefined_is_said_and_not_made_up():
    with pytest.raises(JobError, match="one class only"):
        measure(binary([1, 1], [0.1, 0.2]), "auc")
    with pytest.raises(JobError, match="same target"):
        measure(regression([3, 3], [1, 2]), "r2")
    with pytest.raises(JobError, match=r"no metric rmse for a binary problem.*auc"):
        measure(FOUR, "rmse")


def test_no_positive_label_is_zero_precision_and_certainty_has_a_finite_loss():
    outcome = binary([1, 0], [0.0, 0.0])
    assert [measure(outcome, name)[0] for name in ("precision", "recall", "f1")] == [0, 0, 0]
    assert measure(outcome, "logloss")[0] == pytest.approx(-math.log(1e-15) / 2)


def many(rows=400, seed=0):
    draw = np.random.default_rng(seed)
    truth = (draw.random(rows) < 0.3).astype(float)
    return Outcome("binary", truth, np.clip(truth * 0.3 + draw.random(rows) * 0.7, 0, 1))


def test_a_binary_report_has_model_monitors_shape():
    report = quality.report(many())["binary_classification_metrics"]
    truth, labels = many().classes, many().labels

    assert report["confusion_matrix"]["1"]["0"] == int(((truth == 1) & (labels == 0)).sum())
    assert set(report) == {
        "confusion_matrix",
        "recall",
        "precision",
        "accuracy",
        "true_positive_rate",
        "true_negative_rate",
        "false_positive_rate",
        "false_negative_rate",
        "auc",
        "f0_5",
        "f1",
        "f2",
        "logloss",
        "receiver_operating_characteristic_curve",
        "precision_recall_curve",
        *(
            f"{n}_best_constant_classifier"
            for n in ("recall", "precision", "accuracy", "f0_5", "f1", "f2")
        ),
    }
    assert report["accuracy_best_constant_classifier"]["value"] == pytest.approx(
        (truth == 0).mean()
    )
    assert 0 < report["auc"]["standard_deviation"] < 0.1


def test_curves_are_bounded_and_run_from_corner_to_corner():
    false, true = quality.roc_curve(many(5_000))
    precisions, recalls = quality.precision_recall_curve(many(5_000))

    assert len(false) == len(true) <= quality.CURVE_POINTS
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert len(precisions) == len(recalls) <= quality.CURVE_POINTS
    assert recalls[-1] == 1


def test_deviations_need_200_rows_and_are_the_same_for_the_same_rows():
    few = quality.report(many(199))["binary_classification_metrics"]
    assert few["auc"]["standard_deviation"] == "NaN"
    assert quality.report(many()) == quality.report(many())


def test_a_sample_without_the_rare_class_has_no_deviation():
    outcome = binary([1] + [0] * 299, [0.9] + [0.1] * 299)
    report = quality.report(outcome)["binary_classification_metrics"]
    assert report["auc"]["value"] == 1
    assert report["auc"]["standard_deviation"] in ("NaN", 0.0)


def test_a_multiclass_report():
    report = quality.report(THREE_CLASSES)["multiclass_classification_metrics"]
    assert report["confusion_matrix"]["0"] == {"0": 2, "1": 1, "2": 0}
    assert report["accuracy_best_constant_classifier"]["value"] == pytest.approx(3 / 5)
    assert report["weighted_f1"]["value"] == pytest.approx((2 + 2 / 3) / 5)
    assert "weighted_f2_best_constant_classifier" in report


def test_a_regression_report_summarises_residuals():
    report = quality.report(regression([0, 2, 4, 6], [1, 4, 3, 4]))["regression_metrics"]
    assert report["mae"] == {"value": 1.5, "standard_deviation": "NaN"}
    assert report["residuals"]["mean"] == 0
    assert report["residuals"]["quantiles"]["1.0"] == 2


@pytest.mark.parametrize("problem", MEASURES)
def test_the_trivial_predictor_never_beats_the_truth(problem):
    truth = np.array([0.0, 1, 1, 0, 1, 0])
    scores = np.eye(2)[truth.astype(int)] if problem == "multiclass" else truth
    outcome = Outcome(problem, truth, scores)
    for name in MEASURES[problem]:
        value, trivial = measure(outcome, name)
        better = value < trivial if name in ("logloss", "rmse", "mse", "mae") else value > trivial
        assert better, name
