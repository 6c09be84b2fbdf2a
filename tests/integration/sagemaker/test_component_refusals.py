"""What is refused around inference components, and in which words."""

import uuid

import pytest

from .component_servers import NEEDS, Components
from .conftest import ROLE
from .model_servers import refused


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Components(cloud, s3, bucket)


def test_requests_that_no_component_can_answer_are_refused(hosting):
    endpoint, other = hosting.host(), hosting.host()
    elsewhere = hosting.component(other)
    none = hosting.component(endpoint, copies=0)
    model = hosting.endpoint(hosting.config(hosting.named("a")))

    hosting.refuses("Inference Component Name header is required", endpoint)
    hosting.refuses("not found", endpoint, InferenceComponentName="nobody")
    hosting.refuses("not found", endpoint, InferenceComponentName=elsewhere)
    hosting.refuses("has no capacity", endpoint, InferenceComponentName=none)
    hosting.refuses("no inference components", model, InferenceComponentName=elsewhere)
    hosting.refuses("does not host", other, InferenceComponentName=elsewhere, TargetVariant="Other")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ModelName": None}, "either a ModelName or a Container"),
        ({"Container": {"Image": "i"}}, "either a ModelName or a Container"),
        ({"ModelName": None, "Container": {"Environment": {}}}, "needs an Image"),
        ({"ComputeResourceRequirements": None}, "needs ComputeResourceRequirements"),
        (
            {
                "ComputeResourceRequirements": {
                    "MinMemoryRequiredInMb": 512,
                    "MaxMemoryRequiredInMb": 256,
                }
            },
            "MaxMemoryRequiredInMb is 256",
        ),
        ({"ModelName": "nobody"}, "Could not find model"),
        (
            {"ModelName": None, "Container": {"Image": "i", "ArtifactUrl": "s3://none/m.tar.gz"}},
            "Could not find model data",
        ),
        ({"BaseInferenceComponentName": "base"}, "BaseInferenceComponentName is not supported"),
        ({"DataCacheConfig": {"EnableCaching": True}}, "DataCacheConfig is not supported"),
    ],
)
def test_a_specification_that_cannot_be_run_is_refused(hosting, shared_host, change, says):
    endpoint, model = shared_host
    specification = {"ModelName": model, "ComputeResourceRequirements": NEEDS, **change}

    refused(
        hosting.sagemaker.create_inference_component,
        says,
        InferenceComponentName="refused",
        EndpointName=endpoint,
        VariantName="Other",
        Specification={key: value for key, value in specification.items() if value is not None},
    )


@pytest.fixture(scope="module")
def shared_host(cloud, s3):
    """An endpoint without components, and a model, for tests that change neither."""
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    hosting = Components(cloud, s3, bucket)
    return hosting.host("AllTraffic", "Other"), hosting.named("a")


def test_a_component_needs_a_place(hosting, shared_host):
    endpoint, model = shared_host
    taken = hosting.endpoint(hosting.config(model))

    def create(says, **request):
        refused(
            hosting.sagemaker.create_inference_component,
            says,
            InferenceComponentName="refused",
            Specification={"ModelName": model, "ComputeResourceRequirements": NEEDS},
            **request,
        )

    create("Could not find endpoint", EndpointName="nobody")
    create("several variants", EndpointName=endpoint)
    create("has no variant Third", EndpointName=endpoint, VariantName="Third")
    create("has a model of its own", EndpointName=taken)
    hosting.cloud.service.context.store.update("Endpoint", taken, EndpointStatus="Failed")
    create("its status is Failed", EndpointName=taken)


def test_names_differ_in_more_than_letter_case(hosting):
    endpoint = hosting.host()
    name = hosting.component(endpoint)

    for same in (name, name.upper()):
        refused(
            hosting.sagemaker.create_inference_component,
            "Cannot create already existing inference component",
            InferenceComponentName=same,
            EndpointName=endpoint,
            Specification={"ModelName": "m", "ComputeResourceRequirements": NEEDS},
        )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "needs an ExecutionRoleArn"),
        (
            {
                "ExecutionRoleArn": ROLE,
                "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/k"}},
            },
            "AsyncInferenceConfig is not supported for endpoints that host",
        ),
    ],
)
def test_a_configuration_without_models_is_checked(hosting, request_, says):
    variant = {"VariantName": "A", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    refused(
        hosting.sagemaker.create_endpoint_config,
        says,
        EndpointConfigName="refused",
        ProductionVariants=[variant],
        **request_,
    )


def test_either_all_variants_have_models_or_none(hosting):
    bare = {"VariantName": "B", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    refused(
        hosting.sagemaker.create_endpoint_config,
        "without: B.",
        EndpointConfigName="refused",
        ExecutionRoleArn=ROLE,
        ProductionVariants=[hosting.variant(hosting.named("a"), "A"), bare],
    )
