"""
One reading of bench/drifting.py, in a process of its own: `ours` or `scipy`, then the rows.

Both hold the same columns against each other, 13 of numbers and 3 of categories, drawn from the
same seeds. Prints JSON: CPU and wall seconds, and the distances found.
"""

import json
import sys
import time
from typing import Any

import numpy as np

SEED = 11
NUMBERS, CATEGORIES = 13, 3
REPEATS = 25


def columns(rows: int, seed: int, moved: float) -> dict[str, Any]:
    """Return the columns by name; *moved* is how far they are from those of 0."""
    random = np.random.default_rng(seed)
    found = {}
    for place in range(NUMBERS):
        shift = moved * (place + 1) / 200
        draw = (
            lambda by: random.normal(by, 1, rows),
            lambda by: random.gamma(2.0 + by, 3.0, rows),
            lambda by: random.integers(0, 5_000, rows) * (1 + by),
            lambda by: random.standard_t(3, rows) + by,
        )[place % 4]
        found[f"n{place}"] = draw(shift)
    for place in range(CATEGORIES):
        levels = (5, 50, 500)[place]
        weights = 1.0 / np.arange(1, levels + 1) ** (1 + moved * 0.05)
        found[f"c{place}"] = random.choice(levels, rows, p=weights / weights.sum())
    return found


def ours(rows: int) -> dict[str, Any]:
    """Profile the current rows and compare: the baseline's were profiled when it was made."""
    import polars as pl  # noqa: PLC0415  # the oracle's environment has none

    from tidemill_jobs.drift import DriftSettings, compare  # noqa: PLC0415
    from tidemill_jobs.profile import Profile, Profiler  # noqa: PLC0415

    def frame(seed: int, moved: float) -> pl.DataFrame:
        drawn = pl.DataFrame(columns(rows, seed, moved))
        return drawn.with_columns(pl.col("^c.*$").cast(pl.String) + "c")

    def profiled(table: pl.DataFrame) -> Profile:
        profiler = Profiler()
        for batch in table.iter_slices(131_072):
            profiler.add(batch)
        return profiler.profile()

    settings = DriftSettings()
    baseline = Profile.loads(profiled(frame(SEED, 0)).dumps())
    now = frame(SEED + 1, 1)
    cpu, wall = time.process_time(), time.perf_counter()
    current = profiled(now)
    comparison = compare(baseline, current, settings)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    again = []
    for _ in range(REPEATS):
        began = time.process_time()
        compare(baseline, current, settings)
        again.append(time.process_time() - began)
    distances = {one.feature: one.distances.document() for one in comparison.features}
    return {**spent, "compare": again, "distances": distances}


def scipy(rows: int) -> dict[str, Any]:
    """Take the same five distances from the rows themselves."""
    from scipy import stats  # noqa: PLC0415  # ours has none
    from scipy.spatial.distance import jensenshannon  # noqa: PLC0415

    was, now = columns(rows, SEED, 0), columns(rows, SEED + 1, 1)
    found = {}
    cpu, wall = time.process_time(), time.perf_counter()
    for name, before in was.items():
        after = now[name]
        if name.startswith("n"):
            edges = np.unique(np.quantile(before, np.arange(1, 10) / 10))
            shares = [
                np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) / rows
                for side in (before, after)
            ]
            found[name] = {
                "ks": float(stats.ks_2samp(before, after, method="asymp").statistic),
                "wasserstein": float(stats.wasserstein_distance(before, after)),
            }
        else:
            counts = [np.unique(side, return_counts=True) for side in (before, after)]
            levels = np.union1d(counts[0][0], counts[1][0])
            table = np.zeros((2, len(levels)))
            for row, (values, seen) in enumerate(counts):
                table[row, np.searchsorted(levels, values)] = seen
            shares = list(table / rows)
            chi2 = stats.chi2_contingency(table, correction=False)
            found[name] = {
                "linf_simple": float(np.abs(shares[0] - shares[1]).max()),
                "chi2": float(chi2.statistic),
            }
        ratio = np.maximum(shares[1], 1e-4), np.maximum(shares[0], 1e-4)
        found[name] |= {
            "psi": float(((ratio[0] - ratio[1]) * np.log(ratio[0] / ratio[1])).sum()),
            "js": float(jensenshannon(*shares, base=2)),
        }
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    deviations = {name: float(side.std()) for name, side in was.items() if name.startswith("n")}
    return {**spent, "distances": found, "deviations": deviations}


if __name__ == "__main__":
    print(json.dumps({"ours": ours, "scipy": scipy}[sys.argv[1]](int(sys.argv[2]))))
