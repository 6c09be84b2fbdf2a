"""
Bring an earlier version back into service.

Called by `tidemill rollback`. Without a number it is the version that the champion replaced.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import RequestRollback
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill.names import aws_name
from tidemill.settings import StartRolloutSettings

logger = Logger()
settings = StartRolloutSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
registry = Registry(boto3.client("sagemaker"))
rollout = Workflows(boto3.client("stepfunctions"), settings.rollout_arn)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = RequestRollback.parse(event)
    champion = stores.champions.find(request.ref)
    number = request.version or (champion or {}).get("previous")
    if number is None:
        raise NotFoundError(f"{request.ref} has no earlier version that was in service")
    found = registry.version(aws_name(settings.stack_name, request.project, request.model), number)
    if found["approval"] != "Approved":
        raise InvalidInputError(
            f"version {number} is {found['approval']}; approve it first: "
            f"tidemill approve {request.ref} {number} --why …"
        )
    name = f"{request.model[:40]}-v{number}-rollback-{time.time_ns():x}"
    execution = rollout.start(
        name,
        {
            "project": request.project,
            "model": request.model,
            "version": number,
            "package": found["package"],
            "why": f"rollback: {request.why}",
        },
    )
    return {"version": number, "execution": execution}
