"""What the functions' tests share: names, a message, a run that is under way."""

import json

from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.items import transact
from tidemill.adapters.lake import Lake
from tidemill.adapters.runs import Basis
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.trigger import Standing, Trigger, decide
from tidemill.spec.compiled import Triggers

from ...stack import LAKE
from ..cloud import client

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


def deliver(cloud, files):
    """Upload *files* (name: body), have them accepted and closed; return the machine's input."""
    lake, arrivals = Lake(client("s3")), []
    for name, body in files.items():
        event = cloud.upload(f"raw/{REF}/{name}", body)
        item = lake.look(event.bucket, event.key, event.version_id, event.sequencer)
        arrivals.append(Arrival(item, Verdict("accept", "new")))
    cloud.stores.deliveries.add(REF, arrivals, cloud.now)
    opened = cloud.stores.deliveries.open(REF)
    assert cloud.stores.deliveries.close(REF, opened, "quiet for 30 s", cloud.now)
    return {**MODEL, "delivery": opened.id, "attempt": 1}


def read(cloud, document):
    """Have a delivery's uploads read, as the check machine does before it concludes."""
    for part in cloud.invoke("plan_check", document)["parts"]:
        cloud.invoke("check_uploads", {"plan": part["plan"]})
    return document


def rows(count=300, *, first=0, **columns):
    """Return a CSV of REF's spec, of good rows; *columns* are the same in every row."""
    lines = [
        ["UA" if n % 3 else "AA", str(100 + n), str(n % 2), *columns.values()]
        for n in range(first, first + count)
    ]
    header = ["carrier", "distance", "late", *columns]
    return "".join(f"{','.join(line)}\n" for line in [header, *lines]).encode()


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
