"""
Answer the workflows that wait for a SageMaker resource whose status changed.

Called by the rules on SageMaker's pipeline and endpoint events. An event is a hint: what counts is
what the resource says when it is described.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.parking import Parking
from tidemill.adapters.state import State
from tidemill.settings import ResumeSettings

logger = Logger()
settings = ResumeSettings.from_env()
sagemaker = boto3.client("sagemaker")
parking = Parking(
    State(boto3.client("dynamodb"), settings.state_table),
    boto3.client("stepfunctions"),
    Jobs(sagemaker),
    Endpoints(sagemaker),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    detail = event["detail"]
    resource = detail.get("pipelineExecutionArn") or detail.get("EndpointArn")
    if resource:
        answered = parking.settle(resource)
        logger.info("resumed", extra={"resource": resource, "answered": answered})
