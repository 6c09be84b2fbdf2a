"""
Divide a delivery's uploads into parts that are read together, in a Lambda or in a job.

Called by `statemachines/check.asl.json`, state PlanCheck.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.checks import reach
from tidemill.adapters.lake import Lake
from tidemill.adapters.plans import Plans
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CheckRef
from tidemill.domain.check import plan
from tidemill.domain.size import text_bytes
from tidemill.errors import NotFoundError
from tidemill.pipeline.plan_job import plan_job
from tidemill.settings import PlanCheckSettings

logger = Logger()
settings = PlanCheckSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
plans = Plans(Lake(boto3.client("s3")), settings.artifact_bucket)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CheckRef.parse(event)
    spec = stores.specs.get(request.ref)
    record = stores.checks.find(request.ref, request.delivery)
    if record is None:
        raise NotFoundError(f"{request.ref} has no closed delivery {request.delivery}")
    uploads = stores.ledger.accepted_in(request.ref, request.delivery, **reach(record))
    contract = stores.data_contracts.judging(spec)
    planned = []
    for number, part in enumerate(plan(uploads)):
        uri = plans.write(
            spec, request.delivery, request.attempt, number, part.objects, contract=contract
        )
        job = plan_job(
            spec,
            "check",
            stack=settings.stack_name,
            name=f"{request.delivery}-{request.attempt}-{number}",
            plan_uri=uri,
            largest_bytes=max(text_bytes(item.key, item.size) for item in part.objects),
            image_uri=settings.jobs_image_uri,
            role_arn=settings.execution_role_arn,
        )
        planned.append({"plan": uri, "small": part.small, "job": job})
    logger.info("check_planned", extra={"delivery": request.delivery, "parts": len(planned)})
    return {"parts": planned}
