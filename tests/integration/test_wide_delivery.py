"""
One delivery of very many files, from its events to its run, through the real functions.

`FILES=100000 pytest -s --timeout 0 -k wide_delivery` is the whole of it (docs/benchmarks.md); the
test runs a smaller one. With UNREAD=1 a fortieth of the files is read, and the others' facts are
those of one of them under their own names: reading is most of the time, and shared by many Lambdas.
What a state machine carries stays below its 256 KB and an item below its 400 KB,
however many files there are.
"""

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidemill.adapters.bus import Queue
from tidemill.adapters.completion import Completion
from tidemill.adapters.conclusions import Conclusions
from tidemill.adapters.datasets import Datasets
from tidemill.adapters.entries import Entry
from tidemill.adapters.facts import FactsStore
from tidemill.adapters.intake import Intake
from tidemill.adapters.lake import Lake
from tidemill.adapters.plans import Plans
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.runs import Basis
from tidemill.adapters.stores import Stores
from tidemill.domain.trigger import Standing, decide
from tidemill.spec.compiled import Triggers
from tidemill_jobs.check import Plan, facts_of
from tidemill_jobs.contract import verdicts
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.lake import Lake as Versions
from tidemill_jobs.packs import Packs

from .. import stack
from .cloud import NOW, client
from .functions.scenes import MODEL, REF, queued
from .functions.test_admit_upload import records
from .wide import MemoryObjects, WideTables, etag

FILES = int(os.environ.get("FILES", "240"))
READ_EACH = 40 if "UNREAD" in os.environ else 1  # of the plans
BATCH = 1000
MACHINE_BYTES, FUNCTION_BYTES, ITEM_BYTES = 256 * 1024, 6 * 1024**2, 400 * 1024
PREFIX = f"raw/{REF}/dt=2026-11-20/"
BAD, WRONG = 5, 6  # a file that breaks the contract, one that is not as the manifest says


class Nobody:
    """Takes what is told."""

    def __init__(self):
        self.told = []

    def put(self, event):
        self.told.append(event)

    def send(self, message, delay_seconds=0):
        self.told.append(message)

    def start(self, ref, delivery):
        pass


class Wide:
    """The functions, wired to memory."""

    def __init__(self, tables, load_function):
        self.s3, self.now = MemoryObjects(), NOW
        self.s3.get_object_tagging = lambda **_: {"TagSet": []}
        self.s3.put_object_tagging = lambda **_: None
        self.tables, self._load = tables, load_function
        self.stores = Stores(tables, state_table=stack.STATE, ledger_table=stack.LEDGER)
        self.queue: Queue = Nobody()
        self.took = {}

    def wire(self, patch):
        lake, stores, bus = Lake(self.s3), self.stores, Nobody()
        quarantine = Quarantine(lake, bus)
        wiring = {
            "admit_upload": {"intake": Intake(stores, lake, self.queue, bus)},
            "close_delivery": {
                "stores": stores,
                "bus": bus,
                "checking": Nobody(),
                "completion": Completion(stores, self.queue, lake, quarantine),
            },
            "plan_check": {"stores": stores, "plans": Plans(lake, stack.ARTIFACTS)},
            "check_uploads": {"lake": Versions(self.s3)},
            "conclude_check": {
                "conclusions": Conclusions(
                    stores, lake, quarantine, self.queue,
                    facts=FactsStore(lake, stack.ARTIFACTS),
                    rules=verdicts,
                    bucket=stack.ARTIFACTS,
                )
            },
            "open_run": {
                "stores": stores,
                "datasets": Datasets(stores.ledger, lake, stack.ARTIFACTS),
            },
        }  # fmt: skip
        clock = SimpleNamespace(time=lambda: self.now)
        for name, parts in wiring.items():
            app = self._load(name)
            for part, wired in parts.items():
                patch.setattr(app, part, wired)
            if hasattr(app, "time"):
                patch.setattr(app, "time", clock)

    def invoke(self, name, event, *, most=MACHINE_BYTES):
        context = SimpleNamespace(
            function_name=name, memory_limit_in_mb=1, invoked_function_arn="arn",
            aws_request_id="r", get_remaining_time_in_millis=lambda: 900_000,
        )  # fmt: skip
        assert len(json.dumps(event)) < most
        began = time.perf_counter()
        answer = self._load(name).handler(event, context)
        self.took[name] = self.took.get(name, 0) + time.perf_counter() - began
        assert len(json.dumps(answer)) < MACHINE_BYTES
        return answer


