"""
The SageMaker SDK, in an environment of its own, reads our files as Model Monitor's.
"""

import json

import numpy as np
import polars as pl
import pytest

from tidemill.pipeline.steps import RegisterModelStep
from tidemill_jobs.baseline import Baseline
from tidemill_jobs.drift import DriftSettings, compare
from tidemill_jobs.monitor import monitoring_config, to_text, violations
from tidemill_jobs.profile import Profiler

from .conftest import BUCKET

GROUP = "tidemill--flights--delay"
WHERE = "pipelines/flights/delay/run-1/baseline"
KINDS = {"wind": "number", "origin": "category", "left": "time", "night": "boolean"}


def profile(rows, *, mean, origins, seed=1):
    draw = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "wind": [None if gap < 0.05 else value for gap, value in draw.random((rows, 2))],
            "origin": draw.choice(origins, rows),
            "left": [f"2026-01-{day:02d}T10:00Z" for day in draw.integers(1, 28, rows)],
            "night": draw.random(rows) < 0.3,
        }
    ).with_columns(pl.col("wind") * 10 + mean)
    profiler = Profiler(KINDS)
    profiler.add(frame)
    return profiler.profile()


@pytest.fixture(scope="module")
def written():
    """The files' content by name: a baseline's, and what a comparison with it found."""
    known = profile(3_000, mean=0, origins=["Oslo", "Rome"])
    baseline = Baseline(known, monitoring_config(DriftSettings())).with_answers(
        pl.Series(np.random.default_rng(2).random(900))
    )
    later = profile(2_000, mean=8, origins=["Oslo", "Rome", "Nice", "Pau"], seed=3)
    findings = compare(known, later, DriftSettings()).findings
    assert {finding.check for finding in findings} >= {
        "baseline_drift_check", "categorical_values_check",
    }  # fmt: skip
    found = to_text(violations(findings)).encode()
    return {**baseline.files(), "constraint_violations.json": found}


@pytest.fixture(scope="module")
def registered():
    """The arguments of the Register step, as the pipeline's definition has them."""
    step = RegisterModelStep(
        name="Register",
        group=GROUP,
        image="000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local",
        model_data="s3://artifacts/model.tar.gz",
        content_types=("text/csv",),
        response_types=("text/csv",),
        instances=("ml.m5.large",),
        quality="s3://artifacts/evaluation.json",
        data_statistics=f"s3://{BUCKET}/{WHERE}/statistics.json",
        data_constraints=f"s3://{BUCKET}/{WHERE}/constraints.json",
        metadata={"run": "run-1"},
    )
    return step.definition()["Arguments"]


@pytest.fixture(scope="module")
def read(cloud, run_program, written, registered):
    """What the SDK reads of a version that is registered so."""
    for name, content in written.items():
        cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{WHERE}/{name}", Body=content)
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    package = cloud.client("sagemaker").create_model_package(**registered)["ModelPackageArn"]
    return run_program(
        "read_monitor_files",
        package=package,
        violations_uri=f"s3://{BUCKET}/{WHERE}/constraint_violations.json",
    )


def test_statistics_constraints_and_violations_are_read_whole(read, written):
    names = ("statistics.json", "constraints.json", "constraint_violations.json")

    assert read["read"] == [json.loads(written[name]) for name in names]


def test_monitoring_can_be_switched_off_for_all_and_for_a_feature(read, written):
    assert read["changed"]["monitoring_config"]["evaluate_constraints"] == "Disabled"
    wind, *others = read["changed"]["features"]
    assert wind["monitoring_config_overrides"] == {"evaluate_constraints": "Disabled"}
    assert others == json.loads(written["constraints.json"])["features"][1:]


def test_the_sdk_would_register_the_baseline_under_the_same_names(read, registered):
    assert read["baselines"] == registered["DriftCheckBaselines"]
    quality = registered["ModelMetrics"]["ModelDataQuality"]
    assert read["metrics"]["ModelDataQuality"] == quality
