"""Build a profile from batches of rows."""

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Final

import polars as pl

from tidemill_jobs.profile.cells import KnownTexts, sort_cells
from tidemill_jobs.profile.column import Column
from tidemill_jobs.profile.profile import Profile
from tidemill_jobs.values import Kind

ROWS: Final = 262_144  # looked at together


class Profiler:
    """
    Takes batches, in any number and size, and gives their profile.

    Args:
        columns: The columns to look at, each with what it is, or None where its cells shall tell;
            without it, every column of every batch. Of a declared category numbers are counted
            as texts: 1.0 as `1`.
        kinds: What columns are that may come, besides others that are looked at too.
        pool: Threads, each of which looks at one column at a time. The profile is the same.
    """

    def __init__(
        self,
        columns: Mapping[str, Kind | None] | None = None,
        *,
        kinds: Mapping[str, Kind] | None = None,
        pool: Executor | None = None,
    ) -> None:
        self._only = columns
        self._declared = {**(kinds or {}), **(columns or {})}
        self._rows = 0
        self._columns: dict[str, Column] = {}
        self._texts: dict[str, KnownTexts] = {}
        self._pool = pool

    def add(self, frame: pl.DataFrame) -> None:
        """
        Take a batch: typed columns (Parquet), texts (CSV), or both.

        Raises:
            ReadError: A column is nested.
        """
        names = [name for name in frame.columns if self._only is None or name in self._only]
        for name in names:
            if name not in self._columns:
                kind = self._declared.get(name)
                self._columns[name] = Column(rows=self._rows, blank=self._rows, declared=kind)
                self._texts[name] = KnownTexts()
        each = self._pool.map if self._pool else map
        looked = list(each(partial(self._grown, frame), names))
        self._columns.update(zip(names, looked, strict=True))
        self._rows += frame.height
        for name, column in self._columns.items():
            lacking = self._rows - column.rows
            if lacking:
                self._columns[name] = column.merge(Column(rows=lacking, blank=lacking))

    def _grown(self, frame: pl.DataFrame, name: str) -> Column:
        """Return a column with the frame's cells; it changes nothing that another one needs."""
        column = self._columns[name]
        for start in range(0, max(1, frame.height), ROWS):
            column = column.add(sort_cells(frame[name].slice(start, ROWS), self._texts[name]))
        return column

    def profile(self) -> Profile:
        """Return the profile of all batches so far."""
        return Profile(self._rows, dict(self._columns))
