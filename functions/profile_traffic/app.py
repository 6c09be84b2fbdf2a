"""
Profile one part of an endpoint's captured traffic, window by window.

Called by `statemachines/watch.asl.json`, state ProfileTraffic. What is written stays: whoever goes
on with the same plan, a retry or a job, skips it.
"""

import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from tidemill.contracts.watch import ProfileTraffic
from tidemill.errors import NotFoundError, OutOfRoomError
from tidemill_jobs.lake import Lake
from tidemill_jobs.watch import Plan, profile_windows

logger = Logger()
lake = Lake()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = ProfileTraffic.parse(event)
    text = lake.find_text(request.plan)
    if text is None:
        raise NotFoundError(f"{request.plan} is not there; the next look plans anew")
    plan = Plan.parse(text)
    try:
        with tempfile.TemporaryDirectory() as work:
            done = profile_windows(
                plan, lake, Path(work),
                seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
            )  # fmt: skip
    except MemoryError as error:
        raise OutOfRoomError("the traffic takes more memory than this function has") from error
    left = len(plan.windows) - len(done)
    if left:
        raise OutOfRoomError(f"{left} of {len(plan.windows)} windows are left to profile")
    logger.info("traffic_profiled", extra={"plan": request.plan, "windows": len(done)})
    return {"windows": len(done)}
