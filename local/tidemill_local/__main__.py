"""`python -m tidemill_local --port 4566 --state .tidemill`: the local cloud in the foreground."""

import argparse
import importlib
import json
import os
import shutil
import sys
from pathlib import Path

from tidemill_local import environment, processes
from tidemill_local.processes import ProcessIdentity
from tidemill_local.state_directory import LocalCloudError, StateDirectory


def main(arguments: list[str] | None = None) -> int:
    """Run the engine until it is told to stop and return the exit status."""
    parser = argparse.ArgumentParser(prog="tidemill_local", description=__doc__)
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--state", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    state = StateDirectory.locate(chosen.state)
    try:
        serve(state, chosen.port)
    except LocalCloudError as error:
        print(f"tidemill_local: {error}", file=sys.stderr)  # noqa: T201 - a person started it
        return 1
    return 0


def serve(state: StateDirectory, port: int) -> None:
    """
    Own the state directory and serve from it.

    Raises:
        LocalCloudError: The directory is in use or unusable, or ministack does not fit.
    """
    state.create()
    with state.owned(port) as owner:
        clean_up(state)
        environment.enter(environment.engine_environment(state, port, os.environ))
        # Imported now, not above: ministack reads the environment while it is imported.
        server = importlib.import_module("tidemill_local.engine.server")
        server.Engine(state, owner).run()


def clean_up(state: StateDirectory) -> None:
    """Remove what a killed engine left behind: its children and their temporary files."""
    try:
        children = [ProcessIdentity(**child) for child in json.loads(state.children.read_text())]
    except (OSError, ValueError, TypeError):
        children = []  # the last engine had none, or was killed while it wrote the list
    processes.end(children)
    state.children.unlink(missing_ok=True)
    shutil.rmtree(state.temporary, ignore_errors=True)
    state.temporary.mkdir(mode=0o700, exist_ok=True)


if __name__ == "__main__":
    exit_status = main()
    sys.stderr.flush()
    # All is saved and stopped; a thread that still waits for somebody must not keep us.
    os._exit(exit_status)
