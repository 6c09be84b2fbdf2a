"""Where a version's baseline is, as its model package tells it."""

from tidemill.adapters.baselines import baseline_of, without_baseline
from tidemill.adapters.registry import Registry

from .cloud import client

GROUP = "tidemill--flights--delay"
WHERE = "s3://tidemill-artifacts/pipelines/flights/delay/run-1/baseline"
QUALITY = {
    "Statistics": {"ContentType": "application/json", "S3Uri": f"{WHERE}/statistics.json"},
    "Constraints": {"ContentType": "application/json", "S3Uri": f"{WHERE}/constraints.json"},
}


def described(cloud, **more):
    package = cloud.sagemaker.add_version(GROUP, 1, **more)
    return Registry(client("sagemaker")).describe(package)


def test_a_versions_baseline_is_where_its_package_says(cloud):
    found = baseline_of(described(cloud, DriftCheckBaselines={"ModelDataQuality": QUALITY}))

    assert found.statistics == f"{WHERE}/statistics.json"
    assert found.constraints == f"{WHERE}/constraints.json"
    assert found.profile == f"{WHERE}/profile.json.gz"
    assert found.prefix == WHERE


def test_a_version_from_before_has_none(cloud):
    assert baseline_of(described(cloud)) is None
    assert "version 1 was registered before" in without_baseline(1)


def test_half_a_baseline_is_none(cloud):
    half = {"ModelDataQuality": {"Statistics": QUALITY["Statistics"]}}

    assert baseline_of(described(cloud, DriftCheckBaselines=half)) is None
