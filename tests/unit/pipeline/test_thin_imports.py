"""Handlers import the pipeline package and the compiled spec: nothing heavy may come along."""

import subprocess
import sys

import pytest

HEAVY = ("pydantic", "pydantic_core", "yaml", "boto3", "botocore", "sagemaker", "polars", "numpy")


@pytest.mark.parametrize(
    "module",
    [
        "tidemill.spec.compiled",
        "tidemill.spec.diff",
        "tidemill.spec.metrics",
        "tidemill.pipeline.definition",
        "tidemill.pipeline.prepare_job",
    ],
)
def test_nothing_heavy_is_imported(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == ""
