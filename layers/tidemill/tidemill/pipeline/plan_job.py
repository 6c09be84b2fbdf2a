"""
The request of a processing job that does one part of a plan: what is too much for a Lambda.

Called by `functions/plan_check` and `functions/plan_watch`, for every part: one whose Lambda runs
out of time or memory goes on as this job, with the same plan.
"""

import math
from dataclasses import replace
from typing import Any

from tidemill.names import aws_name
from tidemill.pipeline.request_parts import Input, cluster, tags
from tidemill.spec.compiled import Spec

GIB = 1024**3
ROOM_GB = 5


def plan_job(
    spec: Spec,
    command: str,
    *,
    stack: str,
    name: str,
    plan_uri: str,
    largest_bytes: int,
    image_uri: str,
    role_arn: str,
) -> dict[str, Any]:
    """
    Return a CreateProcessingJob request.

    Args:
        spec: The model.
        command: What `python -m tidemill_jobs` is to do: `check` or `watch`.
        stack: The CloudFormation stack's name.
        name: Tells this job from the model's others: a delivery or a look, and the part.
        plan_uri: The plan in S3; the object must be called plan.json.
        largest_bytes: The largest file, unpacked, as estimated: the disk must hold it.
        image_uri: The jobs image.
        role_arn: The role that the job runs as.

    Raises:
        ValueError: The plan has another name, and the job would not find it.
    """
    if not plan_uri.endswith("/plan.json"):
        raise ValueError(f"{plan_uri} reaches the job under that name; store it as …/plan.json")
    compute = spec.train.compute
    needed = math.ceil(largest_bytes / GIB) + ROOM_GB
    machine = replace(compute, volume_gb=max(compute.volume_gb, needed))
    return {
        "ProcessingJobName": aws_name(stack, spec.project, spec.model, command, name),
        "AppSpecification": {
            "ImageUri": image_uri,
            "ContainerEntrypoint": ["python", "-m", "tidemill_jobs", command],
        },
        "ProcessingInputs": [Input("plan", plan_uri).to_json()],
        "ProcessingResources": {"ClusterConfig": cluster(machine)},
        "StoppingCondition": {"MaxRuntimeInSeconds": compute.max_runtime_seconds},
        "RoleArn": role_arn,
        "Tags": tags({"stack": stack, "project": spec.project, "model": spec.model}),
    }