@pytest.fixture
def wide(template, load_function, make_spec, _hooks, monkeypatch):
    tables = [stack.table(name, template) for name in ("StateTable", "LedgerTable")]
    memory = WideTables(
        client("dynamodb").exceptions, {table["TableName"]: table for table in tables}
    )
    wide = Wide(memory, load_function)
    wide.wire(monkeypatch)
    spec = make_spec(delivery__marker="_SUCCESS")
    entry = Entry(spec.ref, "spec#1", 1.0, "spec", "", "create", "")
    wide.stores.specs.replace(spec, 1.0, wide.stores.ledger, entry)
    return wide


def upload(wide, name, body):
    wide.s3.put_object(Bucket=stack.LAKE, Key=PREFIX + name, Body=body)
    return {
        "time": "2026-11-20T10:00:00Z",
        "detail": {
            "bucket": {"name": stack.LAKE},
            "object": {
                "key": PREFIX + name, "version-id": "v1", "sequencer": "01",
                "etag": etag(body), "size": len(body),
            },
        },
    }  # fmt: skip


def body(number):
    far = "far" if number == BAD else "733"
    rows = "".join(f"UA,{number + n},{n % 2}\n" for n in range(9))
    return f"carrier,distance,late\n{rows}AA,{far},1\n".encode()


def test_wide_delivery(wide):
    names = [f"part-{number:06}.csv" for number in range(FILES)]
    events = [upload(wide, name, body(number)) for number, name in enumerate(names)]
    for first in range(0, FILES, BATCH):
        some = records(*events[first : first + BATCH])
        assert wide.invoke("admit_upload", some, most=FUNCTION_BYTES) == {"batchItemFailures": []}
    manifest = [
        {"name": name, "size": len(body(number)) + (number == WRONG)}
        for number, name in enumerate(names)
    ]
    marker = upload(wide, "_SUCCESS", json.dumps(manifest).encode())
    wide.invoke("admit_upload", records(marker))

    delivery = wide.stores.deliveries.open(REF)
    assert delivery.uploads == FILES
    wide.now += 60
    wide.invoke("close_delivery", queued({**MODEL, "delivery": delivery.id}))
    record = wide.stores.checks.find(REF, delivery.id)
    assert f"lists {FILES:,} and all have arrived; 1 not as named" in record["reason"]

    document = {**MODEL, "delivery": delivery.id, "attempt": 1}
    for number, part in enumerate(wide.invoke("plan_check", document)["parts"]):
        if number % READ_EACH == 0:
            wide.invoke("check_uploads", {"plan": part["plan"]})
        else:
            pretend_to_read(wide, part["plan"])
    checked = wide.invoke("conclude_check", document)
    assert (checked["accepted"], checked["quarantined"]) == (FILES - 2, 1)
    assert checked["rows"] == 10 * (FILES - 2)
    again = wide.invoke("conclude_check", document)
    assert again == checked

    basis = Basis(wide.stores.leases.read(REF, "run"), wide.stores.standings.read(REF).starts)
    (pending,) = wide.stores.triggers.pending(REF)
    decision = decide([pending], Triggers(), Standing(basis.lease), wide.now)
    assert wide.stores.runs.start(REF, decision, basis, wide.now)
    opened = wide.invoke("open_run", {**MODEL, "run": decision.run})
    bucket, _, key = opened["prepare"]["dataset"].removeprefix("s3://").partition("/")
    dataset = json.loads(wide.s3.objects[bucket, key])
    assert len(dataset["objects"]) == FILES - 2
    assert wide.tables.largest < ITEM_BYTES
    tell(wide, len(wide.s3.objects[bucket, key]))


def pretend_to_read(wide, uri):
    """Write the facts of a plan's first file for all of its files."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    plan = Plan.parse(wide.s3.objects[bucket, key].decode())
    lake = Versions(wide.s3)
    packs = Packs(lake, plan.facts, plan.part, ReadAs("csv", None, ()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / plan.objects[0].name
        lake.read(plan.objects[0], path)
        facts = facts_of(path, plan.objects[0], "", ReadAs("csv", None, ()))
    for item in plan.objects:
        sha256 = hashlib.sha256(item.uri.encode()).hexdigest()
        packs.add(
            replace(
                facts, uri=item.uri, version_id=item.version_id, etag=item.etag, size=item.size,
                sha256=sha256,
            )
        )  # fmt: skip
    packs.write()


def tell(wide, dataset_bytes):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = (
        f"largest item {wide.tables.largest / 1024:,.0f} KB; "
        f"dataset.json {dataset_bytes / 1024**2:,.1f} MiB; this process {peak:,.0f} MiB\n"
    )
    took = (f"{name:16} {seconds:8.1f} s" for name, seconds in wide.took.items())
    sys.stdout.write("\n".join(["", f"{FILES:,} files in one delivery", *took, sizes]))
