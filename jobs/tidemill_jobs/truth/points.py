"""
Quality over time, from the parts that the watch keeps: predictions, labels, and points of quality.

A point is the least stretch of whole windows that has enough rows whose truth is known, counted
from the first window on. So points do not overlap, and those of quiet endpoints are longer.
"""

import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Class
from tidemill_jobs.spec import Problem
from tidemill_jobs.truth.columns import PREDICTIONS, PROBABILITIES, TRUTH, as_predictions, empty
from tidemill_jobs.truth.joining import join
from tidemill_jobs.truth.measuring import (
    Direction,
    Floor,
    Measured,
    constraints,
    measure_window,
    violations,
)

#: The newest ones; a watch of hourly windows keeps eight days of them.
MOST_POINTS: Final = 200
_COMPARED: Final = ("event_id", "row", "label", "prediction", "probability")

Point = dict[str, Any]


def judge_parts(
    predictions: Sequence[Path],
    truth: Sequence[Path],
    *,
    problem: Problem,
    classes: Sequence[Class],
    metric: str,
    direction: Direction,
    floor: float | None,
    minimum_rows: int,
    every: int,
    since: float,
    known: Mapping[str, Point],
    judged_at: str,
) -> dict[str, Any]:
    """
    Join parts, and measure the quality of each point.

    Args:
        predictions: Parquet files of `columns.PREDICTIONS`; a prediction may be in several.
        truth: Parquet files of `columns.TRUTH`.
        problem: The model's.
        classes: The model's, in the order of its outputs.
        metric: What is judged.
        direction: Whether more of it is better.
        floor: What it must reach; None for nothing.
        minimum_rows: So many rows a point has at least.
        every: A window's length in seconds.
        since: Predictions before it are another version's, in seconds since 1970.
        known: Points that were measured before, by their digest: they are not measured again.
        judged_at: Goes into the statistics, ISO 8601.

    Returns:
        `{"counts": {…}, "points": […], "documents": {start: {name: document}}}`: points are oldest
        first; documents are of those that were measured now.

    Raises:
        JobError: The problem has no such metric.
    """
    wanted = [*PREDICTIONS, PROBABILITIES] if metric == "logloss" else list(PREDICTIONS)
    made = pl.concat([empty(PREDICTIONS), *_read(predictions, wanted)], how="diagonal")
    told = pl.concat([empty(TRUTH), *_read(truth, list(TRUTH))])
    # Capture tells whole seconds: a request in the second in which the version came is its own.
    joined = join(made.filter(pl.col("time") >= math.floor(since)), told)
    limit = Floor(metric, direction, floor, minimum_rows)
    points: list[Point] = []
    documents: dict[float, dict[str, Any]] = {}
    for start, end, rows in list(_stretches(joined.known, every, minimum_rows))[-MOST_POINTS:]:
        digest = _digest(rows, limit)
        held = known.get(digest)
        if held is not None and (held["start"], held["end"]) == (start, end):
            points.append(dict(held))
            continue
        measured = measure_window(rows, problem, classes, limit, evaluated_at=judged_at)
        points.append({"start": start, "end": end, "digest": digest, **_told(measured)})
        documents[start] = {
            "statistics.json": measured.statistics,
            "constraints.json": constraints(problem, limit),
            "constraint_violations.json": violations(measured, limit),
        }
    counts = {
        name: getattr(joined, name)
        for name in (
            "predictions", "joined", "waiting", "unknown", "no_row", "replaced", "corrected",
            "repeated",
        )
    }  # fmt: skip
    return {"counts": counts, "points": points, "documents": documents}


def _read(paths: Iterable[Path], wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield each part, with the columns that it has of those wanted."""
    for path in paths:
        try:
            held = pl.read_parquet_schema(path)
            columns = [name for name in wanted if name in held]
            frame = pl.read_parquet(path, columns=columns, use_statistics=False, glob=False)
        except (pl.exceptions.PolarsError, OSError) as exc:
            raise JobError(f"{path.name} is no readable part ({exc}); watch again.") from exc
        yield as_predictions(frame) if "event_id" in wanted else frame


def _stretches(
    known: pl.DataFrame, every: int, minimum_rows: int
) -> Iterator[tuple[float, float, pl.DataFrame]]:
    """Yield `(start, end, rows)` of each point; the last one may have too few rows."""
    times = known["time"].to_list()
    begin = 0
    while begin < len(times):
        start = math.floor(times[begin] / every) * every
        least = min(begin + max(minimum_rows, 1), len(times)) - 1
        edge = (math.floor(times[least] / every) + 1) * every  # windows are whole
        end = begin + int((known["time"].slice(begin) < edge).sum())
        yield float(start), float(edge), known.slice(begin, end - begin)
        begin = end


def _digest(rows: pl.DataFrame, floor: Floor) -> str:
    """Return what a point's measurement rests on, in 16 hex digits."""
    buffer = io.BytesIO()
    rows.select(_COMPARED).sort("event_id", "row").write_csv(buffer)
    said = f"{floor.metric} {floor.direction} {floor.value} {floor.minimum_rows}"
    return hashlib.sha256(said.encode() + buffer.getbuffer()).hexdigest()[:16]


def _told(measured: Measured) -> Point:
    return {
        "rows": measured.rows,
        "value": measured.value,
        "low": measured.low,
        "high": measured.high,
        "verdict": measured.verdict,
        "sentence": measured.sentence,
        "left_out": dict(measured.left_out),
    }
