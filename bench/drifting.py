"""
What drift costs from sketches, beside scipy on the rows themselves, and how far they differ.

Every reading is a process of its own, and the two take turns; medians are told. CPU seconds are
the figure: wall time says more about what else the machine does.
"""

import json
import subprocess
import sys
from collections import defaultdict
from typing import Any

from cloud import ROOT, BenchError, Workspace, clean_environment
from figures import Figure, Result, median

ROWS, QUICK_ROWS = 1_000_000, 50_000
ROUNDS = 3
ORACLES = ROOT / ".tools" / "oracles" / "bin" / "python"
ENGINES = {"ours": sys.executable, "scipy": str(ORACLES)}
TIMEOUT_SECONDS = 600


def measure(workspace: Workspace) -> Result:
    """Compare 16 features of a million rows with a million others, both ways in turn."""
    if not ORACLES.exists():
        raise BenchError("scipy is not there; run: make oracles")
    rows = QUICK_ROWS if workspace.quick else ROWS
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(1 if workspace.quick else ROUNDS):
        for engine, python in ENGINES.items():
            found[engine].append(_run(engine, python, rows))
    samples = {
        f"{engine} {clock}": [reading[clock] for reading in readings]
        for engine, readings in found.items()
        for clock in ("cpu", "wall")
    }
    samples["compare"] = [1e3 * median(reading["compare"]) for reading in found["ours"]]
    cpu = {engine: median(samples[f"{engine} cpu"]) for engine in ENGINES}
    note = f"scipy {cpu['scipy']:.2f} CPU s; ours {cpu['ours']:.3f}, the window's profile included"
    errors = _errors(found["ours"][0]["distances"], found["scipy"][0])
    title = f"Drift of 16 features, {rows:,} rows against {rows:,}"
    return Result(
        title,
        (
            Figure("ours / scipy on the rows", cpu["ours"] / cpu["scipy"], "x", 1 / 20, note),
            Figure(
                "all distances of 16 features", median(samples["compare"]), "ms", 15.0,
                "from two profiles; CPU",
            ),
            Figure("largest KS error", errors["ks"], "", 0.001, "13 features of numbers"),
            Figure(
                "largest Wasserstein error", errors["wasserstein"], "", 0.003,
                "in standard deviations of the feature",
            ),
            Figure("largest PSI error", errors["psi"], note="16 features"),
            Figure("largest Jensen-Shannon error", errors["js"], note="16 features"),
        ),
        samples,
    )  # fmt: skip


def _errors(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    exact, deviations = theirs["distances"], theirs["deviations"]
    errors: dict[str, float] = defaultdict(float)
    for feature, distances in exact.items():
        for name, value in distances.items():
            unit = deviations[feature] if name == "wasserstein" else 1.0
            errors[name] = max(errors[name], abs(ours[feature][name] - value) / unit)
    return errors


def _run(engine: str, python: str, rows: int) -> dict[str, Any]:
    done = subprocess.run(
        [python, str(ROOT / "bench" / "drifting_work.py"), engine, str(rows)],
        capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
        env=clean_environment(),
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"{engine} ended with {done.returncode}: {done.stderr[-500:]}")
    reading: dict[str, Any] = json.loads(done.stdout)
    return reading
