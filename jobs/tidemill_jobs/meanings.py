"""
What a column is, decided from counts alone: no cell is looked at here, and no polars imported.

Each cell was tallied by what it could be. A column nine tenths of which are numbers (times,
booleans) is one of numbers; one with identifying codes (01234) or a wider mixture is text, and
every cell stays as written.
"""

from collections.abc import Collection, Mapping
from typing import Literal, get_args

from tidemill_jobs.errors import RefusedError
from tidemill_jobs.spec import Problem
from tidemill_jobs.values import Kind

Meaning = Literal["number", "code", "boolean", "time", "text"]
_MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
SHARE = 0.9  # of the cells that are not missing
EXPECTED: dict[Kind, str] = {
    "number": "a number (up to 3.4e38)",
    "boolean": "true or false",
    "time": "a time such as 2026-11-20T14:30:00Z",
}


def decide_kind(counts: Collection[Mapping[Meaning, int]]) -> Kind | None:
    """Return what a column is, given its counts in every file; None when all cells are missing."""
    total: dict[str, int] = dict.fromkeys(_MEANINGS, 0)
    for of_file in counts:
        for meaning, rows in of_file.items():
            total[meaning] += rows
    cells = sum(total.values())
    if cells == 0:
        return None
    if total["code"] and total["code"] + total["number"] >= SHARE * cells:
        return "category"
    kinds: tuple[Kind, ...] = ("number", "boolean", "time")
    for kind in kinds:
        if total[kind] >= SHARE * cells:
            return kind
    return "category"


def kind_of(decided: Kind | None, problem: Problem, name: str) -> Kind:
    """
    Return what the target column is read as.

    Raises:
        RefusedError: Every cell is missing, or a regression's target is no number.
    """
    if decided is None:
        raise RefusedError(
            f"the target column '{name}' is empty in every row; deliver rows whose outcome is "
            "known."
        )
    if problem == "regression" and decided != "number":
        raise RefusedError(
            f"the target column '{name}' holds {decided} values, and a regression needs numbers; "
            "choose another target, or the problem binary or multiclass."
        )
    return "category" if decided == "time" else decided
