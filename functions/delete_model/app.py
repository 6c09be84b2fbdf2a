"""
Take a model out of service: schedules, endpoint, configurations, models, pipeline, spec.

Called by `tidemill delete`. Uploads, versions and the ledger stay: nothing that was learned is
lost, and applying the spec again goes on from there.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Queue
from tidemill.adapters.deleting import Deleting
from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.monitoring import MonitoringSchedules
from tidemill.adapters.schedules import Schedules
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import DeleteModel
from tidemill.settings import DeleteModelSettings

logger = Logger()
settings = DeleteModelSettings.from_env()
sagemaker = boto3.client("sagemaker")
deleting = Deleting(
    Stores.of(boto3.client("dynamodb"), settings),
    Endpoints(sagemaker),
    Jobs(sagemaker),
    Schedules(boto3.client("scheduler"), settings.stack_name, settings.schedule_group),
    Queue(boto3.client("sqs"), settings.trigger_queue_url),
    monitoring=MonitoringSchedules(sagemaker, settings.stack_name),
    stack=settings.stack_name,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = DeleteModel.parse(event)
    gone = deleting.delete(request, time.time())
    logger.info("model_deleted", extra={"model": request.ref, "deleted": gone})
    return {"deleted": gone}
