"""The model registry: versions, approvals, and the events that approvals send."""

import pytest
from botocore.exceptions import ClientError

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local"
GROUP = "tidemill--flights--delay"


@pytest.fixture
def registry(cloud):
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    return cloud


def register(cloud, **request):
    specification = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://artifacts/model.tar.gz"}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    defaults = {"ModelPackageGroupName": GROUP, "InferenceSpecification": specification}
    return cloud.sagemaker.create_model_package(**(defaults | request))["ModelPackageArn"]


def test_versions_count_up_and_a_deleted_number_is_not_given_out_again(registry):
    first, second = register(registry), register(registry)
    registry.sagemaker.delete_model_package(ModelPackageName=second)

    third = register(registry)

    prefix = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{GROUP}"
    assert [first, second, third] == [f"{prefix}/1", f"{prefix}/2", f"{prefix}/3"]


def test_a_version_is_described_with_what_was_registered(registry):
    metrics = {
        "ModelQuality": {
            "Statistics": {"ContentType": "application/json", "S3Uri": "s3://a/evaluation.json"}
        }
    }
    arn = register(
        registry,
        ModelPackageDescription="the first",
        ModelMetrics=metrics,
        CustomerMetadataProperties={"run": "run-1"},
    )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)

    assert version["ModelPackageGroupName"] == GROUP
    assert version["ModelPackageVersion"] == 1
    assert version["ModelPackageStatus"] == "Completed"
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    assert version["ModelMetrics"] == metrics
    assert version["CustomerMetadataProperties"] == {"run": "run-1"}
    assert version["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE
    assert "ClientToken" not in version


def test_a_version_keeps_the_baselines_that_drift_is_checked_by(registry):
    quality = {
        name: {"ContentType": "application/json", "S3Uri": f"s3://a/baseline/{name.lower()}.json"}
        for name in ("Statistics", "Constraints")
    }
    arn = register(
        registry,
        ModelMetrics={"ModelDataQuality": quality},
        DriftCheckBaselines={"ModelDataQuality": quality},
    )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)

    assert version["ModelMetrics"] == {"ModelDataQuality": quality}
    assert version["DriftCheckBaselines"] == {"ModelDataQuality": quality}


def test_a_baseline_that_is_not_in_s3_is_refused(registry):
    wrong = {"Statistics": {"ContentType": "application/json", "S3Uri": "statistics.json"}}
    with pytest.raises(ClientError, match="s3Uri"):
        register(registry, DriftCheckBaselines={"ModelDataQuality": wrong})


def test_a_repeated_request_registers_once(registry):
    assert register(registry, ClientToken="t-1") == register(registry, ClientToken="t-1")
    assert register(registry, ClientToken="t-2").endswith("/2")


def test_a_package_of_its_own_has_no_version(cloud):
    arn = cloud.sagemaker.create_model_package(ModelPackageName="alone")["ModelPackageArn"]

    package = cloud.sagemaker.describe_model_package(ModelPackageName="alone")

    assert package["ModelPackageArn"] == arn
    assert "ModelPackageVersion" not in package
    with pytest.raises(ClientError, match="Model Package already exists"):
        cloud.sagemaker.create_model_package(ModelPackageName="alone")


def test_a_package_needs_a_group_or_a_name_but_not_both(registry):
    with pytest.raises(ClientError, match="Either ModelPackageGroupName or ModelPackageName"):
        registry.sagemaker.create_model_package(ModelPackageDescription="nameless")
    with pytest.raises(ClientError, match="cannot both be given"):
        register(registry, ModelPackageName="and-a-name")


def test_registering_announces_the_version(registry):
    arn = register(registry)

    (detail,) = registry.details("Model Package")
    assert detail["ModelPackageArn"] == arn
    assert detail["ModelPackageGroupName"] == GROUP
    assert detail["ModelPackageVersion"] == 1
    assert detail["ModelPackageStatus"] == "Completed"
    assert detail["ModelApprovalStatus"] == "PendingManualApproval"
    assert isinstance(detail["CreationTime"], int)
    assert "UpdatedModelPackageFields" not in detail


