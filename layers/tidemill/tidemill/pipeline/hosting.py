"""
The SageMaker requests that put a version behind an endpoint.

Called by `functions/plan_rollout`; `statemachines/rollout.asl.json` sends them.
"""

from collections.abc import Mapping
from typing import Any

from tidemill.pipeline.expressions import Text
from tidemill.pipeline.own_capture import environment, is_own, rule
from tidemill.pipeline.request_parts import tags as tag_list
from tidemill.spec.compiled import Spec

VARIANT = "champion"
CSV_TYPES = ("text/csv",)
JSON_TYPES = ("application/json", "application/jsonlines")
#: A serverless endpoint has little memory, and a cold start waits for every process.
ONE_WORKER = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}


def requests(
    name: str,
    spec: Spec,
    package: Mapping[str, Any],
    *,
    endpoint: str,
    role_arn: str,
    lake_bucket: str,
    artifact_bucket: str,
    tags: Mapping[str, Text],
) -> dict[str, Any]:
    """
    Return `create_model` and `create_config`, the requests that come before the endpoint's own.

    Args:
        name: Of the model and of the configuration.
        spec: The model.
        package: DescribeModelPackage's answer.
        endpoint: The endpoint's name.
        role_arn: What the container runs as.
        lake_bucket: Where captured traffic goes.
        artifact_bucket: Where the key of hashed columns is.
        tags: The resources' tags.
    """
    told = rule(
        spec,
        endpoint=endpoint,
        variant=VARIANT,
        lake_bucket=lake_bucket,
        artifact_bucket=artifact_bucket,
    )
    return {
        "create_model": sagemaker_model(
            name,
            package,
            role_arn=role_arn,
            capture=told,
            alone=spec.deploy.serverless is not None,
            tags=tags,
        ),
        "create_config": endpoint_config(name, spec, lake_bucket=lake_bucket, tags=tags),
    }


def sagemaker_model(
    name: str,
    package: Mapping[str, Any],
    *,
    role_arn: str,
    capture: str,
    alone: bool,
    tags: Mapping[str, Text],
) -> dict[str, Any]:
    """
    Return the CreateModel request for a described model package.

    Args:
        name: The model's.
        package: DescribeModelPackage's answer.
        role_arn: What the container runs as.
        capture: What it is told of its own capture, `own_capture.rule`; empty when it writes none.
        alone: Whether one process serves unless the version says otherwise.
        tags: The resources' tags.
    """
    container = package["InferenceSpecification"]["Containers"][0]
    return {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": container["Image"],
            "ModelDataUrl": container["ModelDataUrl"],
            "Environment": {
                **(ONE_WORKER if alone else {}),
                **container.get("Environment", {}),
                **environment(capture),
            },
        },
        "ExecutionRoleArn": role_arn,
        "Tags": tag_list(tags),
    }


def endpoint_config(
    name: str, spec: Spec, *, lake_bucket: str, tags: Mapping[str, Text]
) -> dict[str, Any]:
    """
    Return the CreateEndpointConfig request: one variant, its traffic captured as the spec says.

    Where the container writes its own capture, SageMaker captures nothing: every request would be
    there twice, and once as it came.
    """
    config: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [_variant(name, spec)],
        "Tags": tag_list(tags),
    }
    percent = spec.watch.capture.percent
    if percent and not is_own(spec):
        config["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": f"s3://{lake_bucket}/capture/{spec.ref}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": list(CSV_TYPES),
                "JsonContentTypes": list(JSON_TYPES),
            },
        }
    return config


def _variant(name: str, spec: Spec) -> dict[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InitialVariantWeight": 1,
    }
    serverless = spec.deploy.serverless
    if serverless is not None:
        return variant | {
            "ServerlessConfig": {
                "MemorySizeInMB": serverless.memory_mb,
                "MaxConcurrency": serverless.max_concurrency,
            }
        }
    return variant | {
        "InstanceType": spec.deploy.instance,
        "InitialInstanceCount": spec.deploy.count,
    }


def smoke_uri(package: Mapping[str, Any]) -> str:
    """Return where Evaluate left the smoke rows: beside the metrics that the package names."""
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    return f"{statistics.rpartition('/')[0]}/smoke.json"
