"""How long a newcomer waits: `make demo` on a fresh clone of HEAD, with a warm package cache."""

import re
import subprocess
import time
from pathlib import Path

from cloud import ROOT, BenchError, Workspace, clean_environment, free_port, run
from figures import Figure, Result

GOAL_SECONDS = 300.0
_STAGE = re.compile(r"\[\d+/\d+\] (.*?)(?: on 127\.0\.0\.1:\d+)?(?: …)?$")
_INSTALLED = "· "  # how the Makefile announces what it installs
_ENDED = "What happened"
_TAIL = 60


def measure(workspace: Workspace) -> Result:
    """Clone, `make demo` on a port of its own, `make down`; the parts are the demo's own stages."""
    clone = workspace.directory / "clone"
    run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], clean_environment())
    try:
        parts, seconds = _demo(clone)
    finally:
        subprocess.run(
            ["make", "down"], cwd=clone, env=clean_environment(), capture_output=True, check=False
        )
    figures = [
        Figure("make demo", seconds, "s", GOAL_SECONDS, "fresh clone, warm package cache"),
        *(Figure(f"— {name}", spent, "s") for name, spent in parts.items()),
    ]
    return Result("From a fresh clone to an answering endpoint", tuple(figures), {})


def _demo(clone: Path) -> tuple[dict[str, float], float]:
    """
    Run it; return the seconds of each part, and of all.

    Raises:
        BenchError: The demo failed; the message holds the end of what it printed.
    """
    began = time.monotonic()
    marks: list[tuple[str, float]] = []
    lines: list[str] = []
    with subprocess.Popen(
        ["make", "demo", f"PORT={free_port()}"],
        cwd=clone, env={**clean_environment(), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            for line in process.stdout or ():
                lines.append(line)
                named = _named(line.rstrip().replace(f"{clone}/", ""))
                if named:
                    marks.append((named, time.monotonic() if marks else began))
        except BaseException:  # told to stop: so is the demo, which the block would wait for
            process.terminate()
            raise
    ended = time.monotonic()
    if process.returncode or not any(line.startswith(_ENDED) for line in lines):
        said = "".join(lines[-_TAIL:]) + _log(clone)
        raise BenchError(f"make demo ended with {process.returncode}:\n{said}")
    following = [moment for _, moment in marks[1:]] + [ended]
    parts = {name: end - start for (name, start), end in zip(marks, following, strict=True)}
    return parts, ended - began


def _named(line: str) -> str:
    """Return the part that a line of output begins, or the empty text."""
    stage = _STAGE.match(line)
    if stage:
        return stage[1]
    return f"install {line.removeprefix(_INSTALLED)}" if line.startswith(_INSTALLED) else ""


def _log(clone: Path) -> str:
    """Return the end of the local cloud's log, which goes with the clone."""
    log = clone / ".tidemill/local.log"
    if not log.exists():
        return "(the local cloud has no log)"
    last = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join(["The end of the local cloud's log:", *last])
