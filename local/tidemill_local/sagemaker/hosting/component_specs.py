"""What an inference component is told to run."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.hosting.configurations import (
    check_data,
    container_of,
    is_multi_model,
)
from tidemill_local.sagemaker.hosting.serving import STARTUP_SECONDS, Workload
from tidemill_local.sagemaker.hosting.summaries import deployed_image

_NOT_HERE = ("BaseInferenceComponentName", "DataCacheConfig", "InstanceType")


@dataclass(frozen=True)
class ComponentWorkload(Workload):
    """What the copies of an inference component run."""

    owner: ClassVar[str] = "inference component"

    @property
    def title(self) -> str:
        """What the sentences about a container call it."""
        return f"inference component {self.component}"

    @property
    def log_group(self) -> str:
        """Where what it prints goes."""
        return f"/aws/sagemaker/InferenceComponents/{self.component}"


def workload_of(
    context: Context, name: str, endpoint: str, variant: str, specification: dict[str, Any]
) -> ComponentWorkload:
    """
    Return what the copies of a component run, with its model and package looked up now.

    Args:
        context: The service's.
        name: The component's.
        endpoint: Where it is hosted.
        variant: On which variant.
        specification: As the API has it.

    Raises:
        ServiceError: It cannot be run, and why.
    """
    _check(specification)
    if "ModelName" in specification:
        if is_multi_model(context, specification["ModelName"]):
            raise ValidationError("A model in MultiModel mode cannot be an inference component.")
        image, uri, environment = container_of(context, specification["ModelName"])
    else:
        container = specification["Container"]
        image, uri = container["Image"], container.get("ArtifactUrl")
        environment = container.get("Environment", {})
        check_data(context, uri)
    startup = specification.get("StartupParameters", {})
    return ComponentWorkload(
        endpoint=endpoint,
        variant=variant,
        image=image,
        model_data=uri,
        environment=environment,
        startup_seconds=float(
            startup.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)
        ),
        component=name,
    )


def merged(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the specification after an update: what it leaves out stays as it was."""
    model = {"ModelName", "Container"}
    replaced = model if model & set(given) else set()
    return {key: value for key, value in before.items() if key not in replaced} | given


def described(specification: dict[str, Any]) -> dict[str, Any]:
    """Return a specification as DescribeInferenceComponent shows it."""
    if "Container" not in specification:
        return specification
    container = dict(specification["Container"])
    container["DeployedImage"] = deployed_image(container.pop("Image"))
    return specification | {"Container": container}


def _check(specification: dict[str, Any]) -> None:
    for member in _NOT_HERE:
        if member in specification:
            raise ValidationError(f"{member} is not supported by the local SageMaker.")
    container = specification.get("Container", {})
    if "ContainerMetricsConfig" in container:
        raise ValidationError("ContainerMetricsConfig is not supported by the local SageMaker.")
    if ("ModelName" in specification) == ("Container" in specification):
        raise ValidationError(
            "Specification needs either a ModelName or a Container, and not both."
        )
    if "Container" in specification and not container.get("Image"):
        raise ValidationError("The Container of Specification needs an Image.")
    needs = specification.get("ComputeResourceRequirements")
    if needs is None:
        raise ValidationError("Specification needs ComputeResourceRequirements.")
    least, most = needs["MinMemoryRequiredInMb"], needs.get("MaxMemoryRequiredInMb")
    if most is not None and most < least:
        raise ValidationError(
            f"MaxMemoryRequiredInMb is {most}; it must be at least MinMemoryRequiredInMb, {least}."
        )
