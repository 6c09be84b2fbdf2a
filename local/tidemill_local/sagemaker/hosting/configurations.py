"""Models and endpoint configurations: records that say what an endpoint is to run."""

from typing import Any

from botocore.exceptions import ClientError

from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError, ValidationError
from tidemill_local.sagemaker.hosting.serving import STARTUP_SECONDS, Workload
from tidemill_local.sagemaker.operations import call, operation
from tidemill_local.sagemaker.paging import page
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_DEFAULT_WEIGHT = 1.0
_MEMORY_STEP_MB = 1024


@operation(
    "CreateModel",
    refused=("InferenceExecutionConfig",),
    idle=("VpcConfig", "EnableNetworkIsolation"),
    differs="one container; in MultiModel mode each target model is a process of its own, "
    "and eight stay loaded",
)
def create_model(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a model; its data must exist, its package must be approved."""
    containers = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    containers += request.get("Containers", [])
    if len(containers) != 1:
        raise ValidationError(
            "The local SageMaker serves models of exactly one container; give PrimaryContainer "
            f"or one entry in Containers, not {len(containers)}."
        )
    image, uri, _ = _resolve(context, containers[0])
    if not image:
        raise ValidationError("A container needs an Image or a ModelPackageName.")
    if _is_multi_model(containers[0]):
        if uri is None or not uri.startswith("s3://"):
            raise ValidationError(
                "A container in MultiModel mode needs the S3 prefix of its models as ModelDataUrl."
            )
    else:
        check_data(context, uri)
    name = request["ModelName"]
    arn = arn_of(context, "model", name)
    _insert(context, "Model", name, {**request, "ModelArn": arn}, "model")
    return {"ModelArn": arn}


@operation("DescribeModel")
def describe_model(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer what CreateModel was given."""
    return _get(context, "Model", request["ModelName"])


@operation("ListModels")
def list_models(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List models, newest first."""
    rows = context.store.rows("Model")
    return page(request, rows, answer="Models", name="ModelName", order="Descending")


@operation("DeleteModel")
def delete_model(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a model; endpoints that serve it go on."""
    return _delete(context, "Model", request["ModelName"])


@operation(
    "CreateEndpointConfig",
    refused=("ExplainerConfig",),
    idle=("KmsKeyId", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation", "MetricsConfig"),
    differs="at most four processes serve a variant, whatever its instances; no InstancePools",
)
def create_endpoint_config(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record an endpoint configuration; its models must exist."""
    variants = [_variant(context, variant) for variant in request["ProductionVariants"]]
    shadows = [_variant(context, each) for each in request.get("ShadowProductionVariants", [])]
    _check_shadows(variants, shadows)
    names = [variant["VariantName"] for variant in [*variants, *shadows]]
    if len(set(names)) < len(names):
        raise ValidationError(f"Variant names must be unique; given: {', '.join(names)}.")
    capture = request.get("DataCaptureConfig")
    if capture is not None and not capture["DestinationS3Uri"].startswith("s3://"):
        raise ValidationError("DestinationS3Uri of DataCaptureConfig must begin with s3://.")
    _check_bare(request, [*variants, *shadows])
    _check_serverless(variants, capture)
    _check_async(variants, request.get("AsyncInferenceConfig"))
    name = request["EndpointConfigName"]
    arn = arn_of(context, "endpoint-config", name)
    body = {**request, "ProductionVariants": variants, "EndpointConfigArn": arn}
    if shadows:
        body["ShadowProductionVariants"] = shadows
    _insert(context, "EndpointConfig", name, body, "endpoint configuration")
    return {"EndpointConfigArn": arn}


@operation("DescribeEndpointConfig")
def describe_endpoint_config(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer what CreateEndpointConfig was given."""
    return endpoint_config(context, request["EndpointConfigName"])


@operation("ListEndpointConfigs")
def list_endpoint_configs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoint configurations, newest first."""
    rows = context.store.rows("EndpointConfig")
    return page(
        request, rows, answer="EndpointConfigs", name="EndpointConfigName", order="Descending"
    )


@operation("DeleteEndpointConfig")
def delete_endpoint_config(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a configuration; endpoints that use it go on."""
    return _delete(context, "EndpointConfig", request["EndpointConfigName"])


def endpoint_config(context: Context, name: str) -> dict[str, Any]:
    """
    Return an endpoint configuration's record.

    Raises:
        ValidationError: There is none, in SageMaker's words.
    """
    return _get(context, "EndpointConfig", name)


def workloads(context: Context, endpoint: str, config: dict[str, Any]) -> list[Workload]:
    """
    Return what the variants of a configuration run, with models and packages looked up now.

    Raises:
        ServiceError: A model or package has been deleted since.
    """
    found = []
    for variant in all_variants(config):
        if "ModelName" not in variant:
            found.append(_bare(endpoint, variant["VariantName"]))
            continue
        image, uri, environment = container_of(context, variant["ModelName"])
        container = _container(_get(context, "Model", variant["ModelName"]))
        multi_model = _is_multi_model(container)
        cache = container.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled")
        found.append(
            Workload(
                endpoint=endpoint,
                variant=variant["VariantName"],
                image=image,
                model_data=f"{str(uri).rstrip('/')}/" if multi_model else uri,
                environment=environment,
                multi_model=multi_model,
                cached=cache == "Enabled",
                startup_seconds=float(
                    variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)
                ),
            )
        )
    return found


def _bare(endpoint: str, variant: str) -> Workload:
    """Return what a variant without a model runs: nothing, until it has inference components."""
    return Workload(
        endpoint=endpoint,
        variant=variant,
        image="",
        model_data=None,
        environment={},
        startup_seconds=STARTUP_SECONDS,
        bare=True,
    )


def all_variants(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the production variants of a configuration, then its shadow variants."""
    return [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]


def container_of(context: Context, model: str) -> tuple[str, str | None, dict[str, str]]:
    """
    Return image, model data URI and environment of a model, its package looked up now.

    Raises:
        ServiceError: The model or its package has been deleted since.
    """
    body = _get(context, "Model", model)
    return _resolve(context, _container(body))


def is_multi_model(context: Context, model: str) -> bool:
    """
    Say whether a model is many models under a prefix.

    Raises:
        ValidationError: There is no such model.
    """
    return _is_multi_model(_container(_get(context, "Model", model)))


def _container(model: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return container


def _is_multi_model(container: dict[str, Any]) -> bool:
    return container.get("Mode") == "MultiModel"


def is_serverless(config: dict[str, Any]) -> bool:
    """Say whether an endpoint configuration has no instances."""
    return any("ServerlessConfig" in variant for variant in config["ProductionVariants"])


def _check_shadows(variants: list[dict[str, Any]], shadows: list[dict[str, Any]]) -> None:
    if not shadows:
        return
    if len(variants) > 1 or len(shadows) > 1:
        raise ValidationError(
            "With ShadowProductionVariants an endpoint configuration has exactly one production "
            f"variant and one shadow variant, not {len(variants)} and {len(shadows)}."
        )
    if any("ServerlessConfig" in each for each in [*variants, *shadows]):
        raise ValidationError("Shadow variants are not supported for serverless endpoints.")


def _check_bare(request: dict[str, Any], variants: list[dict[str, Any]]) -> None:
    """See whether variants without models can host inference components."""
    bare = [each["VariantName"] for each in variants if "ModelName" not in each]
    if not bare:
        return
    if len(bare) < len(variants):
        raise ValidationError(
            "Either all variants of an endpoint configuration have a ModelName or none has; "
            f"without: {', '.join(bare)}."
        )
    if "ExecutionRoleArn" not in request:
        raise ValidationError(
            "An endpoint configuration whose variants have no ModelName hosts inference components "
            "and needs an ExecutionRoleArn."
        )
    for member in ("ShadowProductionVariants", "AsyncInferenceConfig"):
        if member in request:
            raise ValidationError(
                f"{member} is not supported for endpoints that host inference components."
            )


def _check_async(variants: list[dict[str, Any]], config: dict[str, Any] | None) -> None:
    if config is None:
        return
    output = config["OutputConfig"]
    for member in ("S3OutputPath", "S3FailurePath"):
        if member in output and not output[member].startswith("s3://"):
            raise ValidationError(f"{member} of AsyncInferenceConfig must begin with s3://.")
    if "S3OutputPath" not in output:
        raise ValidationError("The local SageMaker needs the S3OutputPath of AsyncInferenceConfig.")
    if output.get("NotificationConfig", {}).get("IncludeInferenceResponseIn"):
        raise ValidationError(
            "The local SageMaker puts no responses into notifications; leave "
            "IncludeInferenceResponseIn out."
        )
    if any("ServerlessConfig" in each for each in variants):
        raise ValidationError("AsyncInferenceConfig is not supported for serverless endpoints.")


def _check_serverless(variants: list[dict[str, Any]], capture: dict[str, Any] | None) -> None:
    """Refuse what SageMaker does not combine with a serverless variant."""
    if not is_serverless({"ProductionVariants": variants}):
        return
    if len(variants) > 1:
        raise ValidationError("A serverless endpoint has exactly one production variant.")
    if capture is not None:
        raise ValidationError("DataCaptureConfig is not supported for serverless endpoints.")
    memory = variants[0]["ServerlessConfig"]["MemorySizeInMB"]
    if memory % _MEMORY_STEP_MB:
        raise ValidationError(
            f"MemorySizeInMB is {memory}; it must be 1024, 2048, 3072, 4096, 5120 or 6144."
        )


def _variant(context: Context, variant: dict[str, Any]) -> dict[str, Any]:
    name = variant["VariantName"]
    if "InstancePools" in variant:
        raise ValidationError(f"Variant {name}: the local SageMaker serves no InstancePools.")
    serverless = "ServerlessConfig" in variant
    if serverless == ("InstanceType" in variant):
        raise ValidationError(
            f"Variant {name} needs either an InstanceType or a ServerlessConfig, and not both."
        )
    if serverless and "ModelName" not in variant:
        raise ValidationError(f"Variant {name} is serverless and needs a ModelName.")
    if serverless and "InitialInstanceCount" in variant:
        raise ValidationError(f"Variant {name} is serverless and has no InitialInstanceCount.")
    if "ModelName" in variant:
        _get(context, "Model", variant["ModelName"])
    if serverless:
        return {"InitialVariantWeight": _DEFAULT_WEIGHT} | variant
    return {"InitialVariantWeight": _DEFAULT_WEIGHT, "InitialInstanceCount": 1} | variant


def _resolve(context: Context, container: dict[str, Any]) -> tuple[str, str | None, dict[str, str]]:
    """Return image, model data URI and environment, from the model package when it names one."""
    environment = container.get("Environment", {})
    package = container.get("ModelPackageName")
    if package is None:
        return container.get("Image", ""), _data_uri(container), environment
    described = call(context, "DescribeModelPackage", {"ModelPackageName": package})
    status = described.get("ModelApprovalStatus", "Approved")
    if status != "Approved":
        raise ValidationError(
            f"Cannot deploy model package {package}: its approval status is {status}; "
            "approve it first."
        )
    packed = described["InferenceSpecification"]["Containers"][0]
    return packed["Image"], _data_uri(packed), packed.get("Environment", {}) | environment


def _data_uri(container: dict[str, Any]) -> str | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        uri: str | None = container.get("ModelDataUrl")
        return uri
    s3_uri: str = source["S3Uri"]
    kind = source["S3DataType"], source["CompressionType"]
    if kind == ("S3Object", "Gzip"):
        return s3_uri
    if kind == ("S3Prefix", "None"):
        return s3_uri.rstrip("/") + "/"
    raise ValidationError(
        "ModelDataSource is either an S3Object with Gzip or an S3Prefix with None, "
        f"not {kind[0]} with {kind[1]}."
    )


def check_data(context: Context, uri: str | None) -> None:
    """
    See whether a model's data are there; a model may have none.

    Raises:
        ValidationError: They are not.
    """
    if uri is None:
        return
    try:
        bucket, key = split_uri(uri)
    except TransferError as error:
        raise ValidationError(str(error)) from error
    try:
        if key.endswith("/"):
            found = context.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)["KeyCount"]
        else:
            context.s3.head_object(Bucket=bucket, Key=key)
            found = 1
    except ClientError:
        found = 0
    if not found:
        raise ValidationError(f"Could not find model data at {uri}.")


def _insert(context: Context, kind: str, name: str, body: dict[str, Any], words: str) -> None:
    tags = body.pop("Tags", [])
    try:
        context.store.insert(kind, name, body, tags)
    except DuplicateRecordError as error:
        arn = error.body[f"{kind}Arn"]
        raise ValidationError(f'Cannot create already existing {words} "{arn}".') from None


_WORDS = {
    "Model": ("model", "model"),
    "EndpointConfig": ("endpoint configuration", "endpoint-config"),
}


def _missing(context: Context, kind: str, name: str) -> ServiceError:
    words, resource = _WORDS[kind]
    return ValidationError(f'Could not find {words} "{arn_of(context, resource, name)}".')


def _get(context: Context, kind: str, name: str) -> dict[str, Any]:
    body = context.store.get(kind, name)
    if body is None:
        raise _missing(context, kind, name)
    return body


def _delete(context: Context, kind: str, name: str) -> dict[str, Any]:
    try:
        context.store.delete(kind, name)
    except MissingRecordError:
        raise _missing(context, kind, name) from None
    return {}
