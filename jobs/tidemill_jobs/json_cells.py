"""JSON values as a column: the type that all of them have, else text."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl


def as_series(name: str, values: Sequence[Any]) -> pl.Series:
    """
    Return a column of JSON values, None where there is none.

    Of a mixture everything becomes text, as JSON writes it: a column of 1 and 2.5 has the texts of
    a CSV with the same values.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pl.Series(name, values, pl.String)
    if kinds == {bool}:
        return pl.Series(name, values, pl.Boolean)
    if kinds == {float}:
        return pl.Series(name, values, pl.Float64)
    if kinds == {int} and all(v is None or -(1 << 63) <= v < 1 << 63 for v in values):
        return pl.Series(name, values, pl.Int64)
    texts = [v if v is None or isinstance(v, str) else _text(v) for v in values]
    return pl.Series(name, texts, pl.String)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
