"""Which processes are ours: identities that survive reuse of a process id, and descendants."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STAT_PARENT, _STAT_STATE, _STAT_STARTED = 1, 0, 19  # fields after the command, see proc(5)


@dataclass(frozen=True)
class ProcessIdentity:
    """A process id with its start time: together they name one process for ever."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """
        Identify the live process *pid*.

        Raises:
            ProcessLookupError: There is none.
        """
        found = _table().get(pid)
        if found is None:
            raise ProcessLookupError(pid)
        return cls(pid, found[1])

    def is_alive(self) -> bool:
        """Say whether this very process still runs (a zombie does not)."""
        found = _table(only=self.pid).get(self.pid)
        return found is not None and found[1] == self.started


def descendants(pid: int) -> list[ProcessIdentity]:
    """Return the live processes below *pid*, parents before their children."""
    table = _table()
    children: dict[int, list[int]] = {}
    for child, (parent, _) in table.items():
        children.setdefault(parent, []).append(child)
    found: list[ProcessIdentity] = []
    queue = list(children.get(pid, ()))
    while queue:
        child = queue.pop(0)
        found.append(ProcessIdentity(child, table[child][1]))
        queue.extend(children.get(child, ()))
    return found


def end(processes: Iterable[ProcessIdentity], *, grace: float = 3.0) -> list[ProcessIdentity]:
    """
    Ask the processes to stop, and kill those that have not after *grace* seconds.

    Returns:
        Those that were alive when asked.
    """
    asked = [process for process in processes if process.is_alive()]
    for process in asked:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(process.is_alive() for process in asked) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in asked:
        _signal(process, signal.SIGKILL)
    return asked


def _signal(process: ProcessIdentity, number: signal.Signals) -> None:
    if process.is_alive():
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return  # it ended by itself in between


def _table(only: int | None = None) -> dict[int, tuple[int, str]]:
    """Return parent and start time of each live process (or of *only* one)."""
    if _PROC.joinpath("self/stat").exists():
        pids = (
            [str(only)]
            if only is not None
            else [folder.name for folder in _PROC.iterdir() if folder.name.isdigit()]
        )
        rows = ((int(pid), _linux_row(pid)) for pid in pids)
        return {pid: row for pid, row in rows if row is not None}
    return _portable_table(only)


def _linux_row(pid: str) -> tuple[int, str] | None:
    try:
        stat = _PROC.joinpath(pid, "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the command may itself hold spaces and brackets
    if fields[_STAT_STATE] in "ZX":
        return None
    return int(fields[_STAT_PARENT]), fields[_STAT_STARTED]


def _portable_table(only: int | None) -> dict[int, tuple[int, str]]:
    select = ["-p", str(only)] if only is not None else ["-A"]
    listing = subprocess.run(
        ["ps", *select, "-o", "pid=,ppid=,stat=,lstart="],
        capture_output=True, text=True, check=False, env={"PATH": os.defpath, "LC_ALL": "C"},
    )  # fmt: skip
    table = {}
    for line in listing.stdout.splitlines():
        pid, parent, state, started = line.split(None, 3)
        if not state.startswith("Z"):
            table[int(pid)] = (int(parent), started)
    return table
