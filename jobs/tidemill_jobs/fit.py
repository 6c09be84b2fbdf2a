"""
Fit the features on the training rows, and apply them to whole frames (polars).

Only training rows are looked at: what validation and test hold must not leak into the encoding.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tidemill_jobs.errors import RefusedError
from tidemill_jobs.features import (
    DAY,
    OTHER,
    PARTS,
    TARGET,
    Column,
    Dropped,
    Features,
    Floats,
    ModelInput,
    Target,
    time_part,
    transform,
)
from tidemill_jobs.spec import Problem
from tidemill_jobs.values import Kind

CATEGORIES = 255  # with `other` 256 codes; a tree's split over thousands would be slow and overfit
EXACT = 2**24  # whole numbers up to here have a 32-bit float of their own


def fit(
    training: pl.LazyFrame,
    kinds: Mapping[str, Kind],
    *,
    problem: Problem,
    target: Target,
    header: Sequence[str],
    dropped: Sequence[Dropped] = (),
) -> Features:
    """
    Return the state that turns rows into model input.

    Args:
        training: The training rows, typed by `schema.typed`.
        kinds: The columns that may become inputs, in the order of the file.
        problem: binary, multiclass or regression.
        target: What is predicted.
        header: The user's own columns, without target and excluded ones.
        dropped: Columns that were set aside already.

    Raises:
        RefusedError: No column has two different values.
    """
    summary = _summary(training, kinds)
    gone, notes, columns = list(dropped), list[str](), list[Column]()
    for name, kind in kinds.items():
        found = summary[name]
        reason = _useless(kind, found)
        if reason:
            gone.append(Dropped(name, reason))
            continue
        column, note = _column(training, name, kind, found, columns)
        columns.append(column)
        notes += note
    if not columns:
        raise RefusedError(
            "no column but the target has two different values; deliver the columns that the "
            "prediction should rest on."
        )
    return Features(problem, target, tuple(header), tuple(columns), tuple(gone), tuple(notes))


def transform_frame(features: Features, frame: pl.DataFrame) -> ModelInput:
    """Assemble the model's input of a frame typed by `schema.typed`."""
    return transform(features, {c.name: _values(frame[c.name], c.kind) for c in features.columns})


def _values(column: pl.Series, kind: Kind) -> Sequence[str] | Floats:
    if kind == "category":
        return column.fill_null("").to_list()
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _summary(training: pl.LazyFrame, kinds: Mapping[str, Kind]) -> dict[str, dict[str, float]]:
    wanted = []
    for name, kind in kinds.items():
        column = pl.col(name)
        wanted += [
            column.count().alias(f"{name}\x1fpresent"),
            column.drop_nulls().n_unique().alias(f"{name}\x1fdistinct"),
            column.null_count().alias(f"{name}\x1fmissing"),
        ]
        if kind in ("number", "time"):
            rounded = (column.abs() > EXACT) & (column % 1 == 0)
            wanted += [
                column.min().alias(f"{name}\x1fmin"),
                rounded.any().alias(f"{name}\x1frounded"),
            ]
    row = training.select(wanted).collect().row(0, named=True) if wanted else {}
    summary: dict[str, dict[str, float]] = {name: {} for name in kinds}
    for key, value in row.items():
        name, _, statistic = key.rpartition("\x1f")
        summary[name][statistic] = value
    return summary


def _useless(kind: Kind, found: Mapping[str, float]) -> str | None:
    if found["present"] == 0:
        return "every training row lacks it"
    if found["distinct"] == 1 and found["missing"] == 0:
        return "it has the same value in every training row"
    if kind == "category" and found["distinct"] == found["present"] > CATEGORIES:
        return "every value is different, as in an identifier"
    return None


def _column(
    training: pl.LazyFrame,
    name: str,
    kind: Kind,
    found: Mapping[str, float],
    before: Sequence[Column],
) -> tuple[Column, list[str]]:
    taken = {TARGET, *(used for column in before for used in column.inputs)}
    if kind == "time":
        return _time_column(training, name, int(found["min"]), taken), []
    inputs = (_free(name, taken),)
    if kind == "category":
        many = (
            f"column '{name}' has {found['distinct']:,} different values; the {CATEGORIES} most "
            f"frequent are kept apart, the rest count as '{OTHER}'"
        )
        categories = _most_frequent(training, name)
        notes = [many] if found["distinct"] > CATEGORIES else []
        return Column(name, kind, inputs, categories=categories), notes
    large = f"column '{name}' has whole numbers beyond {EXACT:,}; the model reads them rounded"
    return Column(name, kind, inputs), [large] if found.get("rounded") else []


def _time_column(training: pl.LazyFrame, name: str, earliest: int, taken: set[str]) -> Column:
    origin = earliest // DAY * DAY
    minutes = training.select(pl.col(name).drop_nulls()).collect().to_series()
    values = minutes.cast(pl.Float64).to_numpy()
    parts = tuple(part for part in PARTS if np.ptp(time_part(values, part, origin)))
    # One moment in all rows that have one: whether there is one still tells something.
    parts = parts or ("days",)
    inputs = tuple(_free(f"{name}.{part}", taken) for part in parts)
    return Column(name, "time", inputs, parts=parts, origin=origin)


def _most_frequent(training: pl.LazyFrame, name: str) -> tuple[str, ...]:
    counts = (
        training.select(pl.col(name).alias("value"))
        .filter(pl.col("value").is_not_null() & (pl.col("value") != OTHER))
        .group_by("value")
        .len("rows")
        .sort(["rows", "value"], descending=[True, False])  # ties by name: the same in every run
        .head(CATEGORIES)
        .collect()
    )
    return tuple(counts["value"].to_list())


def _free(name: str, taken: set[str]) -> str:
    """Return *name*, lengthened until no other input has it: a file may hold `a.hour` too."""
    while name in taken:
        name += "_"
    return name
