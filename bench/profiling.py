"""
What a profile costs beside decoding alone, DuckDB, pandas and Apache DataSketches.

Every reading is a process of its own, the engines take turns, and medians are told. CPU seconds
are the figure: wall time says more about what else the machine does. But threads show in it alone,
so the ratios of both are told.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import wide_rows
from cloud import ROOT, BenchError, Workspace, clean_environment
from figures import Figure, Result, median

ROWS, QUICK_ROWS = 5_000_000, 200_000
MANY_ROWS, QUICK_MANY_ROWS = 12_000_000, 600_000
SEED = 7
ROUNDS = 5
KEPT = ROOT / ".tools" / "bench"  # the tables: the same at every run, and slow to make
PEERS = ROOT / ".tools" / "peers" / "bin" / "python"
ENGINES = {
    "floor": sys.executable,
    "tidemill": sys.executable,
    "duckdb": sys.executable,
    "pandas": str(PEERS),
}
SKETCHES = {"sketch_ours": sys.executable, "sketch_apache": str(PEERS)}
#: Ours as a share of theirs, at most, for each format.
GOALS = {
    "parquet": {"floor": 2.0, "duckdb": 1 / 3, "pandas": 1 / 10},
    "csv": {"floor": 1.4, "duckdb": None, "pandas": None},
}
RSS_GOAL = 400.0
SKETCH_GOAL = 1 / 8
TIMEOUT_SECONDS = 900

Samples = dict[str, list[float]]


def measure(workspace: Workspace) -> Result:
    """Read the table as Parquet and as CSV, sketch, and read a larger CSV."""
    if not PEERS.exists():
        raise BenchError("pandas and datasketches are not there; run: make peers")
    rows, many = (QUICK_ROWS, QUICK_MANY_ROWS) if workspace.quick else (ROWS, MANY_ROWS)
    rounds = 1 if workspace.quick else ROUNDS
    samples: Samples = defaultdict(list)
    figures: list[Figure] = []
    for form, goals in GOALS.items():
        path = _table(rows, form)
        for _ in range(rounds):
            for engine, python in ENGINES.items():
                _sample(samples, engine, python, path, form)
        figures += _figures(samples, form, goals, rows)
    for _ in range(rounds):
        for engine, python in SKETCHES.items():
            _sample(samples, engine, python, Path("-"), "5M doubles")
    figures += _sketch_figures(samples)
    large = _table(many, "csv")
    _sample(samples, "tidemill", sys.executable, large, "large csv")
    (resident,) = samples["tidemill large csv rss"]
    size = large.stat().st_size / 1_048_576
    figures.append(
        Figure(
            f"RSS, CSV of {many / 1e6:g}M rows", resident, "MiB", RSS_GOAL,
            f"{size:,.0f} MiB of CSV, {samples['tidemill large csv cpu'][0]:.1f} CPU s",
        )
    )  # fmt: skip
    title = f"Profile of {rows / 1e6:g}M rows of 20 columns"
    return Result(title, tuple(figures), dict(samples))


def _figures(
    samples: Samples, form: str, goals: dict[str, float | None], rows: int
) -> list[Figure]:
    def of(engine: str, what: str) -> float:
        return median(samples[f"{engine} {form} {what}"])

    figures = [
        Figure(
            f"{form}: {engine}", of(engine, "cpu"), "CPU s",
            note=f"{of(engine, 'wall'):.1f} s wall, {of(engine, 'rss'):,.0f} MiB RSS",
        )
        for engine in ENGINES
    ]  # fmt: skip
    figures += [
        Figure(
            f"{form}: tidemill ÷ {peer}{of_wall}", of("tidemill", what) / of(peer, what), "x", goal,
            "medians",
        )
        for peer, goal in goals.items()
        for what, of_wall in (("cpu", ", CPU"), ("wall", ", wall"))
    ]  # fmt: skip
    figures.append(
        Figure(f"{form}: RSS of tidemill", of("tidemill", "rss"), "MiB", RSS_GOAL, f"{rows:,} rows")
    )
    return figures


def _sketch_figures(samples: Samples) -> list[Figure]:
    def of(engine: str, what: str) -> float:
        return median(samples[f"{engine} 5M doubles {what}"])

    theirs = of("sketch_apache", "error")
    return [
        Figure("sketch of 5M doubles", of("sketch_ours", "cpu"), "CPU s", note="sorting included"),
        Figure("sketch, Apache DataSketches", of("sketch_apache", "cpu"), "CPU s", note="k = 2048"),
        Figure(
            "sketch: ours ÷ Apache", of("sketch_ours", "cpu") / of("sketch_apache", "cpu"), "x",
            SKETCH_GOAL, "CPU, medians",
        ),
        Figure("rank error, thousandths", of("sketch_ours", "error") * 1_000, "", theirs * 1_000,
               f"greatest of 2,000 places; goal: Apache's {theirs * 1_000:.2f}"),
    ]  # fmt: skip


def _sample(samples: Samples, engine: str, python: str, path: Path, name: str) -> None:
    command = [python, str(Path(__file__).with_name("profiled.py")), engine, str(path)]
    done = subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{engine} failed on {path.name}: {done.stderr.strip()[-400:]}")
    for what, value in json.loads(done.stdout).items():
        samples[f"{engine} {name} {what}"].append(value)


def _table(rows: int, form: str) -> Path:
    """Return the table's file, made once."""
    path = KEPT / f"wide-{SEED}-{rows}.{form}"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        write: Callable[[Path, int, int], None] = (
            wide_rows.write_csv if form == "csv" else wide_rows.write_parquet
        )
        part = path.with_suffix(".part")
        write(part, rows, SEED)
        part.rename(path)
    return path
