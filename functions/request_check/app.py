"""
Try a delivery's failed check again.

Called by `tidemill recheck`: after its last attempt by itself a check waits for a person.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.checking import Checking
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.uploads import RequestCheck
from tidemill.errors import InvalidInputError
from tidemill.settings import RequestCheckSettings

logger = Logger()
settings = RequestCheckSettings.from_env()
checking = Checking(
    Stores.of(boto3.client("dynamodb"), settings),
    Workflows(boto3.client("stepfunctions"), settings.check_arn),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = RequestCheck.parse(event)
    if not request.why.strip():
        raise InvalidInputError("another check needs a reason: --why")
    attempt = checking.again(
        request.ref,
        request.delivery,
        request=request.id or context.aws_request_id,
        why=request.why,
        now=time.time(),
    )
    logger.info("check_requested", extra={"delivery": request.delivery, "attempt": attempt})
    return {"delivery": request.delivery, "attempt": attempt}
