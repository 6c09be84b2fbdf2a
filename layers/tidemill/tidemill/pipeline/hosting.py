"""
The SageMaker requests that put a version behind an endpoint.

Called by `functions/plan_rollout`; `statemachines/rollout.asl.json` sends them.
"""

from collections.abc import Mapping
from typing import Any

from tidemill.pipeline.expressions import Text
from tidemill.pipeline.request_parts import tags as tag_list
from tidemill.spec.compiled import Spec

VARIANT = "champion"
CSV_TYPES = ("text/csv",)
JSON_TYPES = ("application/json", "application/jsonlines")


def sagemaker_model(
    name: str, package: Mapping[str, Any], *, role_arn: str, tags: Mapping[str, Text]
) -> dict[str, Any]:
    """Return the CreateModel request for a described model package."""
    container = package["InferenceSpecification"]["Containers"][0]
    return {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": container["Image"],
            "ModelDataUrl": container["ModelDataUrl"],
            "Environment": container.get("Environment", {}),
        },
        "ExecutionRoleArn": role_arn,
        "Tags": tag_list(tags),
    }


def endpoint_config(
    name: str, spec: Spec, *, lake_bucket: str, tags: Mapping[str, Text]
) -> dict[str, Any]:
    """Return the CreateEndpointConfig request: one variant, all traffic captured."""
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": name,
                "InstanceType": spec.deploy.instance,
                "InitialInstanceCount": spec.deploy.count,
                "InitialVariantWeight": 1,
            }
        ],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{lake_bucket}/capture/{spec.ref}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": list(CSV_TYPES),
                "JsonContentTypes": list(JSON_TYPES),
            },
        },
        "Tags": tag_list(tags),
    }


def smoke_uri(package: Mapping[str, Any]) -> str:
    """Return where Evaluate left the smoke rows: beside the metrics that the package names."""
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    return f"{statistics.rpartition('/')[0]}/smoke.json"
