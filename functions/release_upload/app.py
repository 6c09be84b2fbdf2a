"""
Have an upload used that is set aside; a data trigger follows.

Called by `tidemill quarantine release`.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Queue
from tidemill.adapters.lake import Lake
from tidemill.adapters.releasing import Releasing
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ReleaseUpload
from tidemill.settings import ReleaseUploadSettings

logger = Logger()
settings = ReleaseUploadSettings.from_env()
releasing = Releasing(
    Stores.of(boto3.client("dynamodb"), settings),
    Lake(boto3.client("s3")),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    settings.artifact_bucket,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = ReleaseUpload.parse(event)
    word = releasing.release(request, time.time())
    logger.info("upload_released", extra={"model": request.ref, "key": request.key})
    return {"key": word.version.key, "version_id": word.version.version_id}
