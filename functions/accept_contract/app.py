"""
Widen a model's contract by an upload, and release what keeps it then; a data trigger follows.

Called by `tidemill quarantine accept-as-contract`. Inferring and judging are the jobs' own code,
which reads facts and no files.
"""

import time
from dataclasses import asdict
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.accepting import Accepting
from tidemill.adapters.bus import Queue
from tidemill.adapters.lake import Lake
from tidemill.adapters.releasing import Releasing
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import AcceptContract
from tidemill.settings import ReleaseUploadSettings
from tidemill_jobs.contract import verdicts

logger = Logger()
settings = ReleaseUploadSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
lake = Lake(boto3.client("s3"))
queue = Queue(boto3.client("sqs"), settings.trigger_queue_url)
accepting = Accepting(
    stores,
    lake,
    Releasing(stores, lake, queue, settings.artifact_bucket),
    rules=verdicts,
    bucket=settings.artifact_bucket,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = AcceptContract.parse(event)
    accepted = accepting.accept(request, time.time())
    logger.info(
        "contract_accepted",
        extra={"model": request.ref, "digest": accepted.digest, "released": len(accepted.released)},
    )
    return asdict(accepted)
