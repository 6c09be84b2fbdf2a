"""
Pairs of samples, real and drawn, that all who take distances are given as the same rows.

The oracles' environments have numpy and no polars, so rows travel as .npz: numbers as float64 with
NaN where they are missing, categories as text.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

sys.path.append(str(Path(__file__).parents[2] / "examples" / "flights"))
from data import flights

SEED = 20261121
BEFORE, AFTER = 200_000, 60_000  # drawn rows
NUMBERS = (
    "distance", "sched_arr_time", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust",
    "precip", "pressure", "visib", "dep_delay", "air_time", "arr_delay", "speed",
)  # fmt: skip
CATEGORIES = ("carrier", "origin", "dest")

Columns = Mapping[str, npt.NDArray]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples of the same features."""

    name: str
    real: bool
    before: Columns
    after: Columns

    def write(self, path: Path) -> None:
        """Write both as one .npz: `was/<feature>`, `now/<feature>`."""
        sides = {"was": self.before, "now": self.after}
        arrays = {f"{side}/{name}": all_[name] for side, all_ in sides.items() for name in all_}
        np.savez(path, **arrays)


def pairs() -> Iterator[Pair]:
    """Yield three months of flights against the same, a near and a far month; then drawn ones."""
    every = flights().with_columns(speed=60 * pl.col("distance") / pl.col("air_time"))
    half = pl.int_range(pl.len()).shuffle(seed=13) % 2
    trained = every.filter((half == 0) & pl.col("month").is_in((1, 2, 3)))
    asked = every.filter(half == 1)
    for name, months in (("the same months", (1, 2, 3)), ("April", (4,)), ("July", (7,))):
        window = asked.filter(pl.col("month").is_in(months))
        yield Pair(f"flights, {name}", True, _arrays(trained), _arrays(window))
    for moved in (0.0, 0.3, 1.0):
        before, after = _drawn(SEED, BEFORE, 0.0), _drawn(SEED + 1, AFTER, moved)
        yield Pair(f"drawn, moved by {moved}", False, before, after)


def frame(columns: Columns) -> pl.DataFrame:
    """Return a sample as a table; NaN is a missing cell."""
    return pl.DataFrame(
        {
            name: pl.Series(cells, dtype=pl.String)
            if cells.dtype.kind == "U"
            else pl.Series(cells).fill_nan(None)
            for name, cells in columns.items()
        }
    )


def _arrays(table: pl.DataFrame) -> Columns:
    numbers = {name: table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in NUMBERS}
    return numbers | {name: np.array(table[name].to_list(), str) for name in CATEGORIES}


def _drawn(seed: int, rows: int, moved: float) -> Columns:
    """Return columns of every shape; *moved* is how far they are from those of 0."""
    random = np.random.default_rng(seed)
    gaps = random.normal(0, 1 + moved / 4, rows)
    gaps[random.random(rows) < 0.2 + moved / 10] = np.nan
    halves = random.random(rows) < 0.5 + moved / 8
    columns = {
        "normal": random.normal(moved / 4, 1, rows),
        "gamma": random.gamma(2.0, 3.0 * (1 + moved / 3), rows),
        "heavy tail": random.standard_t(3, rows) * (1 + moved / 2),
        "lognormal": random.lognormal(moved / 4, 0.8, rows),
        "uniform": random.uniform(0, 1 + moved / 2, rows),
        "two humps": np.where(halves, random.normal(-3, 1, rows), random.normal(3, 1, rows)),
        "whole": random.integers(0, 5_000, rows) * (1.0 + round(moved)),
        "gaps": gaps,
        "few": random.binomial(9, 0.4 + moved / 10, rows).astype(float),
        "cents": np.round(random.exponential(3 * (1 + moved / 5), rows), 2),
        "mostly zero": np.where(
            random.random(rows) < 0.7 - moved / 5, 0.0, random.gamma(2, 2, rows)
        ),
    }
    for levels in (2, 8, 500):
        weights = 1.0 / np.arange(1, levels + 1) ** (1 + moved / 10)
        drawn = random.choice(levels, rows, p=weights / weights.sum())
        columns[f"{levels} levels"] = np.array([f"c{one}" for one in range(levels)])[drawn]
    return columns
