"""
Store a task token under the resource it waits for, then look whether the wait is over already.

Called by both workflows, states that await a pipeline or an endpoint.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.parking import Parking
from tidemill.adapters.stores import Stores
from tidemill.contracts.runs import Park
from tidemill.names import model_ref
from tidemill.settings import ParkSettings

logger = Logger()
settings = ParkSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
sagemaker = boto3.client("sagemaker")
parking = Parking(
    stores.state, boto3.client("stepfunctions"), Jobs(sagemaker), Endpoints(sagemaker)
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    request = Park.parse(event)
    parking.put(
        resource=request.resource,
        kind=request.kind,
        wanted=request.wanted,
        token=request.token,
        now=time.time(),
    )
    if request.run:  # so that a run which is stopped can stop its pipeline
        ref = model_ref(request.project, request.model)
        stores.runs.note(ref, request.run, pipeline=request.resource)
    answered = parking.settle(request.resource)  # its event may have come before the token
    logger.info("parked", extra={"resource": request.resource, "answered": answered})
