"""Prepared rows, written in parts of a bounded size as they come."""

from pathlib import Path

import polars as pl

from tidemill_jobs.lake import Lake
from tidemill_jobs.split import NAMES

ROWS = 500_000  # of a part: some 50 MB, read at once by training


class PartWriter:
    """Collects the rows of each split and uploads them as `<split>/part-NNNNN.parquet`."""

    def __init__(self, lake: Lake, uri: str, work: Path) -> None:
        self.names: list[list[str]] = [[] for _ in NAMES]  # per split, relative to the prefix
        self._lake = lake
        self._uri = uri
        self._work = work
        self._waiting: list[list[pl.DataFrame]] = [[] for _ in NAMES]

    def add(self, split: int, frame: pl.DataFrame) -> None:
        """Take in rows of a split; full parts are written at once."""
        waiting = self._waiting[split]
        if frame.height:
            waiting.append(frame)
        while sum(part.height for part in waiting) >= ROWS:
            rows = pl.concat(waiting)
            self._write(split, rows.head(ROWS))
            waiting[:] = [rows.slice(ROWS)]

    def close(self) -> None:
        """Write what is left."""
        for split, waiting in enumerate(self._waiting):
            rest = [part for part in waiting if part.height]
            if rest:
                self._write(split, pl.concat(rest))
            waiting.clear()

    def _write(self, split: int, rows: pl.DataFrame) -> None:
        name = f"{NAMES[split]}/part-{len(self.names[split]):05d}.parquet"
        path = self._work / "part.parquet"
        rows.write_parquet(path, compression="zstd", compression_level=1)
        self._lake.put_file(path, f"{self._uri}/{name}")
        self.names[split].append(name)
