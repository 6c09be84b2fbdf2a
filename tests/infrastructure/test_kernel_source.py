"""The kernel's source compiles for every machine that may run a profile, this one or not."""

import subprocess

from .template_model import ROOT

ZIG = ROOT / ".tools/zig/bin/python"


def test_the_kernel_compiles_for_every_target():
    assert ZIG.exists(), f"{ZIG} is not there: run `make install`"
    command = [ZIG, ROOT / "jobs/build_kernel.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stderr
