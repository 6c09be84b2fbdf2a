"""
Join what was predicted with what really happened.

The order in which predictions and labels came never matters: of several labels of one prediction
the one that was known last wins, of equal times the one uploaded last, and within a file the later
line. A label whose prediction is not there is counted and stays: joined again later, it finds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tidemill_jobs.truth.columns import KINDS, as_predictions

#: What decides between two labels of one prediction; the greatest wins.
_AGE = ("time", "uploaded", "upload", "line")
_NUMBER = "_number"
_KEY = ("kind", "id", "row")


@dataclass(frozen=True, slots=True)
class Joined:
    """
    Predictions with their labels.

    Args:
        frame: Each prediction once, as `columns.PREDICTIONS`, with `label` and `known_at`, which
            are null while it waits for its truth; by time.
        predictions: How many there are.
        joined: How many have a label.
        unknown: How many labels name a prediction that is not there (yet).
        no_row: How many labels name a request of several rows, but not which of them.
        replaced: How many labels a newer one took the place of.
        corrected: How many of those said something else.
        repeated: How many predictions were captured twice.
    """

    frame: pl.DataFrame
    predictions: int
    joined: int
    unknown: int
    no_row: int
    replaced: int
    corrected: int
    repeated: int

    @property
    def waiting(self) -> int:
        """How many predictions have no label yet."""
        return self.predictions - self.joined

    @property
    def known(self) -> pl.DataFrame:
        """The predictions that have a label."""
        return self.frame.filter(pl.col("label").is_not_null())


def join(predictions: pl.DataFrame, truth: pl.DataFrame) -> Joined:
    """
    Join captured predictions (`columns.PREDICTIONS`) with labels (`columns.TRUTH`).

    A label of kind `id` belongs to the prediction with that inference id or, of those without
    one, with that event id. Without a row it belongs to a request of one row.
    """
    once = _once(as_predictions(predictions))
    newest = truth.sort(_AGE).unique(_KEY, keep="last", maintain_order=True)
    found = _found(once, newest)
    best = (
        found.sort(_AGE)
        .unique(_NUMBER, keep="last", maintain_order=True)
        .select(_NUMBER, "label", pl.col("time").alias("known_at"))
    )
    frame = once.join(best, on=_NUMBER, how="left").drop(_NUMBER, "rows")
    used = found.select(_KEY).unique()
    left = newest.join(used, on=_KEY, how="anti", nulls_equal=True)
    no_row = _several(once, left)
    older = truth.join(
        newest.select(*_KEY, pl.col("label").alias("now")), on=_KEY, nulls_equal=True
    )
    return Joined(
        frame=frame.sort("time", "event_id", "row", nulls_last=True),
        predictions=once.height,
        joined=best.height,
        unknown=left.height - no_row,
        no_row=no_row,
        replaced=truth.height - newest.height,
        corrected=older.filter(pl.col("label") != pl.col("now")).height,
        repeated=predictions.height - once.height,
    )


def _once(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return each prediction once, numbered, with how many rows its request had."""
    by = ["time", "inference_id", "prediction", "probability"]
    request = pl.coalesce("event_id", "inference_id")
    return (
        predictions.filter(request.is_not_null())
        .with_columns(pl.col("row").fill_null(0))
        .sort(by, nulls_last=True)
        .unique(["event_id", "inference_id", "row"], keep="first", maintain_order=True)
        .with_columns(pl.len().over(request).alias("rows"))
        .with_row_index(_NUMBER)
    )


def _found(predictions: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Return every pair of a label and a prediction that it names: the label, and the number."""
    pairs = [
        pair
        for kind, names in _names(predictions)
        for pair in _pairs(names, truth.filter(pl.col("kind") == kind))
    ]
    return pl.concat(pairs)


def _pairs(names: pl.DataFrame, labels: pl.DataFrame) -> Iterator[pl.DataFrame]:
    columns = [*labels.columns, _NUMBER]
    rowless = labels.filter(pl.col("row").is_null())
    single = names.filter(pl.col("rows") == 1).drop("row")
    yield rowless.join(single, on="id").select(columns)
    yield labels.join(names, on=["id", "row"]).select(columns)


def _several(predictions: pl.DataFrame, left: pl.DataFrame) -> int:
    """Count the labels without a row whose request is there, and had several."""
    rowless = left.filter(pl.col("row").is_null())
    return sum(
        rowless.filter(pl.col("kind") == kind).join(names.select("id").unique(), on="id").height
        for kind, names in _names(predictions)
    )


def _names(predictions: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield, per kind of id, each prediction's number, its id of that kind, and its row."""
    ids = {
        "id": pl.coalesce("inference_id", "event_id"),
        "inference_id": pl.col("inference_id"),
        "event_id": pl.col("event_id"),
    }
    for kind in KINDS:
        named = predictions.select(_NUMBER, ids[kind].alias("id"), "row", "rows")
        yield kind, named.filter(pl.col("id").is_not_null())
