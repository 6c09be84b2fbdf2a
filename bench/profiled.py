"""
One reading of one file by one engine, in a process of its own: `profiled.py ENGINE PATH`.

Prints CPU seconds (all threads) and seconds of the work alone, without imports, and the greatest
resident set in MiB. The peers compute what a profile needs: counts, gaps, sum, mean, deviation,
ends, quantiles, distinct values, and the most frequent texts.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

QUANTILES = [step / 20 for step in range(21)]
TOP = 10
SKETCHED = 5_000_000
BATCH = 131_072
ASKED = 2_000  # places where ranks are compared


def floor(path: Path) -> Callable[[], object]:
    """Decode every column, and look at none."""
    import polars as pl

    return lambda: pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)


def tidemill(path: Path) -> Callable[[], object]:
    """Profile."""
    from tidemill_jobs.profile.files import profile_file

    return lambda: profile_file(path).dumps()


def duckdb(path: Path) -> Callable[[], object]:
    """One SELECT."""
    import duckdb

    connection = duckdb.connect()
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    table = f"{reader}('{path}')"
    described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()

    def query() -> object:
        wanted = ["count(*)"]
        for column, kind, *_ in described:
            name = f'"{column}"'
            wanted += [f"count({name})", f"approx_count_distinct({name})", f"min({name})"]
            wanted += [f"max({name})"]
            if kind == "VARCHAR":
                wanted += [f"approx_top_k({name}, {TOP})", f"avg(length({name}))"]
            elif kind not in ("BOOLEAN", "TIMESTAMP"):
                wanted += [f"sum({name})", f"avg({name})", f"stddev_pop({name})"]
                wanted += [f"approx_quantile({name}, {QUANTILES})"]
        return connection.execute(f"SELECT {', '.join(wanted)} FROM {table}").fetchall()

    return query


def pandas(path: Path) -> Callable[[], object]:
    """What its users write."""
    import pandas as pd

    def profile() -> object:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        found: dict[str, object] = {}
        for name, column in frame.items():
            facts = [column.count(), column.isna().sum(), column.nunique()]
            if pd.api.types.is_numeric_dtype(column) and column.dtype != bool:
                facts += [column.sum(), column.mean(), column.std(ddof=0)]
                facts += [column.min(), column.max(), column.quantile(QUANTILES)]
            elif column.dtype != bool and not pd.api.types.is_datetime64_any_dtype(column):
                facts += [column.value_counts().head(TOP), column.str.len().mean()]
            found[str(name)] = facts
        return found

    return profile


def sketch_ours(_: Path) -> Callable[[], object]:
    """Sketch doubles; the greatest error of ranks is told."""
    import numpy as np

    from tidemill_jobs.profile import Kll
    from tidemill_jobs.profile.batch import Batch

    values = np.random.default_rng(7).normal(size=SKETCHED)

    def sketch() -> object:
        kept = Kll()
        for start in range(0, SKETCHED, BATCH):
            kept = kept.add(Batch.of_floats(values[start : start + BATCH]))
        return kept

    return _told(values, sketch, lambda kept, asked: kept.rank(asked))


def sketch_apache(_: Path) -> Callable[[], object]:
    """Sketch the same with Apache DataSketches."""
    import datasketches
    import numpy as np

    values = np.random.default_rng(7).normal(size=SKETCHED)

    def sketch() -> object:
        kept = datasketches.kll_doubles_sketch(2048)
        for start in range(0, SKETCHED, BATCH):
            kept.update(values[start : start + BATCH])
        return kept

    return _told(values, sketch, lambda kept, asked: [kept.get_rank(x, True) for x in asked])


def _told(values: object, sketch: Callable[[], object], rank: Callable) -> Callable[[], object]:
    import numpy as np

    def work() -> object:
        kept = sketch()

        def error() -> float:
            ordered = np.sort(values)
            asked = ordered[:: len(ordered) // ASKED]
            true = np.searchsorted(ordered, asked, side="right") / len(ordered)
            return float(np.abs(np.asarray(rank(kept, asked)) - true).max())

        return error

    return work


ENGINES = {
    each.__name__: each for each in (floor, tidemill, duckdb, pandas, sketch_ours, sketch_apache)
}


def main() -> None:
    """Run the engine that the arguments name."""
    work = ENGINES[sys.argv[1]](Path(sys.argv[2]))
    cpu, wall = time.process_time(), time.perf_counter()
    answer = work()
    told = {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if sys.argv[1].startswith("sketch"):
        told["error"] = answer()  # type: ignore[operator]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
