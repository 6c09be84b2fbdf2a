"""The stack on a local cloud, and what a person types at it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployed import ROOT, Deployed
from local_cloud import LocalCloud

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    cloud = LocalCloud(tmp_path_factory.mktemp("e2e") / "state").start()
    try:
        yield Deployed(cloud)
    finally:
        cloud.close()


@pytest.fixture
def typed(stack):
    """Run a command line as a person would, and return its exit status and what it printed."""

    def run(*words, data=None):
        tools = {"tidemill": BIN / "tidemill", "aws": ROOT / ".tools/aws/bin/aws"}
        command = [str(tools[words[0]]), *map(str, words[1:])]
        done = subprocess.run(
            command,
            input=data,
            env={"PATH": os.environ["PATH"], "HOME": "/", **stack.cloud.environment()},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def answer(typed):
    """Run a `tidemill` command that must say yes, and return its JSON document."""

    def run(*words):
        status, out, errors = typed("tidemill", *words, "--json")
        assert status == 0, out + errors
        return json.loads(out)

    return run
