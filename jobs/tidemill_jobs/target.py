"""
The target: which classes there are, what can be learned at all, and the number a row gets.

Classes are sorted (numbers by size, false before true, text by its characters). Of two, the last
is the positive one: 1 of 0 and 1, true of false and true, `yes` of `no` and `yes`.
"""

from dataclasses import dataclass, field

import polars as pl

from tidemill_jobs.errors import RefusedError
from tidemill_jobs.features import TARGET, Class
from tidemill_jobs.spec import Problem
from tidemill_jobs.split import NAMES, TEST, TRAIN
from tidemill_jobs.values import show

CLASSES = 200  # a multiclass model has a tree per class and round
BINARY = 2
TRAINING_ROWS = 50


@dataclass(slots=True)
class Outcomes:
    """
    What the target is in each split, over all files.

    `values` are the classes that occur; of a regression the least and the greatest number.
    """

    rows: list[int] = field(default_factory=lambda: [0] * len(NAMES))
    values: list[set[Class]] = field(default_factory=lambda: [set() for _ in NAMES])

    def add(self, split: int, target: pl.Series, problem: Problem) -> None:
        """Take in the typed target of some rows; none of it is null."""
        self.rows[split] += len(target)
        if problem == "regression":
            target = pl.Series([target.min(), target.max()]).drop_nulls()
        self.values[split].update(map(_class, target.unique().to_list()))


def find_classes(outcomes: Outcomes, problem: Problem, name: str) -> tuple[Class, ...]:
    """
    Return the classes in order; none for a regression.

    Raises:
        RefusedError: There is but one value, or the problem needs another number of classes.
    """
    values = sorted(set[Class]().union(*outcomes.values))
    if len(values) <= 1:
        shown = show(values[0]) if values else "nothing"
        raise RefusedError(
            f"the target '{name}' is {shown} in every row, so there is nothing to tell apart; "
            "deliver rows with other outcomes."
        )
    if problem == "regression":
        return ()
    if problem == "binary" and len(values) != BINARY:
        examples = ", ".join(show(value) for value in values[:4])
        raise RefusedError(
            f"the target '{name}' has {len(values):,} different values ({examples}, …) and a "
            "binary problem has two; set train.problem to multiclass or regression, or correct the "
            "values."
        )
    if len(values) > CLASSES:
        raise RefusedError(
            f"the target '{name}' has {len(values):,} classes, more than {CLASSES}; group them, or "
            "set train.problem to regression."
        )
    return tuple(values)


def check_rows(outcomes: Outcomes, problem: Problem, name: str) -> None:
    """
    Refuse splits that nothing can be learned from or judged by.

    Raises:
        RefusedError: Too few training rows, an empty split, or one class in training or test.
    """
    rows = outcomes.rows
    if rows[TRAIN] < TRAINING_ROWS:
        raise RefusedError(
            f"{rows[TRAIN]} rows are left for training and {TRAINING_ROWS} are the least; deliver "
            "more rows whose target is known."
        )
    for split, split_name in enumerate(NAMES):
        if rows[split] == 0:
            raise RefusedError(
                f"no row falls into the {split_name} split; deliver more rows, or raise its share "
                "under prepare.split."
            )
    for split in (TRAIN, TEST):
        if problem != "regression" and len(outcomes.values[split]) == 1:
            only = show(next(iter(outcomes.values[split])))
            raise RefusedError(
                f"all {rows[split]} rows of the {NAMES[split]} split have the target {only}; "
                f"deliver more rows in which '{name}' differs."
            )


def encode(target: pl.Series, classes: tuple[Class, ...]) -> pl.Series:
    """Return each row's class number (Int32), or the number itself (Float64) in a regression."""
    if not classes:
        return target.alias(TARGET)
    numbers = {value: number for number, value in enumerate(classes)}
    return target.replace_strict(
        list(numbers), list(numbers.values()), return_dtype=pl.Int32
    ).alias(TARGET)


def _class(value: Class) -> Class:
    """Write 1.0 as 1: a class is a name, whatever the file's number format."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
