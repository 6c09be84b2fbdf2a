"""Quality of predictions with truth: Model Monitor's documents, the floor, and our interval."""

import json

import numpy as np
import polars as pl
import pytest

from tidemill_jobs.errors import JobError
from tidemill_jobs.metrics import Outcome
from tidemill_jobs.truth import join, measure_window
from tidemill_jobs.truth.measuring import Floor, constraints, interval, violations

from .truth_tables import label, predictions, truth

AUC = Floor("auc", "maximize", 0.7, minimum_rows=4)
RMSE = Floor("rmse", "minimize", 2.0, minimum_rows=2)


def known(*rows):
    """Each: label, prediction, probability."""
    made = predictions(*((f"e{n}", None, 0, 1.0, r[1], r[2]) for n, r in enumerate(rows)))
    return join(made, truth(*(label(f"e{n}", r[0]) for n, r in enumerate(rows)))).known


def measured(rows, problem="binary", classes=(0, 1), floor=AUC):
    return measure_window(
        known(*rows), problem, classes, floor, evaluated_at="2026-11-20T10:00:00.000Z"
    )


GOOD = [("1", "1", 0.9), ("1", "1", 0.8), ("0", "0", 0.3), ("0", "1", 0.6)]
BAD = [("1", "0", 0.1), ("1", "1", 0.8), ("0", "0", 0.3), ("0", "1", 0.6)]


def test_a_metric_that_reaches_its_floor():
    found = measured(GOOD)
    assert (found.verdict, found.value, found.rows) == ("reached", 1.0, 4)
    assert found.sentence == "auc is 1 on 4 rows, not below the floor of 0.7"
    assert violations(found, AUC) == {"violations": []}


def test_a_metric_below_its_floor_is_a_violation_as_model_monitor_writes_it():
    found = measured(BAD)
    assert (found.verdict, found.value) == ("below", 0.5)
    assert violations(found, AUC) == {
        "violations": [
            {
                "constraint_check_type": "LessThanThreshold",
                "description": "Metric auc with 0.5 was LessThanThreshold 0.7",
                "metric_name": "auc",
            }
        ]
    }
    assert constraints("binary", AUC) == {
        "version": 0.0,
        "binary_classification_constraints": {
            "auc": {"threshold": 0.7, "comparison_operator": "LessThanThreshold"}
        },
    }


def test_exactly_the_floor_is_reached():
    assert measured(BAD, floor=Floor("auc", "maximize", 0.5, 1)).verdict == "reached"


def test_an_error_has_a_ceiling():
    rows = [("1", "4", None), ("2", "5", None)]
    found = measured(rows, "regression", (), RMSE)
    assert (found.verdict, found.value) == ("below", 3.0)
    assert found.sentence == "rmse is 3 on 2 rows, above the ceiling of 2"
    assert violations(found, RMSE)["violations"][0]["constraint_check_type"] == (
        "GreaterThanThreshold"
    )


def test_too_few_rows_say_so_and_judge_nothing():
    found = measured(BAD[:3])
    assert found.verdict == "too_few_rows"
    assert found.sentence == "3 rows with truth; 4 are needed to judge auc"


def test_no_rows_at_all():
    found = measured([], floor=Floor("auc", "maximize"))
    assert (found.verdict, found.rows, found.value) == ("too_few_rows", 0, None)
    assert found.statistics["dataset"]["item_count"] == 0


def test_truth_that_does_not_vary_is_no_fault_of_the_models():
    found = measured([("1", "1", 0.9)] * 4)
    assert found.verdict == "undefined"
    assert "one class only" in found.sentence
    report = found.statistics["binary_classification_metrics"]
    assert report["auc"] == {"value": "NaN", "standard_deviation": "NaN"}
    assert report["accuracy"]["value"] == 1


def test_without_a_floor_the_metric_is_only_told():
    found = measured(BAD, floor=Floor("auc", "maximize"))
    assert found.verdict == "no_floor"
    assert found.sentence.endswith("no floor is set")
    assert (
        constraints("binary", Floor("auc", "maximize"))["binary_classification_constraints"] == {}
    )


