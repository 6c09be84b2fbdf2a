"""
Find what events missed, and set going again what stopped.

Called by a schedule, and by the local cloud at its start. Everything it does is safe to repeat:
uploads that have a verdict keep it, messages are hints, and what has ended stays ended.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.sweep import Sweep
from tidemill.settings import SweepSettings

logger = Logger()
settings = SweepSettings.from_env()
sweep = Sweep.of(boto3.client, settings)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:  # noqa: ARG001  # Lambda passes both
    found, failed = sweep.run(time.time(), tell)
    logger.info("swept", extra=found)
    if failed:
        raise RuntimeError(f"the sweep failed at: {', '.join(failed)}")
    return found


def tell(part: str, error: Exception) -> None:
    logger.error("sweep_part_failed", exc_info=error, extra={"part": part})
