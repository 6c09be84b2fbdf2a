"""
The figures of docs/benchmarks.md: `make bench`.

Each bench starts a local cloud of its own, on a free port and with its own temporary state, and
stops it again. `demo` takes minutes and the network's package registry, so it runs only by name.

    python bench/run.py [--only NAME]… [--json FILE] [--quick]
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cold_imports
import command
import demo
import drifting
import intake
import jobs
import memory
import profiling
import serving
import storm
import turn_time
import work
import year
from botocore.exceptions import BotoCoreError, ClientError
from cloud import BenchError, Workspace
from figures import Result

BENCHES: dict[str, Callable[[Workspace], Result]] = {
    "turn": turn_time.measure,
    "intake": intake.measure,
    "work": work.measure,
    "memory": memory.measure,
    "jobs": jobs.measure,
    "command": command.measure,
    "imports": cold_imports.measure,
    "drift": drifting.measure,
    "year": year.measure,
    "profile": profiling.measure,
    "serving": serving.measure,
    "storm": storm.measure,
    "demo": demo.measure,
}
BY_NAME_ONLY = ("demo", "drift", "storm")


def main() -> int:
    """Run the benches; return 1 when one could not be run. A missed goal is a finding, no error."""
    parser = argparse.ArgumentParser(description="The figures of docs/benchmarks.md")
    parser.add_argument("--only", action="append", choices=BENCHES, help="may be given repeatedly")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there, too")
    parser.add_argument("--quick", action="store_true", help="few samples: does the bench work?")
    parser.add_argument("--storm", type=size, metavar="UPLOADSxMODELS", help="a storm of that size")
    chosen = parser.parse_args()
    names = chosen.only or [name for name in BENCHES if name not in BY_NAME_ONLY]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    document: dict[str, Any] = {"machine": machine(), "quick": chosen.quick, "benches": {}}
    print(f"{'Quick run, not to be quoted. ' if chosen.quick else ''}{describe(machine())}")
    failed = []
    for name in names:
        began, load = time.monotonic(), os.getloadavg()[0]
        try:
            result = bench(name, quick=chosen.quick, storm=chosen.storm)
        except (BenchError, BotoCoreError, ClientError) as error:
            print(f"\nThe bench {name} could not be run: {error}", file=sys.stderr)
            failed.append(name)
            continue
        took = time.monotonic() - began
        print(
            f"\n{result.markdown()}\n\n({name}: {took:.0f} s; load before it {load:.2f})",
            flush=True,
        )
        document["benches"][name] = {**result.to_json(), "seconds": took, "load_before": load}
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1))
    return 1 if failed else 0


def bench(name: str, *, quick: bool, storm: tuple[int, int] | None = None) -> Result:
    """Run one bench in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as directory:
        return BENCHES[name](Workspace(Path(directory), quick=quick, storm=storm))


def size(text: str) -> tuple[int, int]:
    """Read `4000x4`: how many uploads come, over how many models."""
    uploads, _, models = text.partition("x")
    return int(uploads), int(models)


def machine() -> dict[str, Any]:
    """Say where the figures come from."""
    return {
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def describe(found: dict[str, Any]) -> str:
    """Return the same as a sentence."""
    return (
        f"{found['at']}: {found['cores']} cores, {found['system']}, Python {found['python']}, "
        f"load {found['load']:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
