"""
Ask the endpoint the smoke rows, and compare with what the version answered at evaluation.

Called by `statemachines/rollout.asl.json`, state SmokeTest.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.lake import Lake
from tidemill.contracts.rollouts import SmokeEndpoint
from tidemill.domain.rollout import differing_row
from tidemill.errors import EndpointFailedError, SmokeTestError

logger = Logger()
endpoints = Endpoints(boto3.client("sagemaker"), boto3.client("sagemaker-runtime"))
lake = Lake(boto3.client("s3"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = SmokeEndpoint.parse(event)
    live = endpoints.describe(request.endpoint)
    if live is None or live["EndpointConfigName"] != request.config:
        raise EndpointFailedError(f"{request.endpoint} is not in service with {request.config}")
    smoke = lake.get_json(request.smoke)
    if not smoke or not smoke["rows"]:
        raise SmokeTestError(f"there are no smoke rows at {request.smoke}")
    answered = endpoints.smoke(request.endpoint, smoke["rows"])
    differing = differing_row(smoke["predictions"], answered)
    if differing is not None:
        raise SmokeTestError(
            f"row {differing + 1} of {len(smoke['rows'])} smoke rows is answered otherwise than "
            "when the version was evaluated"
        )
    logger.info("smoke_test_passed", extra={"endpoint": request.endpoint})
    return {"rows": len(answered)}
