"""
Profile one part of an endpoint's captured traffic, window by window.

Called by `statemachines/watch.asl.json`, state ProfileTraffic. What is written stays: whoever goes
on with the same plan, a retry or a job, skips it.
"""

from typing import Any

from aws_lambda_powertools import Logger

from tidemill.contracts.watch import ProfileTraffic
from tidemill.errors import NotFoundError
from tidemill.room import require_all, room, seconds_left
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
    with room(f"{len(plan.windows)} windows") as work:
        done = profile_windows(plan, lake, work, seconds_left=seconds_left(context))
    require_all(len(done), len(plan.windows), "windows")
    logger.info("traffic_profiled", extra={"plan": request.plan, "windows": len(done)})
    return {"windows": len(done)}