@pytest.mark.parametrize(
    ("problem", "classes", "rows", "section", "names"),
    [
        (
            "binary",
            (0, 1),
            GOOD,
            "binary_classification_metrics",
            {
                "confusion_matrix", "recall", "precision", "accuracy", "true_positive_rate",
                "true_negative_rate", "false_positive_rate", "false_negative_rate", "auc",
                "f0_5", "f1", "f2", "recall_best_constant_classifier",
                "precision_best_constant_classifier", "accuracy_best_constant_classifier",
                "f0_5_best_constant_classifier", "f1_best_constant_classifier",
                "f2_best_constant_classifier", "receiver_operating_characteristic_curve",
                "precision_recall_curve",
            },
        ),
        (
            "multiclass",
            ("a", "b", "c"),
            [("a", "a", None), ("b", "c", None), ("c", "c", None)],
            "multiclass_classification_metrics",
            {
                "confusion_matrix", "accuracy", "weighted_recall", "weighted_precision",
                "weighted_f0_5", "weighted_f1", "weighted_f2",
                "accuracy_best_constant_classifier", "weighted_recall_best_constant_classifier",
                "weighted_precision_best_constant_classifier",
                "weighted_f0_5_best_constant_classifier",
                "weighted_f1_best_constant_classifier", "weighted_f2_best_constant_classifier",
            },
        ),
        (
            "regression",
            (),
            [("1.5", "1", None), ("2.5", "3", None)],
            "regression_metrics",
            {"mae", "mse", "rmse", "r2"},
        ),
    ],
)  # fmt: skip
def test_statistics_hold_what_model_monitors_do_and_no_more(problem, classes, rows, section, names):
    metric = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}[problem]
    found = measured(rows, problem, classes, Floor(metric, "maximize"))
    assert set(found.statistics) == {"version", "dataset", section}
    assert set(found.statistics[section]) == names
    json.dumps(found.statistics, allow_nan=False)


def test_deviations_come_with_200_rows():
    few = measured(GOOD * 49).statistics["binary_classification_metrics"]["accuracy"]
    many = measured(GOOD * 50).statistics["binary_classification_metrics"]["accuracy"]
    assert few["standard_deviation"] == "NaN"
    assert 0 < many["standard_deviation"] < 0.1


def test_a_class_that_only_truth_knows_counts_against_the_model():
    rows = [("a", "a", None), ("new", "a", None), ("newer", "b", None)]
    found = measured(rows, "multiclass", ("a", "b"), Floor("accuracy", "maximize"))
    assert found.value == pytest.approx(1 / 3)
    assert found.left_out == {}


def test_a_label_that_is_none_of_two_classes_is_left_out_and_counted():
    rows = [*GOOD, ("cancelled", "1", 0.9), ("1", "what", None)]
    found = measured(rows)
    assert found.left_out == {"unknown_label": 1, "unreadable_prediction": 1}
    assert found.rows == 4


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ((0, 1), ("0.0", "1.0")),
        ((0, 1), ("false", "True")),
        ((False, True), ("0", "1")),
        (("no", "yes"), ("no", " yes")),
        (("01", "02"), ("01", "02")),
    ],
)
def test_labels_are_read_as_the_class_they_mean(classes, labels):
    rows = [(labels[0], None, 0.1), (labels[1], None, 0.9)] * 2
    found = measured(rows, classes=classes)
    assert (found.value, found.left_out) == (1.0, {})


def test_an_answer_in_csv_is_the_score_itself():
    rows = [("0", "0.25", None), ("1", "0.75", None)] * 2
    assert measured(rows).value == 1.0


def test_logloss_needs_probabilities():
    rows = [("a", "a", None), ("b", "b", None)]
    found = measured(rows, "multiclass", ("a", "b"), Floor("logloss", "minimize", 0.5, 1))
    assert found.verdict == "undefined"
    assert "no probabilities" in found.sentence


def test_a_metric_of_another_problem_is_refused():
    with pytest.raises(JobError, match="no metric rmse"):
        measured(GOOD, floor=RMSE)


def test_the_interval_holds_the_value_narrows_with_rows_and_is_the_same_again():
    random = np.random.default_rng(3)

    def outcome(rows):
        truth = random.integers(0, 2, rows).astype(float)
        return Outcome("binary", truth, (truth * 0.3 + random.random(rows)) / 1.3)

    few, many, most = (outcome(rows) for rows in (200, 5_000, 50_000))
    widths = []
    for made in (few, many, most):
        low, high = interval(made, "auc")
        assert low < 0.755 < high or abs((low + high) / 2 - 0.755) < 0.03
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[2] == pytest.approx(widths[1] / 10**0.5, rel=0.3)
    assert interval(few, "auc") == interval(few, "auc")


def test_a_handful_of_rows_has_no_interval():
    assert measured(GOOD).low is None


def test_many_rows_of_many_classes_take_no_table_of_both():
    rows = 300_000
    frame = pl.DataFrame(
        {"label": [f"c{n % 200}" for n in range(rows)], "prediction": ["c7"] * rows}
    ).with_columns(pl.lit(None, pl.Float64).alias("probability"))
    found = measure_window(
        frame, "multiclass", [f"c{n}" for n in range(200)], Floor("accuracy", "maximize"),
        evaluated_at="",
    )  # fmt: skip
    assert found.value == pytest.approx(1 / 200)
