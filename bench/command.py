"""How long a person waits for `tidemill --help`."""

import subprocess
import sys
import time

from cloud import BIN, Workspace, clean_environment
from figures import Figure, Result, median

SAMPLES, QUICK_SAMPLES = 20, 3
GOAL_SECONDS = 0.3


def measure(workspace: Workspace) -> Result:
    """Run it and an empty Python program by turns, so that both meet the same machine."""
    count = QUICK_SAMPLES if workspace.quick else SAMPLES
    helps: list[float] = []
    empties: list[float] = []
    for _ in range(count + 1):
        empties.append(_seconds([sys.executable, "-c", "pass"]))
        helps.append(_seconds([str(BIN / "tidemill"), "--help"]))
    helps, empties = helps[1:], empties[1:]  # the first read the files from the disk
    ratios = [mine / empty for mine, empty in zip(helps, empties, strict=True)]
    figures = (
        Figure("tidemill --help", median(helps), "s", GOAL_SECONDS, f"median of {count}"),
        Figure("python -c pass", median(empties), "s", note="by turns with it"),
        Figure("ratio", median(ratios), "x", note="median of the pairs' ratios"),
    )
    return Result("The command line", figures, {"help": helps, "empty": empties})


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=clean_environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
