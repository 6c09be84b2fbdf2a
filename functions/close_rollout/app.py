"""
End a rollout: the champion or the failure, in the ledger, and the lease.

Called by `statemachines/rollout.asl.json`, states CloseRollout and CloseFailedRollout.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.ledger import Entry
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import RolloutRolledBack, RolloutSucceeded
from tidemill.contracts.models import Failure
from tidemill.contracts.rollouts import CloseRollout
from tidemill.domain.failure import explain
from tidemill.settings import CloseRolloutSettings

logger = Logger()
settings = CloseRolloutSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
bus = Bus(boto3.client("events"), settings.bus_name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = CloseRollout.parse(event)
    now = time.time()
    if request.gone:
        stores.champions.forget(request.ref)
    entry = ledger_entry(request, now)
    if request.failure is None and request.action != "none":
        stores.champions.crown(
            request.ref,
            version=request.version,
            config=request.config,
            package=request.package,
            now=now,
            entry=entry,
        )
    else:
        stores.ledger.append(entry)
    stores.leases.release(request.ref, "rollout", request.execution)
    announced = RolloutSucceeded if request.failure is None else RolloutRolledBack
    bus.put(announced(request.project, request.model, number=request.version, reason=entry.reason))
    logger.info("rollout_closed", extra={"version": request.version, "verdict": entry.verdict})
    return {"verdict": entry.verdict, "reason": entry.reason}


def ledger_entry(request: CloseRollout, now: float) -> Entry:
    if request.failure is not None:
        failure = Failure.parse(request.failure)
        said = explain(failure.state, failure.error, failure.cause).reason
        verdict = "roll back" if request.rolled_back else "fail"
        champion = stores.champions.find(request.ref)
        after = f"version {champion['version']} stays" if champion else "nothing is in service"
        reason = f"{said}; {after}"
    elif request.action == "none":
        verdict, reason = "keep", f"version {request.version} is already in service"
    else:
        verdict, reason = (
            "in service",
            f"version {request.version} answers as evaluated: {request.why}",
        )
    return Entry(
        request.ref,
        f"rollout#{request.execution}",
        now,
        "rollout",
        f"version {request.version}",
        verdict,
        reason,
        {"version": request.version, "config": request.config, "execution": request.execution},
    )
