"""What the functions' tests share: names, a message, a run that is under way."""

import json

from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.items import transact
from tidemill.adapters.runs import Basis
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.trigger import Standing, Trigger, decide
from tidemill.spec.compiled import Triggers

from ...stack import LAKE

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


def close_delivery(cloud, *names):
    """Have the named uploads accepted into one delivery and close it; return its id."""
    arrivals = [
        Arrival(
            ObjectVersion(LAKE, f"raw/{REF}/{name}", f"v{n}", "e", 10, 1.0, f"{n:08X}"),
            Verdict("accept", "new"),
        )
        for n, name in enumerate(names or ("a.csv",))
    ]
    cloud.stores.deliveries.add(REF, arrivals, cloud.now)
    opened = cloud.stores.deliveries.open(REF)
    assert cloud.stores.deliveries.close(REF, opened, "2 files; quiet for 30 s", cloud.now)
    return opened.id


def begin_check(cloud, *names):
    """Have a delivery's check started; return the delivery and the machine's input."""
    delivery = close_delivery(cloud, *names)
    document = {**MODEL, "delivery": delivery, "attempt": 1}
    cloud.workflows.begin("check", delivery, document)
    return delivery, document


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
