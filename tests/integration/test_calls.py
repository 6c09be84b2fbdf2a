"""The test cloud itself sees what AWS would refuse."""

import pytest

from .. import stack
from .calls import needed, reserved_words
from .cloud import Hooks, client


def test_reserved_words_are_found_in_every_expression():
    request = {
        "TransactItems": [
            {"Update": {"UpdateExpression": "SET #at = :names ADD names :x, arrived :y"}}
        ]
    }
    assert reserved_words(request) == {"names"}


def test_a_call_that_the_template_does_not_grant_is_refused(cloud):
    cloud._running = "smoke_endpoint"
    with pytest.raises(AssertionError, match="smoke_endpoint may not dynamodb:GetItem"):
        cloud.stores.specs.find("flights/delay")
    cloud._running = ""


def test_an_action_is_granted_on_its_resource_only(template):
    allowed = stack.allows(
        "admit_upload", "s3:PutObject", f"arn:aws:s3:::{stack.LAKE}/quarantine/x", template
    )
    elsewhere = stack.allows(
        "admit_upload", "s3:PutObject", f"arn:aws:s3:::{stack.LAKE}/raw/x", template
    )
    assert allowed
    assert not elsewhere


def test_a_version_needs_rights_of_its_own():
    request = {"Bucket": "b", "Key": "k", "VersionId": "v"}
    assert list(needed("s3", "HeadObject", request)) == [
        ("s3:GetObjectVersion", "arn:aws:s3:::b/k")
    ]


def test_outside_a_cloud_nothing_is_seen():
    assert Hooks.current is None
    assert client("sagemaker").meta.region_name == "us-east-1"
