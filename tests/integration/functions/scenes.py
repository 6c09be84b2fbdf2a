"""What the functions' tests share: names, a message, a run that is under way."""

import json

from tidemill.adapters.items import transact
from tidemill.domain.trigger import Trigger, decide

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


def pend(cloud, trigger, *, kind="data", at=None):
    """Store a trigger that waits for a decision."""
    pending = Trigger(trigger, kind, cloud.now if at is None else at, f"{trigger} came")
    transact(cloud.stores.state.client, [cloud.stores.triggers.put(REF, pending)])


def begin_run(cloud, trigger="d-1", *, status="running"):
    """Start a run, without any function; return its id."""
    pend(cloud, trigger)
    lease = cloud.stores.leases.read(REF, "run")
    decision = decide(cloud.stores.triggers.pending(REF), lease, cloud.now)
    assert cloud.stores.runs.start(REF, decision, lease, cloud.now)
    if status != "starting":
        cloud.workflows.begin("retrain", decision.run, {**MODEL, "run": decision.run})
        cloud.stores.runs.note(REF, decision.run, status=status)
    return decision.run
