"""
Read some uploads of a delivery once and write down what they hold.

Called by `statemachines/check.asl.json`, state CheckUploads. What is written stays: whoever goes on
with the same plan, another attempt or a job, skips it.
"""

from typing import Any

from aws_lambda_powertools import Logger

from tidemill.contracts.uploads import CheckUploads
from tidemill.errors import NotFoundError
from tidemill.room import require_all, room, seconds_left
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
    uploads = len(set(plan.objects))
    with room(f"{uploads} uploads") as work:
        done = check_objects(plan, lake, work, seconds_left=seconds_left(context))
    require_all(len(done), uploads, "uploads")
    logger.info("uploads_checked", extra={"plan": request.plan, "uploads": len(done)})
    return {"uploads": len(done)}
