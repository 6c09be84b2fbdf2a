"""Tags, of everything that has an ARN."""

import pytest
from botocore.exceptions import ClientError


def tag(key, value="v"):
    return {"Key": key, "Value": value}


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def arn(cloud):
    answer = cloud.sagemaker.create_model_package_group(
        ModelPackageGroupName="g", Tags=[tag("team", "ops")]
    )
    yield answer["ModelPackageGroupArn"]
    cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="g")


def tags_of(cloud, arn):
    return {
        item["Key"]: item["Value"]
        for page in cloud.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        for item in page["Tags"]
    }


def test_tags_are_added_replaced_and_removed(cloud, arn):
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag("team", "ml"), tag("cost", "7")])
    assert tags_of(cloud, arn) == {"team": "ml", "cost": "7"}

    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "unknown"])
    assert tags_of(cloud, arn) == {"cost": "7"}


def test_an_arn_is_found_in_any_letter_case(cloud, arn):
    assert tags_of(cloud, arn.removesuffix("/g") + "/G") == {"team": "ops"}


def test_tags_come_in_pages(cloud, arn):
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag(f"k{n:02d}") for n in range(49)])

    first = cloud.sagemaker.list_tags(ResourceArn=arn, MaxResults=50)
    assert len(first["Tags"]) == 50
    assert "NextToken" not in first


def test_a_resource_has_at_most_fifty_tags(cloud, arn):
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag(f"k{n:02d}") for n in range(49)])

    with pytest.raises(ClientError, match="remove some"):
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag("one-more")])


def test_tags_go_with_their_resource(cloud, arn):
    cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="g")
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="g")

    assert tags_of(cloud, arn) == {}


def test_tags_of_nothing_are_refused(cloud):
    nothing = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/nothing"

    for call in (
        lambda: cloud.sagemaker.list_tags(ResourceArn=nothing),
        lambda: cloud.sagemaker.add_tags(ResourceArn=nothing, Tags=[tag("a")]),
        lambda: cloud.sagemaker.delete_tags(ResourceArn=nothing, TagKeys=["a"]),
    ):
        with pytest.raises(ClientError, match=f"Could not find a resource with ARN {nothing}"):
            call()


def test_keys_may_be_words_of_any_language_but_not_control_characters(cloud, arn):
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag("équipe été_1")])
    assert "équipe été_1" in tags_of(cloud, arn)

    with pytest.raises(ClientError, match="Member must satisfy regular expression pattern"):
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[tag("semi;colon")])
