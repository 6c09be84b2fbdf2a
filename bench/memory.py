"""How much memory the local cloud takes while nothing happens: the whole tree of processes."""

import time
from dataclasses import dataclass
from pathlib import Path

import rows
from cloud import BenchError, Workspace
from figures import Figure, Result
from turning import Asker, turn

REF = "bench/memory"
ROWS = 4_000
GOAL_MIB = 250.0
SETTLE_SECONDS = 40.0  # idle functions are stopped after 30 s
EMPTY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """
    Memory of a tree of processes, in MiB.

    `rss` counts a page that n processes share n times, `pss` n times one nth: once.
    """

    processes: int
    rss: float
    pss: float


def measure(workspace: Workspace) -> Result:
    """Look at an empty cloud, at one with the stack, and at one that serves an endpoint."""
    settle = EMPTY_SECONDS if workspace.quick else SETTLE_SECONDS
    found: dict[str, Footprint] = {}
    with workspace.cloud("memory") as cloud:
        time.sleep(EMPTY_SECONDS)
        found["empty"] = footprint(cloud.pid)
        cloud.deploy()
        time.sleep(settle)
        found["stack deployed"] = footprint(cloud.pid)
        cloud.apply(rows.spec("memory", quiet="1s"))
        turn(cloud, REF, Asker(cloud, REF), rows.as_csv(rows.table(ROWS, seed=1)))
        time.sleep(settle)
        found["one endpoint serving"] = footprint(cloud.pid)
    goals = {"empty": GOAL_MIB, "stack deployed": GOAL_MIB}
    figures = [
        Figure(
            f"idle, {name}", each.pss, "MiB", goals.get(name),
            f"PSS; RSS {each.rss:.0f} MiB; {each.processes} processes",
        )
        for name, each in found.items()
    ]  # fmt: skip
    samples = {f"{name} [pss, rss]": [each.pss, each.rss] for name, each in found.items()}
    return Result("Memory of the idle local cloud", tuple(figures), samples)


def footprint(pid: int) -> Footprint:
    """
    Add up a process and all below it (Linux).

    Raises:
        BenchError: This system does not tell.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise BenchError("memory is read from /proc/<pid>/smaps_rollup, which only Linux has")
    pids = tree(pid)
    sums = {"Rss": 0, "Pss": 0}
    for each in pids:
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in sums:
                sums[name] += int(rest.split()[0])
    return Footprint(len(pids), sums["Rss"] / 1024, sums["Pss"] / 1024)


def tree(pid: int) -> list[int]:
    """Return a process and all below it (Linux)."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found
