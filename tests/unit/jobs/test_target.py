import polars as pl
import pytest

from tidemill_jobs.errors import RefusedError
from tidemill_jobs.meanings import kind_of
from tidemill_jobs.split import TEST, TRAIN, VALIDATION
from tidemill_jobs.target import Outcomes, check_rows, encode, find_classes


def outcomes(train, validation, test, problem="binary"):
    found = Outcomes()
    for split, values in ((TRAIN, train), (VALIDATION, validation), (TEST, test)):
        found.add(split, pl.Series(values), problem)
    return found


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([1.0, 0.0], (0, 1)),
        ([True, False], (False, True)),
        (["yes", "no"], ("no", "yes")),
        ([2.5, 10.0], (2.5, 10)),
    ],
)
def test_classes_are_sorted_and_whole_numbers_are_written_without_a_point(values, classes):
    found = find_classes(outcomes(values, values, values), "binary", "late")

    assert found == classes
    assert [type(value) for value in found] == [type(value) for value in classes]
    assert encode(pl.Series([*values, values[0]]), found).to_list() == [
        *(classes.index(value) for value in values),
        classes.index(values[0]),
    ]


def test_a_regression_has_no_classes_and_keeps_its_numbers():
    found = outcomes([1.5, 9.0, 3.0], [2.0], [4.0], "regression")
    assert find_classes(found, "regression", "delay") == ()
    assert found.rows == [3, 1, 1]
    assert found.values[TRAIN] == {1.5, 9}
    assert encode(pl.Series([1.5]), ()).to_list() == [1.5]


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_one_outcome_is_nothing_to_tell_apart(problem):
    with pytest.raises(RefusedError, match="the target 'late' is 1 in every row"):
        find_classes(outcomes([1.0, 1.0], [1.0], [1.0], problem), problem, "late")


def test_no_known_outcome_is_nothing_to_tell_apart():
    empty = pl.Series([], dtype=pl.String)
    with pytest.raises(RefusedError, match="nothing in every row"):
        find_classes(outcomes(empty, empty, empty), "binary", "late")


def test_three_classes_are_no_binary_problem():
    with pytest.raises(RefusedError, match=r"3 different values .'a', 'b', 'c'.*multiclass"):
        find_classes(outcomes(["a", "b"], ["c"], ["a"]), "binary", "late")


def test_too_many_classes_are_refused():
    values = [float(number) for number in range(201)]
    with pytest.raises(RefusedError, match="201 classes, more than 200"):
        find_classes(outcomes(values, values, values, "multiclass"), "multiclass", "late")


def test_an_empty_target_and_a_regression_of_text_are_refused():
    with pytest.raises(RefusedError, match="empty in every row"):
        kind_of(None, "binary", "late")
    for kind in ("category", "boolean", "time"):
        with pytest.raises(RefusedError, match="a regression needs numbers"):
            kind_of(kind, "regression", "late")
    assert kind_of("time", "multiclass", "late") == "category"
    assert kind_of("number", "regression", "late") == "number"


@pytest.mark.parametrize(("rows", "refused"), [(49, True), (50, False)])
def test_fifty_training_rows_are_the_least(rows, refused):
    found = outcomes(["a", "b"] * 24 + ["a"] * (rows - 48), ["a"], ["a", "b"])
    if refused:
        with pytest.raises(
            RefusedError, match="49 rows are left for training and 50 are the least"
        ):
            check_rows(found, "binary", "late")
    else:
        check_rows(found, "binary", "late")


@pytest.mark.parametrize("split", [VALIDATION, TEST])
def test_an_empty_split_is_refused(split):
    parts = [["a", "b"] * 30, ["a", "b"], ["a", "b"]]
    parts[split] = pl.Series([], dtype=pl.String)
    with pytest.raises(
        RefusedError, match=f"no row falls into the {('', 'validation', 'test')[split]}"
    ):
        check_rows(outcomes(*parts), "binary", "late")


def test_training_and_test_need_both_classes_and_validation_does_not():
    both = ["a", "b"] * 30
    with pytest.raises(RefusedError, match="all 60 rows of the train split have the target 'a'"):
        check_rows(outcomes(["a"] * 60, both, both), "binary", "late")
    with pytest.raises(RefusedError, match="all 2 rows of the test split"):
        check_rows(outcomes(both, both, ["b", "b"]), "binary", "late")
    check_rows(outcomes(both, ["a"], both), "binary", "late")
