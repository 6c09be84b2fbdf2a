"""
Take a model out of service: endpoint, configurations, SageMaker models, pipeline, spec.

Called by `tidemill delete`. Uploads, versions and the ledger stay: nothing that was learned is
lost, and applying the spec again goes on from there.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.ledger import Entry
from tidemill.adapters.runs import GOING
from tidemill.adapters.stores import Stores
from tidemill.contracts import DeleteModel
from tidemill.errors import InvalidInputError
from tidemill.names import aws_name, rollout_name
from tidemill.settings import DeleteModelSettings
from tidemill.times import iso

logger = Logger()
settings = DeleteModelSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
sagemaker = boto3.client("sagemaker")
endpoints, jobs = Endpoints(sagemaker), Jobs(sagemaker)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = DeleteModel.parse(event)
    stores.specs.get(request.ref)
    going = [run["run"] for run in stores.runs.of(request.ref) if run["status"] in GOING]
    if going:
        raise InvalidInputError(f"{going[0]} is still going; wait for it, or stop it, then delete")
    rollout = stores.leases.read(request.ref, "rollout")
    if rollout is not None and rollout.expires_at > time.time():
        raise InvalidInputError(f"the rollout {rollout.holder} is still going; wait for it")
    name = aws_name(settings.stack_name, request.project, request.model)
    gone = endpoints.delete(name, created(request))
    if jobs.delete_pipeline(name):
        gone.append(f"pipeline {name}")
    stores.champions.forget(request.ref)
    now = time.time()
    entry = Entry(
        request.ref,
        f"model#delete#{iso(now)}",
        now,
        "model",
        request.model,
        "delete",
        f"{request.why}; uploads, versions and this ledger stay",
        {"deleted": gone},
    )
    stores.specs.remove(request.ref, stores.ledger, entry)
    logger.info("model_deleted", extra={"model": request.ref, "deleted": gone})
    return {"deleted": gone}


def created(request: DeleteModel) -> list[str]:
    """Return what the model's rollouts called their SageMaker model and configuration."""
    executions = [
        entry["facts"]["execution"]
        for entry in stores.ledger.entries(request.ref)
        if entry["kind"] == "rollout" and "execution" in entry["facts"]
    ]
    return [
        rollout_name(settings.stack_name, request.project, request.model, execution)
        for execution in dict.fromkeys(executions)
    ]
