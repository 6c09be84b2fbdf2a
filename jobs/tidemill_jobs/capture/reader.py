"""
Captured traffic as frames: bounded batches of rows and their predictions.

No line is worth a crash: what cannot be read is counted by a reason, with an example. A request is
read as the endpoint reads it (`payload`), so that what it understood is understood here.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from tidemill_jobs.capture.errors import UnreadableError
from tidemill_jobs.capture.event import Event, Head, read_event, read_head
from tidemill_jobs.capture.event_ids import EventIds
from tidemill_jobs.capture.frames import PREDICTIONS, Rows
from tidemill_jobs.capture.layout import hour_of
from tidemill_jobs.capture.lines import Line, Stream, lines
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.tally import Tally

__all__ = ["PREDICTIONS", "Batch", "CaptureReader"]

SMOKE: Final = "tidemill-smoke"  # the inference id of a rollout's own questions
BATCH_ROWS: Final = 20_000
BATCH_BYTES: Final = 16 * 1_048_576  # of lines
_BLANK: Final = b" \t\r"


class Batch(NamedTuple):
    """
    Some rows, and what was answered to them: row n of the one is row n of the other.

    Args:
        inputs: The columns that the model reads (and up to 50 that it does not know), cells as
            given: text where the request was CSV, typed where it was JSON. A column that no row
            of the batch has is left out.
        predictions: The columns of `PREDICTIONS`; without an answer prediction and
            probabilities are null.
    """

    inputs: pl.DataFrame
    predictions: pl.DataFrame


class CaptureReader:
    """
    Reads captured files, one after the other; `tally` counts what it met in all of them.

    Args:
        schema: The model's.
        seen: Events that were read before, by other readers of the same window.
    """

    def __init__(self, schema: Schema, seen: EventIds | None = None) -> None:
        self.schema = schema
        self.tally = Tally()
        self._seen = seen or EventIds()

    def events(self) -> bytes:
        """Return the digests of the events that were read, for those who read on."""
        return self._seen.to_bytes()

    def read(self, stream: Stream, key: str = "") -> Iterator[Batch]:
        """
        Yield the rows of one file.

        Args:
            stream: Its bytes.
            key: Its key or name: tells the hour that its events are of, and names examples.
        """
        hour = hour_of(key)
        rows, size = Rows(self.schema, self.tally), 0
        self.tally.files += 1
        for number, line in enumerate(lines(stream), start=1):
            event = self._event(line, hour, f"{key}:{number}")
            if event is None:
                continue
            size += len(line.data or b"")
            rows.add(event)
            if event.unanswered is not None:
                self.tally.unanswered_line(event.unanswered, f"{key}:{number}")
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield Batch(*rows.frames())
                rows, size = Rows(self.schema, self.tally), 0
        if len(rows):
            yield Batch(*rows.frames())

    def _event(self, line: Line, hour: int | None, where: str) -> Event | None:
        if line.data is not None and not line.data.strip(_BLANK):
            return None
        self.tally.lines += 1
        try:
            head = read_head(line.data, hour)
            self._refuse_others(head)
            event = read_event(head, self.schema)
        except UnreadableError as exc:
            if exc.reason == "not_json" and not line.ended:  # half written; whole the next time
                self.tally.lines -= 1
                self.tally.unfinished.append((where.rpartition(":")[0], line.begin))
            else:
                self.tally.unreadable_line(exc, where)
            return None
        self.tally.events += 1
        self.tally.rows += len(event.rows)
        return event

    def _refuse_others(self, head: Head) -> None:
        if head.inference_id == SMOKE:
            raise UnreadableError("smoke", "a smoke row of a rollout")
        if not self._seen.add(head.event_id):
            raise UnreadableError("duplicate", f"the event {head.event_id} again")
