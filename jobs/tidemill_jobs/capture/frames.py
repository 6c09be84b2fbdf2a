"""Events to frames: rows beside their predictions."""

from typing import Any, Final

import polars as pl

from tidemill_jobs.capture.answers import Answer
from tidemill_jobs.capture.event import Event
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.json_cells import as_series

PREDICTIONS: Final = (
    "event_id",  # SageMaker's, of the request
    "inference_id",  # the caller's, null when none was given
    "row",  # within the request, from 0
    "time",  # of the request, whole seconds since 1970 UTC
    "prediction",  # the class as text; a regression's number as Float64
    "probability",  # Float64: the positive class's (binary) or the predicted one's (multiclass)
    "probabilities",  # list of Float64 in the order of the classes; of a multiclass model only
)
_Absent: Any = object()
_NONE: Final = Answer(None)


class Rows:
    """Gathers events until there are enough for a batch."""

    def __init__(self, schema: Schema, tally: Tally) -> None:
        self._schema = schema
        self._tally = tally
        self._known = schema.ignored.union(schema.names, schema.dropped)
        self._extra: dict[str, None] = {}  # names, in the order in which they came
        self._rows: list[dict[str, Any]] = []
        self._ids: list[str] = []
        self._callers: list[str | None] = []
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._answers: list[Answer | None] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, event: Event) -> None:
        """Take the rows of one request."""
        rows = len(event.rows)
        self._rows += event.rows
        self._ids += [event.event_id] * rows
        self._callers += [event.inference_id] * rows
        self._numbers += range(rows)
        self._times += [event.time] * rows
        self._answers += event.answers
        for row in event.rows:
            if not row.keys() <= self._known:
                for name in row:
                    if name not in self._known and self._tally.extra_column(name):
                        self._extra[name] = None

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the inputs and the predictions; count what rows lack."""
        columns = []
        for name in (*self._schema.names, *self._extra):
            cells = [row.get(name, _Absent) for row in self._rows]
            absent = cells.count(_Absent)
            if absent and name in self._schema.wanted:
                self._tally.absent[name] += absent
            if absent < len(cells):
                given = [None if cell is _Absent else cell for cell in cells] if absent else cells
                columns.append(as_series(name, given))
        prediction = pl.Float64 if self._schema.problem == "regression" else pl.String
        said = [answer or _NONE for answer in self._answers]
        predictions = pl.DataFrame(
            [
                pl.Series("event_id", self._ids, pl.String),
                pl.Series("inference_id", self._callers, pl.String),
                pl.Series("row", self._numbers, pl.Int64),
                pl.Series("time", self._times, pl.Int64),
                pl.Series("prediction", [one.prediction for one in said], prediction),
                pl.Series("probability", [one.probability for one in said], pl.Float64),
                pl.Series(
                    "probabilities", [one.probabilities for one in said], pl.List(pl.Float64)
                ),
            ]
        )
        return pl.DataFrame(columns), predictions
