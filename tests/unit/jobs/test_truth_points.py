"""Quality over time: points of whole windows, measured once."""

import math

import polars as pl
import pytest

from tidemill_jobs.errors import JobError
from tidemill_jobs.truth.columns import TRUTH, empty
from tidemill_jobs.truth.points import MOST_POINTS, judge_parts

from .truth_tables import label, predictions, truth

HOUR = 3_600


@pytest.fixture
def judge(tmp_path):
    def call(made, told, **changes):
        paths = []
        for name, frame in (("made", made), ("told", told)):
            path = tmp_path / f"{name}.parquet"
            frame.write_parquet(path)
            paths.append([path])
        settings = {
            "problem": "binary",
            "classes": [0, 1],
            "metric": "accuracy",
            "direction": "maximize",
            "floor": 0.7,
            "minimum_rows": 4,
            "every": HOUR,
            "since": 0.0,
            "known": {},
            "judged_at": "2026-11-20T10:00:00.000Z",
        }
        return judge_parts(*paths, **settings | changes)

    return call


def traffic(*hours, right=4):
    """Return predictions and labels: in each of these hours so many, *right* of them right."""
    made, told = [], []
    for hour, rows in hours:
        for n in range(rows):
            name = f"h{hour}-{n}"
            made.append((name, None, 0, hour * HOUR + n * 60.0, "1", 0.9))
            told.append(label(name, "1" if n < right else "0"))
    return predictions(*made), truth(*told)


def test_a_point_is_a_window_that_has_enough_rows(judge):
    found = judge(*traffic((0, 4), (1, 5)))
    assert [(p["start"], p["end"], p["rows"]) for p in found["points"]] == [
        (0.0, 3_600.0, 4),
        (3_600.0, 7_200.0, 5),
    ]
    assert [p["verdict"] for p in found["points"]] == ["reached", "reached"]
    assert found["points"][1]["value"] == 0.8


def test_windows_of_few_rows_are_put_together_in_order(judge):
    found = judge(*traffic((0, 1), (1, 2), (2, 2), (5, 3), (9, 1), (10, 1)))
    assert [(p["start"], p["end"], p["rows"]) for p in found["points"]] == [
        (0.0, 3 * 3_600.0, 5),
        (5 * 3_600.0, 10 * 3_600.0, 4),
        (10 * 3_600.0, 11 * 3_600.0, 1),
    ]
    assert [p["verdict"] for p in found["points"]] == ["reached", "reached", "too_few_rows"]


@pytest.mark.parametrize("since", [3_600.0, 3_600.7, 3_541.0])
def test_predictions_of_the_version_before_do_not_count(judge, since):
    """Capture tells whole seconds; what was asked in the version's first second is its own."""
    found = judge(*traffic((0, 4), (1, 4)), since=since)
    assert [p["start"] for p in found["points"]] == [3_600.0]
    assert found["counts"]["predictions"] == 4
    assert found["counts"]["unknown"] == 4


def test_a_point_that_was_measured_is_not_measured_again(judge):
    made, told = traffic((0, 4), (1, 4))
    first = judge(made, told)
    known = {point["digest"]: point for point in first["points"]}
    assert set(first["documents"]) == {0.0, 3_600.0}

    again = judge(made, told, known=known)
    assert again["points"] == first["points"]
    assert again["documents"] == {}

    corrected = pl.concat([told, truth(label("h1-0", "0", time=101.0))])
    changed = judge(made, corrected, known=known)
    assert set(changed["documents"]) == {3_600.0}
    assert changed["points"][1]["value"] == 0.75
    assert changed["counts"]["corrected"] == 1

    stricter = judge(made, told, known=known, floor=0.9)
    assert set(stricter["documents"]) == {0.0, 3_600.0}


def test_the_documents_are_model_monitors(judge):
    found = judge(*traffic((0, 4), right=1))
    documents = found["documents"][0.0]
    assert set(documents) == {
        "statistics.json",
        "constraints.json",
        "constraint_violations.json",
    }
    assert documents["statistics.json"]["dataset"]["item_count"] == 4
    (violation,) = documents["constraint_violations.json"]["violations"]
    assert violation["metric_name"] == "accuracy"


def test_logloss_of_many_classes_takes_all_probabilities(judge):
    made = predictions(
        ("a", None, 0, 0.0, "x", 0.8), ("b", None, 0, 1.0, "y", 0.5), ("c", None, 0, 2.0, "x", 0.9)
    )
    shares = pl.Series("probabilities", [[0.8, 0.2], [0.5, 0.5], None], dtype=pl.List(pl.Float64))
    told = truth(label("a", "x"), label("b", "new"), label("c", "x"))
    settings = {"problem": "multiclass", "classes": ["x", "y"], "minimum_rows": 1}
    found = judge(
        made.with_columns(shares), told, metric="logloss", direction="minimize", floor=0.5,
        **settings,
    )  # fmt: skip
    (point,) = found["points"]
    assert (point["rows"], point["left_out"]) == (2, {"unreadable_prediction": 1})
    assert point["value"] == pytest.approx((-math.log(0.8) - math.log(1e-15)) / 2)
    accuracy = judge(made.with_columns(shares), told, **settings)
    assert accuracy["points"][0]["rows"] == 3


def test_only_the_newest_points_are_kept(judge):
    found = judge(*traffic(*((hour, 1) for hour in range(MOST_POINTS + 3))), minimum_rows=1)
    assert len(found["points"]) == MOST_POINTS
    assert found["points"][0]["start"] == 3 * 3_600.0


def test_nothing_makes_no_point(judge):
    found = judge(predictions(), empty(TRUTH))
    assert (found["points"], found["counts"]["predictions"]) == ([], 0)


def test_a_part_that_is_damaged_is_named(judge, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(JobError, match=r"bad\.parquet"):
        judge_parts(
            [tmp_path / "bad.parquet"], [], problem="binary", classes=[0, 1], metric="auc",
            direction="maximize", floor=None, minimum_rows=1, every=HOUR, since=0.0, known={},
            judged_at="",
        )  # fmt: skip
