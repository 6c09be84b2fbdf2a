"""
The request of the Prepare job: a dataset becomes train, validation and test files.

Called by `functions/open_run`; the job writes through its lake module, so it has no outputs.
"""

from typing import Any

from tidemill.names import aws_name
from tidemill.pipeline.own_capture import hash_key
from tidemill.pipeline.request_parts import Input, cluster, tags
from tidemill.spec.compiled import Spec


def prepared_uri(
    spec: Spec, *, lake_bucket: str, dataset: str, run_id: str, attempt: int = 0
) -> str:
    """
    Return where one attempt of a run writes; no other attempt ever writes there.

    Returns:
        `s3://<lake>/prepared/<project>/<model>/<dataset>/<run>`, and `-r<attempt>` after the
        run for a repeated one; no slash at the end.
    """
    return f"s3://{lake_bucket}/prepared/{spec.ref}/{dataset}/{_named(run_id, attempt)}"


def prepare_job(
    spec: Spec,
    *,
    stack: str,
    run_id: str,
    dataset: str,
    dataset_uri: str,
    spec_uri: str,
    lake_bucket: str,
    image_uri: str,
    role_arn: str,
    contract_uri: str = "",
    attempt: int = 0,
) -> dict[str, Any]:
    """
    Return a CreateProcessingJob request.

    Args:
        spec: The model.
        stack: The CloudFormation stack's name.
        run_id: The run, which names the job.
        dataset: The dataset's hash.
        dataset_uri: Its list in S3; the object must be called dataset.json.
        spec_uri: The compiled spec in S3; the object must be called spec.json.
        lake_bucket: Where the prepared files go.
        image_uri: The jobs image.
        role_arn: The role that the job runs as.
        contract_uri: The contract in S3, an object called contract.json; empty when there is none.
        attempt: 0 at first; a repeated attempt has its own job name and its own prefix.

    Raises:
        ValueError: An object has another name, and the job would not find it.
    """
    named = (
        (dataset_uri, "dataset.json"),
        (spec_uri, "spec.json"),
        (contract_uri, "contract.json"),
    )
    for uri, name in named:
        if uri and not uri.endswith(f"/{name}"):
            raise ValueError(f"{uri} reaches the job under that name; store it as …/{name}")
    where = prepared_uri(
        spec, lake_bucket=lake_bucket, dataset=dataset, run_id=run_id, attempt=attempt
    )
    compute = spec.train.compute
    key = hash_key(spec, spec_uri.removeprefix("s3://").partition("/")[0])
    return {
        "ProcessingJobName": aws_name(
            stack, spec.project, spec.model, "prepare", _named(run_id, attempt)
        ),
        "AppSpecification": {
            "ImageUri": image_uri,
            "ContainerEntrypoint": ["python", "-m", "tidemill_jobs", "prepare"],
        },
        "Environment": {"PREPARED_URI": where} | ({"HASH_KEY_URI": key} if key else {}),
        "ProcessingInputs": [
            Input("dataset", dataset_uri).to_json(),
            Input("spec", spec_uri).to_json(),
            *([Input("contract", contract_uri).to_json()] if contract_uri else []),
        ],
        "ProcessingResources": {"ClusterConfig": cluster(compute)},
        "StoppingCondition": {"MaxRuntimeInSeconds": compute.max_runtime_seconds},
        "RoleArn": role_arn,
        "Tags": tags({"stack": stack, "project": spec.project, "model": spec.model, "run": run_id}),
    }


def _named(run_id: str, attempt: int) -> str:
    return f"{run_id}-r{attempt}" if attempt else run_id
