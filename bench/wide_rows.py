"""
A table of 20 columns, the same for the same seed: what the profile bench reads.

Twelve numbers (normal, heavy-tailed, rounded, counts; up to 30 % of them missing), an id, a label,
a time, a flag, three categories (8, 500 and 4 values, with commas, quotes and UTF-8 in them), and a
text of two million values.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

PART = 500_000  # rows that are made at a time
CUSTOMERS = 2_000_000
PLANS = (
    "free",
    "basic",
    "pro",
    "team",
    "enterprise, annual",
    'so-called "lite"',
    "étudiant",
    "naïve",
)
REGIONS = ("north", "south", "east", "west")
GAPS = {"income": 0.05, "balance": 0.1, "score_b": 0.2, "temp": 0.3, "visits": 0.01}


def parts(rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """Yield the table in parts."""
    cities = np.array([f"city {number:03d}" for number in range(500)])
    for first in range(0, rows, PART):
        yield _part(np.random.default_rng((seed, first)), first, min(PART, rows - first), cities)


def _part(chance: np.random.Generator, first: int, rows: int, cities: np.ndarray) -> pl.DataFrame:
    seconds = np.datetime64("2025-01-01T00:00:00") + chance.integers(0, 31_536_000, rows)
    frame = pl.DataFrame(
        {
            "row_id": np.arange(first, first + rows),
            "customer_id": [f"c{number:07d}" for number in chance.integers(0, CUSTOMERS, rows)],
            "at": pl.Series(seconds.astype("datetime64[us]")),
            "age": chance.integers(18, 95, rows),
            "income": np.round(chance.lognormal(10, 0.8, rows), 2),
            "balance": np.round(chance.normal(1_000, 5_000, rows), 2),
            "score_a": chance.normal(size=rows),
            "score_b": chance.random(rows),
            "score_c": chance.gamma(2.0, 3.0, rows),
            "temp": np.round(chance.normal(15, 9, rows), 1),
            "visits": chance.poisson(6, rows),
            "amount": np.round(chance.exponential(80, rows), 2),
            "ratio": np.round(chance.beta(2, 5, rows), 4),
            "lat": chance.uniform(-90, 90, rows),
            "tenure": chance.integers(0, 4_000, rows),
            "plan": np.array(PLANS)[chance.integers(0, len(PLANS), rows)],
            "city": cities[chance.zipf(1.3, rows) % len(cities)],
            "region": np.array(REGIONS)[chance.integers(0, len(REGIONS), rows)],
            "active": chance.random(rows) < 0.7,  # noqa: PLR2004  # seven of ten
            "label": (chance.random(rows) < 0.2).astype(np.int8),  # noqa: PLR2004  # one of five
        }
    )
    return frame.with_columns(
        pl.when(pl.Series(chance.random(rows) >= share)).then(pl.col(name)).alias(name)
        for name, share in GAPS.items()
    )


def write_csv(path: Path, rows: int, seed: int) -> None:
    """Write the table as CSV."""
    with path.open("wb") as file:
        for number, part in enumerate(parts(rows, seed)):
            part.write_csv(file, include_header=number == 0, datetime_format="%Y-%m-%dT%H:%M:%S")


def write_parquet(path: Path, rows: int, seed: int) -> None:
    """Write the table as Parquet, Zstandard-packed as polars does."""
    pl.concat(list(parts(rows, seed))).write_parquet(path, row_group_size=250_000)
