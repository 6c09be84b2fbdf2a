"""Models and endpoint configurations are what they were created as, or are refused by name."""

import pytest

from .conftest import ROLE
from .model_servers import Hosting, refused


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def test_model_is_described_listed_and_deleted(hosting):
    uri = hosting.put_model()
    name = hosting.model(uri=uri, Environment={"A": "1"})

    described = hosting.sagemaker.describe_model(ModelName=name)
    assert described["PrimaryContainer"] == {
        "Image": hosting.echo,
        "ModelDataUrl": uri,
        "Environment": {"A": "1"},
    }
    assert described["ModelArn"].endswith(f":model/{name}")
    assert described["CreationTime"].tzinfo is not None
    assert [m["ModelName"] for m in hosting.sagemaker.list_models()["Models"]] == [name]

    hosting.sagemaker.delete_model(ModelName=name)

    refused(hosting.sagemaker.describe_model, "Could not find model", ModelName=name)
    refused(hosting.sagemaker.delete_model, "Could not find model", ModelName=name)


def test_model_of_a_known_name_is_refused(hosting):
    name = hosting.model()

    refused(
        hosting.sagemaker.create_model,
        "Cannot create already existing model",
        ModelName=name,
        PrimaryContainer={"Image": hosting.echo},
        ExecutionRoleArn=ROLE,
    )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "exactly one container"),
        ({"Containers": [{"Image": "a"}, {"Image": "b"}]}, "exactly one container"),
        ({"PrimaryContainer": {}}, "Image or a ModelPackageName"),
        (
            {"PrimaryContainer": {"Image": "a", "ModelDataUrl": "https://host/model.tar.gz"}},
            "not an S3 URI",
        ),
        (
            {"PrimaryContainer": {"Image": "a", "ModelDataUrl": "s3://nowhere/model.tar.gz"}},
            "Could not find model data at s3://nowhere/model.tar.gz",
        ),
        (
            {
                "PrimaryContainer": {
                    "Image": "a",
                    "ModelDataSource": {
                        "S3DataSource": {
                            "S3Uri": "s3://b/k",
                            "S3DataType": "S3Prefix",
                            "CompressionType": "Gzip",
                        }
                    },
                }
            },
            "S3Prefix with Gzip",
        ),
    ],
)
def test_model_that_cannot_be_served_is_refused(hosting, request_, says):
    refused(hosting.sagemaker.create_model, says, ModelName="m", ExecutionRoleArn=ROLE, **request_)


def test_model_from_a_package_needs_its_approval(hosting):
    hosting.sagemaker.create_model_package_group(ModelPackageGroupName="group")
    package = hosting.sagemaker.create_model_package(
        ModelPackageGroupName="group",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [
                {
                    "Image": hosting.echo,
                    "ModelDataUrl": hosting.put_model(name="packed"),
                    "Environment": {"GIVEN": "by the package"},
                }
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    model = {
        "ModelName": "packed",
        "ExecutionRoleArn": ROLE,
        "Containers": [{"ModelPackageName": package}],
    }
    refused(hosting.sagemaker.create_model, "PendingManualApproval", **model)

    hosting.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    hosting.sagemaker.create_model(**model)

    endpoint = hosting.endpoint(hosting.config("packed"))
    answer = hosting.invoke(endpoint)["Body"]
    assert b'"model": "packed"' in answer
    assert b'"env": "by the package"' in answer


def test_endpoint_config_is_described_listed_and_deleted(hosting):
    model = hosting.model()
    name = hosting.config(
        variants=[
            hosting.variant(model, "A", count=2, InitialVariantWeight=3.0),
            hosting.variant(model, "B"),
        ],
        Tags=[{"Key": "k", "Value": "v"}],
    )

    described = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    weights = {v["VariantName"]: v["InitialVariantWeight"] for v in described["ProductionVariants"]}
    assert weights == {"A": 3.0, "B": 1.0}
    arn = described["EndpointConfigArn"]
    assert hosting.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    listed = hosting.sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert [config["EndpointConfigName"] for config in listed] == [name]

    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=name)

    says = "Could not find endpoint configuration"
    refused(hosting.sagemaker.describe_endpoint_config, says, EndpointConfigName=name)
    refused(hosting.sagemaker.delete_endpoint_config, says, EndpointConfigName=name)


def test_endpoint_config_of_a_known_name_is_refused(hosting):
    model = hosting.model()
    name = hosting.config(model)

    refused(
        hosting.sagemaker.create_endpoint_config,
        "Cannot create already existing endpoint configuration",
        EndpointConfigName=name,
        ProductionVariants=[hosting.variant(model)],
    )


def test_endpoint_config_that_cannot_be_served_is_refused(hosting):
    model = hosting.model()
    good = hosting.variant(model)
    pools = [{"InstanceType": "ml.m5.large", "Priority": 1}]
    capture = {
        "InitialSamplingPercentage": 1,
        "DestinationS3Uri": "https://b/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    cases = [
        ([hosting.variant("nobody")], {}, "Could not find model"),
        ([good, good], {}, "Variant names must be unique"),
        ([{"VariantName": "A", "ModelName": model}], {}, "InstanceType"),
        ([{**good, "InstancePools": pools}], {}, "serves no InstancePools"),
        ([good], {"DataCaptureConfig": capture}, "must begin with s3://"),
    ]
    for variants, request, says in cases:
        refused(
            hosting.sagemaker.create_endpoint_config,
            says,
            EndpointConfigName="c",
            ProductionVariants=variants,
            **request,
        )
