"""The two tables that are joined: what their columns are called and hold."""

from typing import Final

import polars as pl

#: Which id of a prediction a line of truth names: `id` is the inference id where the request had
#: one and the event id where it had none, as SageMaker joins.
KINDS: Final = ("id", "inference_id", "event_id")

#: One line of truth. `row` counts a request's rows from 0, null where the request has one row
#: only; `time` is when the label was known and `uploaded` when it came, in seconds since 1970;
#: `upload` names the object version and `line` the line's place in it.
TRUTH: Final[dict[str, pl.DataType]] = {
    "kind": pl.String(),
    "id": pl.String(),
    "row": pl.Int64(),
    "label": pl.String(),
    "time": pl.Float64(),
    "uploaded": pl.Float64(),
    "upload": pl.String(),
    "line": pl.Int64(),
}

#: One captured prediction. `time` is in seconds since 1970; `prediction` is what was answered, a
#: class or a number as text; `probability` is the positive class's, null where there is none. A
#: table may have `probabilities` besides: a multiclass model's, in the order of its classes.
PREDICTIONS: Final[dict[str, pl.DataType]] = {
    "event_id": pl.String(),
    "inference_id": pl.String(),
    "row": pl.Int64(),
    "time": pl.Float64(),
    "prediction": pl.String(),
    "probability": pl.Float64(),
}

PROBABILITIES: Final = "probabilities"


def empty(columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return a table of these columns without a row."""
    return pl.DataFrame(schema=columns)


def as_predictions(frame: pl.DataFrame) -> pl.DataFrame:
    """
    Return captured predictions with the columns of `PREDICTIONS`, and `probabilities` if given.

    Numbers become text as `text_of` writes them, a time of any unit seconds.
    """
    held = set(frame.columns)
    columns = []
    for name, kind in PREDICTIONS.items():
        if name not in held:
            columns.append(pl.lit(None, kind).alias(name))
        elif name == "time" and frame.schema[name].is_temporal():
            columns.append(pl.col(name).dt.epoch("us").truediv(1e6).alias(name))
        elif kind == pl.String() and frame.schema[name] != kind:
            columns.append(as_text(frame.schema[name], name))
        else:
            columns.append(pl.col(name).cast(kind, strict=False))
    if PROBABILITIES in held:
        columns.append(pl.col(PROBABILITIES).cast(pl.List(pl.Float64)))
    return frame.select(columns)


def as_text(kind: pl.DataType, name: str) -> pl.Expr:
    """Return a typed column as text: whole numbers without a fraction, truth values as JSON's."""
    column = pl.col(name)
    if kind.is_float():
        whole = (column == column.round()) & (column.abs() < 2**53)
        return (
            pl.when(whole)
            .then(column.cast(pl.Int64, strict=False).cast(pl.String))
            .when(column.is_finite())
            .then(column.cast(pl.String))
            .alias(name)
        )
    return column.cast(pl.String)  # polars writes booleans as true and false
