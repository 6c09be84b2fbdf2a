"""
The MonitoringScheduleConfig of a model whose traffic SageMaker reads (`watch.backend: sagemaker`).

Functions hand it to `adapters/monitoring`. What the job is told beyond the container contract
stands in its plan: a variable holds 256 characters.
"""

from typing import Any

from tidemill.pipeline.request_parts import INPUTS, OUTPUTS, cluster
from tidemill.spec.compiled import Spec

_HOUR = 3_600
_DAY = 86_400


def monitoring_config(
    spec: Spec,
    *,
    endpoint: str,
    statistics: str,
    constraints: str,
    plan: str,
    reports: str,
    image_uri: str,
    role_arn: str,
) -> dict[str, Any]:
    """
    Return `MonitoringScheduleConfig`.

    Args:
        spec: The model; `watch.every` is a whole number of hours that divides a day.
        endpoint: Its name.
        statistics: The S3 URI of the baseline's statistics.json, as *constraints*.
        constraints: Of its constraints.json.
        plan: Of the plan that says whose traffic it is.
        reports: Where the jobs' files go.
        image_uri: The jobs image.
        role_arn: The role that the jobs run as.
    """
    compute, every = spec.train.compute, spec.watch.every_seconds
    output = {"S3Uri": reports, "LocalPath": f"{OUTPUTS}/reports", "S3UploadMode": "EndOfJob"}
    return {
        "ScheduleConfig": {"ScheduleExpression": expression(every)},
        "MonitoringJobDefinition": {
            "BaselineConfig": {
                "StatisticsResource": {"S3Uri": statistics},
                "ConstraintsResource": {"S3Uri": constraints},
            },
            "MonitoringInputs": [
                {"EndpointInput": {"EndpointName": endpoint, "LocalPath": f"{INPUTS}/endpoint"}}
            ],
            "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
            "MonitoringResources": {"ClusterConfig": cluster(compute)},
            "MonitoringAppSpecification": {
                "ImageUri": image_uri,
                "ContainerArguments": ["analyze"],
            },
            # The look that follows puts the metrics of its windows; twice would be once too often.
            "Environment": {"tidemill_plan": plan, "tidemill_metrics": "none"},
            "StoppingCondition": {
                "MaxRuntimeInSeconds": min(compute.max_runtime_seconds, every, _DAY)
            },
            "RoleArn": role_arn,
        },
    }


def expression(every: int) -> str:
    """Return the cron expression of every so many seconds, as SageMaker knows them."""
    hours = every // _HOUR
    if hours == 1:
        return "cron(0 * ? * * *)"
    return "cron(0 0 ? * * *)" if every == _DAY else f"cron(0 0/{hours} ? * * *)"
