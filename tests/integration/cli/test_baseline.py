"""`baseline`: what a version's training rows were."""

import json

import boto3
import pytest

from .conftest import NAME, REF, deployed

STATISTICS = {
    "version": 0.0,
    "dataset": {"item_count": 56_130},
    "features": [
        {
            "name": "wind",
            "inferred_type": "Fractional",
            "numerical_statistics": {
                "common": {"num_present": 55_008, "num_missing": 1_122},
                "mean": 18.25,
                "sum": 1_003_896.0,
                "std_dev": 9.5,
                "min": 0.0,
                "max": 40.0,
                "distribution": {"kll": {"buckets": [], "sketch": {}}},
            },
        },
        {
            "name": "origin",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 56_130, "num_missing": 0},
                "distinct_count": 4.0,
                "distribution": {
                    "categorical": {
                        "buckets": [
                            {"value": "Oslo", "count": 28_065},
                            {"value": "Rome", "count": 14_033},
                            {"value": "Nice", "count": 14_000},
                            {"value": "Pau", "count": 32},
                        ]
                    }
                },
            },
        },
        {
            "name": "tail",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 56_130, "num_missing": 0},
                "distinct_count": 3_891.4,
                "distribution": {"categorical": {"buckets": [{"value": "N1", "count": 9}]}},
            },
        },
    ],
}
CONSTRAINTS = {
    "version": 0.0,
    "features": [
        {"name": "wind", "inferred_type": "Fractional", "completeness": 0.98},
        {"name": "origin", "inferred_type": "String", "completeness": 1.0},
        {"name": "tail", "inferred_type": "String", "completeness": 1.0},
    ],
    "monitoring_config": {},
}


@pytest.fixture
def register(cloud, model):
    """Register a version, with a baseline of so many rows or without one."""

    def call(number, rows=None):
        cloud.sagemaker.add_version(NAME, number)
        if rows is None:
            return
        where = f"pipelines/{REF}/run-{number}/baseline"
        statistics = STATISTICS | {"dataset": {"item_count": rows}}
        for name, document in (("statistics", statistics), ("constraints", CONSTRAINTS)):
            boto3.client("s3").put_object(
                Bucket=deployed.ARTIFACTS, Key=f"{where}/{name}.json", Body=json.dumps(document)
            )
        quality = {
            name.title(): {"S3Uri": f"s3://{deployed.ARTIFACTS}/{where}/{name}.json"}
            for name in ("statistics", "constraints")
        }
        (package,) = [
            held
            for held in cloud.sagemaker.packages.values()
            if held["ModelPackageVersion"] == number
        ]
        package["DriftCheckBaselines"] = {"ModelDataQuality": quality}

    return call


def test_each_column_is_a_line_and_the_files_are_named(run, register):
    register(1, 56_130)

    answer = run("baseline", REF)

    assert answer.exit_code == 0, answer.output
    printed = answer.stdout
    assert "version 1 of flights/delay learned from 56,130 rows" in printed
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in printed.splitlines() if line}
    assert lines["wind"].startswith("Fractional 98.0% 18.25 9.5 0 to 40")
    assert lines["origin"].endswith("Oslo 50%, Rome 25%, Nice 25%, and 1 more")
    assert lines["tail"].endswith("3,891 different")
    where = f"s3://{deployed.ARTIFACTS}/pipelines/{REF}/run-1/baseline"
    for name in ("profile.json.gz", "statistics.json", "constraints.json"):
        assert f"{where}/{name}" in printed.splitlines()


def test_as_json(document, documented, register):
    register(1, 56_130)

    found = document("baseline", REF)

    assert tuple(found) == documented("baseline")
    wind, origin, _ = found["features"]
    assert tuple(wind) == documented("baseline", "features")
    assert (wind["min"], wind["max"], wind["distinct"], wind["categories"]) == (0, 40, None, {})
    assert origin["categories"]["Pau"] == 32
    assert origin["mean"] is None


def test_the_version_in_service_is_meant_and_another_can_be_named(document, life, register):
    for number in (1, 2):
        register(number, number * 1_000)
    assert document("baseline", REF)["version"] == 2

    life.serve(1)

    assert document("baseline", REF)["rows"] == 1_000
    assert document("baseline", REF, "--version", "2")["rows"] == 2_000


def test_a_version_from_before_has_none_and_the_next_step_is_said(run, register):
    register(1)

    answer = run("baseline", REF)

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "version 1 was registered before versions had a baseline" in answer.stderr
    assert "apply the model's spec again" in answer.stderr


def test_files_that_are_gone_are_named(run, register):
    register(1, 5)
    boto3.client("s3").delete_object(
        Bucket=deployed.ARTIFACTS, Key=f"pipelines/{REF}/run-1/baseline/statistics.json"
    )

    answer = run("baseline", REF)

    assert answer.exit_code == 1
    assert "statistics.json is gone" in answer.stderr


def test_without_a_version_it_says_how_one_comes(run, model):
    answer = run("baseline", REF)

    assert answer.exit_code == 1
    assert "no version yet" in answer.stderr


def test_a_version_that_is_not_there_is_malformed(run, register):
    register(1, 5)

    answer = run("baseline", REF, "--version", "7")

    assert answer.exit_code == 2
    assert "there is no version 7; versions: 1" in answer.stderr
