"""Build a profile from batches of rows."""

from collections import defaultdict
from collections.abc import Mapping
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
    """

    def __init__(
        self,
        columns: Mapping[str, Kind | None] | None = None,
        *,
        kinds: Mapping[str, Kind] | None = None,
    ) -> None:
        self._only = columns
        self._declared = {**(kinds or {}), **(columns or {})}
        self._rows = 0
        self._columns: dict[str, Column] = {}
        self._texts: defaultdict[str, KnownTexts] = defaultdict(KnownTexts)

    def add(self, frame: pl.DataFrame) -> None:
        """
        Take a batch: typed columns (Parquet), texts (CSV), or both.

        Raises:
            ReadError: A column is nested.
        """
        for name in frame.columns:
            if self._only is not None and name not in self._only:
                continue
            known = self._columns.get(name)
            if known is None:
                kind = self._declared.get(name)
                known = Column(rows=self._rows, blank=self._rows, declared=kind)
            for start in range(0, max(1, frame.height), ROWS):
                known = known.add(sort_cells(frame[name].slice(start, ROWS), self._texts[name]))
            self._columns[name] = known
        self._rows += frame.height
        for name, column in self._columns.items():
            lacking = self._rows - column.rows
            if lacking:
                self._columns[name] = column.merge(Column(rows=lacking, blank=lacking))

    def profile(self) -> Profile:
        """Return the profile of all batches so far."""
        return Profile(self._rows, dict(self._columns))
