import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.registry import Registry
from tidemill.errors import NotFoundError

from .cloud import client

GROUP = "tidemill--flights--delay"


@pytest.fixture
def registry(cloud):
    return Registry(client("sagemaker"))


def test_a_group_is_made_once(cloud, registry):
    for _ in range(2):
        registry.ensure_group(GROUP, "Versions of flights/delay")
    assert list(cloud.sagemaker.groups) == [GROUP]


def test_a_group_whose_name_contains_this_one_is_another(cloud, registry):
    registry.ensure_group(f"{GROUP}-weekly", "")
    assert registry.versions(GROUP) == []
    registry.ensure_group(GROUP, "")
    assert len(cloud.sagemaker.groups) == 2


def test_versions_are_listed_with_their_approval(cloud, registry):
    cloud.sagemaker.add_version(GROUP, 1, "Approved")
    package = cloud.sagemaker.add_version(GROUP, 2)
    assert [(v["version"], v["approval"]) for v in registry.versions(GROUP)] == [
        (1, "Approved"), (2, "PendingManualApproval"),
    ]  # fmt: skip
    assert registry.version(GROUP, 2)["package"] == package


@pytest.mark.parametrize(("held", "said"), [((), "none yet"), ((1, 2), "versions: 1, 2")])
def test_a_version_that_is_not_there_is_named_with_those_that_are(cloud, registry, held, said):
    for number in held:
        cloud.sagemaker.add_version(GROUP, number)
    with pytest.raises(NotFoundError, match=said):
        registry.version(GROUP, 7)


def test_a_package_that_is_not_there_is_named(registry):
    with pytest.raises(NotFoundError, match="arn:x"):
        registry.describe("arn:x")


def test_another_refusal_is_not_absence(cloud, registry):
    cloud.refuse("sagemaker", "DescribeModelPackage", "ThrottlingException")
    with pytest.raises(ClientError, match="Throttling"):
        registry.describe("arn:x")


def test_approving_twice_is_approving(cloud, registry):
    package = cloud.sagemaker.add_version(GROUP, 1)
    for _ in range(2):
        registry.approve(package, "Approved", "good " * 500)
    held = cloud.sagemaker.packages[package]
    assert held["ModelApprovalStatus"] == "Approved"
    assert len(held["ApprovalDescription"]) == 1024, "SageMaker takes no more"
