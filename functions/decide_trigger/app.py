"""
Decide every pending trigger of a model, and start the run that follows.

Called by the trigger queue. A message says only "look at this model": what is pending is in the
State table, so that a lost, late or repeated message changes nothing.
"""

import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.bus import Bus
from tidemill.adapters.runs import MOST_TRIGGERS, trigger_entry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import ModelRef
from tidemill.domain.trigger import decide
from tidemill.settings import DecideTriggerSettings

logger = Logger()
settings = DecideTriggerSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
retrain = Workflows(boto3.client("stepfunctions"), settings.retrain_arn)
bus = Bus(boto3.client("events"), settings.bus_name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    for record in event["Records"]:  # the event source sends one at a time
        look(ModelRef.parse(json.loads(record["body"])), time.time())


def look(model: ModelRef, now: float) -> None:
    lease = stores.leases.read(model.ref, "run")
    pending = stores.triggers.pending(model.ref)[:MOST_TRIGGERS]
    decision = decide(pending, lease, now)
    if decision.run is None:
        for verdict in decision.verdicts:
            holder = lease.holder if lease else ""
            stores.ledger.append(trigger_entry(model.ref, verdict, now, holder))
    elif not stores.runs.start(model.ref, decision, lease, now):
        return look(model, now)  # another decision was faster: see what it left
    for run in stores.runs.of(model.ref):
        if run["status"] == "starting":  # also one whose starter died after writing it
            start(model, run)
    return None


def start(model: ModelRef, run: dict[str, Any]) -> None:
    execution = retrain.start(
        run["run"], {"project": model.project, "model": model.model, "run": run["run"]}
    )
    stores.runs.note(model.ref, run["run"], status="running", execution=execution)
    logger.info("run_started", extra={"run": run["run"], "trigger": run["trigger"]})
    bus.put("Run Started", model.ref, run=run["run"], trigger=run["trigger"], why=run["why"])
