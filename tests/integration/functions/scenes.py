"""What the functions' tests share: names, a message, a run that is under way."""

import json

from tidemill.adapters.items import transact
from tidemill.adapters.runs import Basis
from tidemill.domain.trigger import Standing, Trigger, decide
from tidemill.spec.compiled import Triggers

REF = "flights/delay"
MODEL = {"project": "flights", "model": "delay"}
NAME = "tidemill--flights--delay"
CSV = b"carrier,distance,late\nUA,1400,0\nAA,733,1\n"


def queued(body, receives=1):
    """Return what the event source mapping hands to a function: one record."""
    return {
        "Records": [
            {
                "messageId": "m1",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
        ]
    }


def pend(cloud, trigger, *, kind="data", at=None, rows=None):
    """Store a trigger that waits for a decision."""
    at = cloud.now if at is None else at
    pending = Trigger(trigger, kind, at, f"{trigger} came", rows)
    transact(cloud.stores.state.client, [cloud.stores.triggers.put(REF, pending)])


def begin_run(cloud, trigger="d-1", *, status="running"):
    """Start a run, without any function; return its id."""
    pend(cloud, trigger)
    basis = Basis(cloud.stores.leases.read(REF, "run"), cloud.stores.standings.read(REF).starts)
    pending = cloud.stores.triggers.pending(REF)
    decision = decide(pending, Triggers(), Standing(basis.lease), cloud.now)
    assert cloud.stores.runs.start(REF, decision, basis, cloud.now)
    if status != "starting":
        cloud.workflows.begin("retrain", decision.run, {**MODEL, "run": decision.run})
        cloud.stores.runs.note(REF, decision.run, status=status)
    return decision.run