def test_an_approval_is_announced_with_what_it_changed(registry):
    arn = register(registry)

    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="gate passed"
    )

    detail = registry.details("Model Package")[-1]
    assert detail["ModelApprovalStatus"] == "Approved"
    assert detail["ApprovalDescription"] == "gate passed"
    assert detail["UpdatedModelPackageFields"] == ["ApprovalDescription", "ModelApprovalStatus"]
    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["ModelApprovalStatus"] == "Approved"
    assert version["LastModifiedTime"] > version["CreationTime"]


def test_a_change_of_metadata_repeats_the_approval_but_names_another_field(registry):
    arn = register(registry, ModelApprovalStatus="Approved")

    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"rollout": "done"}
    )

    detail = registry.details("Model Package")[-1]
    assert detail["ModelApprovalStatus"] == "Approved"
    assert detail["UpdatedModelPackageFields"] == ["CustomerMetadataProperties"]


def test_an_update_that_changes_nothing_is_announced_all_the_same(registry):
    arn = register(registry, ModelApprovalStatus="Approved")

    registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    assert registry.details("Model Package")[-1]["UpdatedModelPackageFields"] == []


def test_metadata_is_merged_and_removed_by_key(registry):
    arn = register(registry, CustomerMetadataProperties={"a": "1", "b": "2"})

    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"b": "3", "c": "4"}
    )
    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["a", "unknown"]
    )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["CustomerMetadataProperties"] == {"b": "3", "c": "4"}


def test_too_much_metadata_is_refused_and_nothing_is_changed(registry):
    arn = register(registry, CustomerMetadataProperties={f"k{n}": "v" for n in range(50)})

    with pytest.raises(ClientError, match="CustomerMetadataPropertiesToRemove"):
        registry.sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Rejected",
            CustomerMetadataProperties={"one more": "v"},
        )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    assert len(registry.details("Model Package")) == 1


def test_inference_specifications_are_added(registry):
    arn = register(registry)
    extra = {"Name": "edge", "Containers": [{"Image": IMAGE}]}

    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[extra]
    )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["AdditionalInferenceSpecifications"] == [extra]
    assert registry.details("Model Package")[-1]["UpdatedModelPackageFields"] == [
        "AdditionalInferenceSpecifications"
    ]


def versions_in(answer):
    return [item["ModelPackageVersion"] for item in answer["ModelPackageSummaryList"]]


def test_versions_are_listed_by_group_and_approval_in_either_order(registry):
    registry.sagemaker.create_model_package_group(ModelPackageGroupName="other")
    arns = [register(registry) for _ in range(12)]
    register(registry, ModelPackageGroupName="other")
    for arn in arns[::2]:
        registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    approved = registry.sagemaker.list_model_packages(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=4,
    )
    rest = registry.sagemaker.list_model_packages(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=4,
        NextToken=approved["NextToken"],
    )

    assert versions_in(approved) + versions_in(rest) == [11, 9, 7, 5, 3, 1]
    assert "NextToken" not in rest


def test_packages_are_listed_by_type(registry):
    register(registry)
    registry.sagemaker.create_model_package(ModelPackageName="alone")

    def listed(**request):
        answer = registry.sagemaker.list_model_packages(**request)
        return len(answer["ModelPackageSummaryList"])

    assert listed() == listed(ModelPackageType="Unversioned") == 1
    assert listed(ModelPackageType="Versioned") == 1
    assert listed(ModelPackageType="Both") == 2


def test_groups_are_described_listed_and_unique(registry):
    registry.sagemaker.create_model_package_group(ModelPackageGroupName="tidemill--other--x")

    group = registry.sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)
    assert group["ModelPackageGroupStatus"] == "Completed"
    found = registry.sagemaker.list_model_package_groups(NameContains="FLIGHTS")
    assert [item["ModelPackageGroupName"] for item in found["ModelPackageGroupSummaryList"]] == [
        GROUP
    ]
    with pytest.raises(ClientError, match="Model Package Group already exists"):
        registry.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)


def test_a_group_is_deleted_only_when_empty(registry):
    arn = register(registry)

    with pytest.raises(registry.sagemaker.exceptions.ConflictException, match="still contains"):
        registry.sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)

    registry.sagemaker.delete_model_package(ModelPackageName=arn)
    registry.sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
    with pytest.raises(ClientError, match="does not exist"):
        registry.sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)


