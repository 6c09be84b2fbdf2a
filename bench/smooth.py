"""
How often a smooth distribution that moved alone is taken for a broken upstream: docs/drift.md.

The hardest shift for triage: one feature of a known family (normal, gamma, lognormal, beta) gets
other parameters, each about half as much again or a third less, and nothing else moves. A mean
that rises is an offset then, and a scale that grows is a factor.

    .venv/bin/python bench/smooth.py [--seed 2] [--cases 300]
"""

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

from tidemill_jobs.drift import DriftSettings, compare, triage
from tidemill_jobs.profile import Profile, Profiler

BASELINE = 30_000
WINDOWS = (600, 2_000, 10_000)
LOGARITHM = 0.5  # by which a parameter's logarithm moves, about

Random = np.random.Generator
FAMILIES: dict[str, tuple[Callable[[Random], tuple[float, float]], Callable[..., np.ndarray]]] = {
    "normal": (lambda r: (r.uniform(20, 80), r.uniform(5, 20)), Random.normal),
    "gamma": (lambda r: (r.uniform(1, 6), r.uniform(5, 20)), Random.gamma),
    "lognormal": (lambda r: (r.uniform(1, 4), r.uniform(0.3, 1)), Random.lognormal),
    "beta": (lambda r: (r.uniform(0.8, 5), r.uniform(0.8, 5)), Random.beta),
}


def main() -> None:
    """Print a table: what triage says, by rows of the window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--cases", type=int, default=300)
    chosen = parser.parse_args()
    random = np.random.default_rng(chosen.seed)
    found: Counter[tuple[int, str]] = Counter()
    signs: Counter[str] = Counter()
    for _ in range(chosen.cases):
        parameters, draw = FAMILIES[str(random.choice(list(FAMILIES)))]
        before = parameters(random)
        after = tuple(one * np.exp(random.normal(0, LOGARITHM)) for one in before)
        rows = int(random.choice(WINDOWS))
        baseline = _profile(draw(random, *before, BASELINE))
        window = _profile(draw(random, *after, rows))
        told = triage(compare(baseline, window, DriftSettings()), baseline, window)
        found[rows, told.kind] += 1
        signs.update(sign.sign for sign in told.signs)
    print("| rows | none | shift | broken_upstream |\n|---|---|---|---|")
    for rows in WINDOWS:
        cells = [str(found[rows, kind]) for kind in ("none", "shift", "broken_upstream")]
        print(f"| {rows:,} | " + " | ".join(cells) + " |")
    print("\nSigns: " + ", ".join(f"{sign} {count}" for sign, count in signs.most_common()))


def _profile(values: np.ndarray) -> Profile:
    profiler = Profiler()
    profiler.add(pl.DataFrame({"feature": values}))
    return profiler.profile()


if __name__ == "__main__":
    main()
