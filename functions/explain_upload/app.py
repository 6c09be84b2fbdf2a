"""
Name the bad rows of one quarantined upload, for its owner.

Called by `statemachines/check.asl.json`, state ExplainUpload, after the check is concluded: whether
this works changes no verdict.
"""

import tempfile
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.explaining import Explaining
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ExplainUpload
from tidemill.settings import ExplainUploadSettings
from tidemill_jobs.contract.explain import explain

logger = Logger()
settings = ExplainUploadSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
explaining = Explaining(stores.specs, Lake(boto3.client("s3")), explain)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = ExplainUpload.parse(event)
    with tempfile.TemporaryDirectory() as work:
        explained = explaining.look(request, Path(work))
    logger.info("upload_explained", extra={"key": request.key, "explained": explained})
    return {"explained": explained}
