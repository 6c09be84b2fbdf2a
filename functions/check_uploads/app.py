"""
Read some uploads of a delivery once and write down what they hold.

Called by `statemachines/check.asl.json`, state CheckUploads. What is written stays: whoever goes on
with the same plan, another attempt or a job, skips it.
"""

import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from tidemill.contracts.uploads import CheckUploads
from tidemill.errors import NotFoundError, OutOfRoomError
from tidemill_jobs.check import Plan, check_objects
from tidemill_jobs.lake import Lake

logger = Logger()
lake = Lake()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = CheckUploads.parse(event)
    text = lake.find_text(request.plan)
    if text is None:
        raise NotFoundError(f"{request.plan} is not there; the next attempt plans anew")
    plan = Plan.parse(text)
    try:
        with tempfile.TemporaryDirectory() as work:
            done = check_objects(
                plan, lake, Path(work),
                seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
            )  # fmt: skip
    except MemoryError as error:
        raise OutOfRoomError("a file takes more memory than this function has") from error
    left = len(set(plan.objects)) - len(done)
    if left:
        raise OutOfRoomError(f"{left} of {len(plan.objects)} uploads are left to read")
    logger.info("uploads_checked", extra={"plan": request.plan, "uploads": len(done)})
    return {"uploads": len(done)}
