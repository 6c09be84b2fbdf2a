"""Made-up tables of any size, the same for the same seed, with something to learn in them."""

import io
from typing import Any

import numpy as np
import polars as pl

COLUMNS = 15
GAPS = 0.03  # the share of missing values in each column that may have some


def table(rows: int, seed: int) -> pl.DataFrame:
    """
    Return *rows* of 15 mixed columns.

    That is an id, a time, five real numbers (three with gaps), two counts, a share, a flag, three
    categories (4, 30 and 400 levels; one with gaps), and `late`, 0 or 1, which follows from six of
    them and noise.
    """
    chance = np.random.default_rng(seed)
    reals = chance.normal(size=(5, rows))
    minutes = chance.integers(0, 525_600, rows)
    count, legs = chance.poisson(4, rows), chance.integers(1, 9, rows)
    flag = chance.random(rows) < 0.2  # noqa: PLR2004  # one row in five
    levels = {"carrier": 4, "origin": 30, "route": 400}
    drawn = {name: chance.integers(0, size, rows) for name, size in levels.items()}
    effect = chance.normal(size=levels["origin"])[drawn["origin"]]
    leaning = (
        0.8 * reals[0]
        - 0.6 * reals[1] * flag
        + 0.5 * effect
        + 0.1 * count
        + 0.4 * (minutes // 60 % 24 > 16)  # noqa: PLR2004  # afternoons run late
        + chance.normal(size=rows)
    )
    times = np.datetime64("2026-01-01T00:00:00") + minutes.astype("timedelta64[m]")
    frame = pl.DataFrame(
        {
            "id": [f"row-{number}" for number in range(rows)],
            "at": np.datetime_as_string(times),
            **{f"x{number}": np.round(values, 5) for number, values in enumerate(reals)},
            "count": count,
            "legs": legs,
            "share": np.round(chance.random(rows), 4),
            "flag": flag,
            **{name: [f"{name}-{level}" for level in values] for name, values in drawn.items()},
            "late": (leaning > 1.2).astype(np.int8),  # noqa: PLR2004  # about one row in three
        }
    )
    gaps = [
        pl.when(pl.Series(chance.random(rows) >= GAPS)).then(pl.col(name)).alias(name)
        for name in ("x0", "x2", "x3", "carrier")
    ]
    return frame.with_columns(gaps)


def as_csv(frame: pl.DataFrame) -> bytes:
    """Return the table as CSV with a header."""
    out = io.BytesIO()
    frame.write_csv(out)
    return out.getvalue()


def questions(frame: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    """Return the first rows as an endpoint is asked about them: without the target."""
    return frame.head(count).drop("late").to_dicts()


def spec(model: str, *, quiet: str) -> str:
    """Return a model.yaml for such tables, with the example's own hyperparameters."""
    return f"""\
project: bench
model: {model}
data: {{format: csv, target: late, id: id, timestamp: at}}
delivery: {{quiet: {quiet}, max_wait: 12h}}
prepare: {{split: {{validation: 0.15, test: 0.15}}, seed: 7}}
train:
  algorithm: xgboost
  problem: binary
  hyperparameters: {{num_round: 300, max_depth: 6, eta: 0.1, early_stopping_rounds: 20}}
evaluate: {{metric: auc, minimum: 0.6}}
approve: auto
deploy: {{instance: ml.m5.large, count: 1}}
"""
