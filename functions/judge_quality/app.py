"""
Join captured predictions with their truth, and say whether the model is still good enough.

Called by `statemachines/watch.asl.json`, state JudgeQuality. What was joined before and has not
changed is not joined again.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.adapters.qualities import Qualities
from tidemill.adapters.quality_metrics import QualityMetrics
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import ModelRef
from tidemill.settings import JudgeQualitySettings
from tidemill_jobs.truth.points import judge_parts

THREADS = 8  # small parts take longer to ask for than to fetch

logger = Logger()
settings = JudgeQualitySettings.from_env()
qualities = Qualities(
    Stores.of(boto3.client("dynamodb"), settings),
    Lake(boto3.client("s3")),
    Registry(boto3.client("sagemaker")),
    Bus(boto3.client("events"), settings.bus_name),
    metrics=QualityMetrics(boto3.client("cloudwatch")),
    judge=judge_parts,
    stack=settings.stack_name,
    bucket=settings.lake_bucket,
    each=ThreadPoolExecutor(THREADS).map,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = ModelRef.parse(event)
    with tempfile.TemporaryDirectory() as work:
        decided = qualities.look(request.ref, Path(work), time.time())
    told = {"verdict": decided.verdict, "reason": decided.reason}
    logger.info("quality_judged", extra={"model": request.ref, **told})
    return told
