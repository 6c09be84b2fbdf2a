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
from tidemill.adapters.runs import trigger_entry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts import ModelRef, RunStarted, TriggerDecided
from tidemill.domain.trigger import Decision, VerdictName, decide
from tidemill.settings import DecideTriggerSettings

ATTEMPTS = 10

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
    for _ in range(ATTEMPTS):
        lease = stores.leases.read(model.ref, "run")
        in_force = stores.specs.applied(model.ref) is not None
        decision = decide(stores.triggers.pending(model.ref), lease, now, in_force=in_force)
        if decision.run is None:
            defer(model, decision, lease.holder if lease else "", now)
            break
        # Whether it starts or another decision was faster: look again at those that are left.
        stores.runs.start(model.ref, decision, lease, now)
    else:
        raise TimeoutError(f"other decisions on {model.ref} were faster {ATTEMPTS} times")
    for run in stores.runs.of(model.ref):
        if run["status"] == "starting":  # also one whose starter died after writing it
            start(model, run)


def defer(model: ModelRef, decision: Decision, holder: str, now: float) -> None:
    for verdict in decision.verdicts:
        if stores.ledger.append(trigger_entry(model.ref, verdict, now, holder)):
            tell(model, verdict.trigger.id, "defer", holder)


def start(model: ModelRef, run: dict[str, Any]) -> None:
    # Told first: a short run may have ended before a retry comes by to say that it began.
    for place, trigger in enumerate(run["triggers"]):
        tell(model, trigger, "coalesce" if place else "start", run["run"])
    bus.put(
        RunStarted(
            model.project, model.model, run=run["run"], trigger=run["trigger"], why=run["why"]
        )
    )
    execution = retrain.start(
        run["run"], {"project": model.project, "model": model.model, "run": run["run"]}
    )
    stores.runs.note(model.ref, run["run"], status="running", execution=execution)
    logger.info("run_started", extra={"run": run["run"], "trigger": run["trigger"]})


def tell(model: ModelRef, trigger: str, verdict: VerdictName, run: str) -> None:
    bus.put(TriggerDecided(model.project, model.model, trigger=trigger, verdict=verdict, run=run))
