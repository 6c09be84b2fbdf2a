"""Events to frames: rows beside their predictions."""

from typing import Any, Final

import polars as pl

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
_NONE: Final = (None, None, None)


class Rows:
    """Gathers events until there are enough for a batch."""

    def __init__(self, schema: Schema, tally: Tally) -> None:
        self._schema = schema
        self._tally = tally
        self._cells: dict[str, list[Any]] = {name: [] for name in schema.names}
        self._known = schema.ignored.union(schema.names)
        self._ids: list[str] = []
        self._callers: list[str | None] = []
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._answers: list[tuple[Any, Any, Any]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, event: Event) -> None:
        """Take the rows of one request."""
        for number, row in enumerate(event.rows):
            self._add_row(row)
            self._ids.append(event.event_id)
            self._callers.append(event.inference_id)
            self._numbers.append(number)
            self._times.append(event.time)
            answer = event.answers[number]
            self._answers.append(
                (answer.prediction, answer.probability, answer.probabilities) if answer else _NONE
            )

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the inputs and the predictions."""
        for cells in self._cells.values():
            cells.extend([_Absent] * (len(self) - len(cells)))
        columns = [
            as_series(name, [None if cell is _Absent else cell for cell in cells])
            for name, cells in self._cells.items()
            if any(cell is not _Absent for cell in cells)
        ]
        prediction = pl.Float64 if self._schema.problem == "regression" else pl.String
        answers = list(zip(*self._answers, strict=True))
        predictions = pl.DataFrame(
            [
                pl.Series("event_id", self._ids, pl.String),
                pl.Series("inference_id", self._callers, pl.String),
                pl.Series("row", self._numbers, pl.Int64),
                pl.Series("time", self._times, pl.Int64),
                pl.Series("prediction", answers[0], prediction),
                pl.Series("probability", answers[1], pl.Float64),
                pl.Series("probabilities", answers[2], pl.List(pl.Float64)),
            ]
        )
        return pl.DataFrame(columns), predictions

    def _add_row(self, row: dict[str, Any]) -> None:
        before = len(self._ids)
        for name in self._schema.names:
            cell = row.get(name, _Absent)
            self._cells[name].append(cell)
            if cell is _Absent:
                self._tally.absent[name] += 1
        if row.keys() <= self._known:
            return
        for name in row.keys() - self._known:
            if self._tally.extra_column(name):
                self._extra(name, row[name], before)

    def _extra(self, name: str, cell: Any, before: int) -> None:
        """Keep an unknown column: rows before the first one that has it lack it."""
        cells = self._cells.setdefault(name, [])
        cells += [_Absent] * (before - len(cells))
        cells.append(cell)
