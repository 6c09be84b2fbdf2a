"""
Take a model out of service: schedules, endpoint, configurations, models, pipeline, spec.

Called by `tidemill delete`. Uploads, versions and the ledger stay: nothing that was learned is
lost, and applying the spec again goes on from there.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.applying import turn
from tidemill.adapters.bus import Queue
from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.items import ConditionFailedError
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.ledger import Entry
from tidemill.adapters.schedules import Schedules
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import DeleteModel
from tidemill.errors import ApplyBusyError, InvalidInputError
from tidemill.names import aws_name, rollout_name
from tidemill.settings import DeleteModelSettings
from tidemill.times import iso

logger = Logger()
settings = DeleteModelSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
queue = Queue(boto3.client("sqs"), settings.trigger_queue_url)
schedules = Schedules(boto3.client("scheduler"), settings.stack_name, settings.schedule_group)
sagemaker = boto3.client("sagemaker")
endpoints, jobs = Endpoints(sagemaker), Jobs(sagemaker)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = DeleteModel.parse(event)
    now = time.time()
    stores.specs.get(request.ref)
    with turn(stores, request.ref, "delete", now):
        refuse_while_busy(request.ref, now)
        gone = delete(request)
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
        try:
            idle = (stores.standings.idle(request.ref),)
            stores.specs.remove(request.ref, stores.ledger, entry, idle)
        except ConditionFailedError as error:
            raise ApplyBusyError(
                "a run has started meanwhile; delete again when it ends"
            ) from error
    queue.send({"project": request.project, "model": request.model})  # what waits is told so
    logger.info("model_deleted", extra={"model": request.ref, "deleted": gone})
    return {"deleted": gone}


def refuse_while_busy(ref: str, now: float) -> None:
    for name, what in (("run", ""), ("rollout", "the rollout ")):
        lease = stores.leases.read(ref, name)
        if lease is not None and lease.expires_at > now:
            hint = "wait for it" if what else "wait for it, or stop it, then delete"
            raise InvalidInputError(f"{what}{lease.holder} is still going; {hint}")


def delete(request: DeleteModel) -> list[str]:
    name = aws_name(settings.stack_name, request.project, request.model)
    schedules_gone = schedules.remove(request.project, request.model)
    gone = endpoints.delete(name, created(request))
    if jobs.delete_pipeline(name):
        gone.append(f"pipeline {name}")
    stores.champions.forget(request.ref)
    return gone + [f"schedule {schedule}" for schedule in schedules_gone]


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