def test_a_stage_of_life_is_told_and_kept(registry):
    staged = {"Stage": "Development", "StageStatus": "InProgress", "StageDescription": "new"}
    arn = register(registry, ModelLifeCycle=staged)
    production = {"Stage": "Production", "StageStatus": "PendingApproval"}

    registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=production)

    (listed,) = registry.sagemaker.list_model_packages(ModelPackageGroupName=GROUP)[
        "ModelPackageSummaryList"
    ]
    assert listed["ModelLifeCycle"] == production
    first, last = registry.details("Model Package")
    assert first["ModelLifeCycle"] == staged
    assert (last["ModelLifeCycle"], last["UpdatedModelPackageFields"]) == (
        production,
        ["ModelLifeCycle"],
    )


def test_an_update_that_is_repeated_with_its_token_is_done_once(registry):
    arn = register(registry)
    extra = {"Name": "edge", "Containers": [{"Image": IMAGE}]}
    for _ in range(2):
        registry.sagemaker.update_model_package(
            ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[extra], ClientToken="u-1"
        )

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["AdditionalInferenceSpecifications"] == [extra]
    assert len(registry.details("Model Package")) == 2


def test_many_packages_are_described_at_once_and_the_missing_are_named(registry):
    arn = register(registry, ModelApprovalStatus="Approved")
    bare = register(registry, InferenceSpecification={"Containers": [{"Image": IMAGE}]})
    alone = registry.sagemaker.create_model_package(ModelPackageName="alone")["ModelPackageArn"]
    gone = arn.replace("/1", "/77")

    answer = registry.sagemaker.batch_describe_model_package(
        ModelPackageArnList=[arn, bare, alone, gone]
    )

    assert set(answer["ModelPackageSummaries"]) == {arn, bare}
    summary = answer["ModelPackageSummaries"][arn]
    assert (summary["ModelPackageVersion"], summary["ModelApprovalStatus"]) == (1, "Approved")
    errors = answer["BatchDescribeModelPackageErrorMap"]
    assert set(errors) == {alone, gone}
    assert errors[gone]["ErrorResponse"] == f"ModelPackage {gone} does not exist."


def test_a_group_s_policy_is_put_got_and_deleted(registry):
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}'
    client = registry.sagemaker
    with pytest.raises(ClientError, match="Cannot find resource policy for: arn:aws:sagemaker"):
        client.get_model_package_group_policy(ModelPackageGroupName=GROUP)

    arn = client.put_model_package_group_policy(ModelPackageGroupName=GROUP, ResourcePolicy=policy)
    found = client.get_model_package_group_policy(ModelPackageGroupName=GROUP)
    client.delete_model_package_group_policy(ModelPackageGroupName=GROUP)

    assert arn["ModelPackageGroupArn"].endswith(f":model-package-group/{GROUP}")
    assert found["ResourcePolicy"] == policy
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        client.delete_model_package_group_policy(ModelPackageGroupName=GROUP)
    with pytest.raises(ClientError, match="Cannot find Model Package Group: arn:aws:sagemaker"):
        client.get_model_package_group_policy(ModelPackageGroupName="nobody")
    for broken in ("no JSON", "[]", "{}"):
        with pytest.raises(ClientError, match="ResourcePolicy"):
            client.put_model_package_group_policy(
                ModelPackageGroupName=GROUP, ResourcePolicy=broken
            )


@pytest.mark.parametrize(
    ("operation", "request_part"),
    [
        ("describe_model_package", {"ModelPackageName": "arn:aws:sagemaker:r:0:model-package/g/9"}),
        ("delete_model_package", {"ModelPackageName": "nobody"}),
        (
            "update_model_package",
            {"ModelPackageArn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/g/9"},
        ),
        ("delete_model_package_group", {"ModelPackageGroupName": "nobody"}),
        ("list_model_packages", {"ModelPackageGroupName": "nobody"}),
        ("create_model_package", {"ModelPackageGroupName": "nobody"}),
    ],
)
def test_what_does_not_exist_is_said_so(cloud, operation, request_part):
    with pytest.raises(ClientError) as caught:
        getattr(cloud.sagemaker, operation)(**request_part)

    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_bus_that_is_down_does_not_undo_an_approval(registry, monkeypatch):
    arn = register(registry)

    monkeypatch.setattr(registry, "events", None)  # appending to None raises inside emit
    registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    version = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["ModelApprovalStatus"] == "Approved"
