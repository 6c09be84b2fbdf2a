"""
What uploads cost in requests, counted: one model's share of a storm, from its events to its run.

Of a batch of 1,000 uploads over 20 models each model has 50: batches of 50 of one model ask the
same of DynamoDB and S3. `UPLOADS=1000 pytest -s -k bill` prints the bill of a whole share
(docs/benchmarks.md); the test holds a smaller one.
"""

import hashlib
import importlib.util
import os
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from .cloud import Hooks
from .functions.scenes import MODEL, REF, queued, read
from .functions.test_admit_upload import records

BENCH = Path(__file__).parents[2] / "bench"
UPLOADS = int(os.environ.get("UPLOADS", "120"))
BATCH, BATCHED = 50, 1000  # of one model; of all models
TRANSITIONS = 8  # of a check whose uploads are few and good: tests/workflows/test_check.py


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


COUNTING, PRICES = load("counted_cloud"), load("prices").PRICES


class Bill:
    """Units by their price's name, of the functions' calls so far."""

    def __init__(self, cloud):
        self._cloud, self.units, self._answers = cloud, Counter(), []
        Hooks.session.events.register("after-call.dynamodb.Query", self._answered)

    def close(self):
        Hooks.session.events.unregister("after-call.dynamodb.Query", self._answered)

    def invoke(self, name, event):
        self._answers.clear()
        answer = self._cloud.invoke(name, event)
        self.units["Lambda requests"] += 1
        for service, operation, request in self._cloud.calls:
            self._count(service, operation, request)
        for request, length in self._answers:
            more = COUNTING.more_half_read_units(request, length)
            self.units["DynamoDB reads"] += more / 2
        return answer

    def _answered(self, http_response, context, **_):
        self._answers.append((context["request"], len(http_response.content)))

    def _count(self, service, operation, request):
        match service:
            case "dynamodb":
                self.units["DynamoDB writes"] += COUNTING.write_units(operation, request)
                self.units["DynamoDB reads"] += COUNTING.half_read_units(operation, request) / 2
            case "s3":
                is_get = operation.startswith(("Get", "Head"))
                self.units["S3 GET" if is_get else "S3 PUT"] += 1
            case "sqs":
                self.units["SQS"] += 3  # sent, received, deleted
            case "events":
                self.units["EventBridge"] += len(request["Entries"])


def messages(cloud, count):
    """Return the events of a model's share of the storm (bench/storm.py), shuffled."""
    chance, found = random.Random(3), []
    files = [f"raw/{REF}/part {n:05}+é.csv" for n in range(7 * count // 10)]
    again = files[: 15 * count // 100]
    for key in [*files, *again]:
        body = b"carrier,distance,late\nUA,%d,1\nAA,%d,0\n" % (int(key[-11:-6]), len(key))
        upload = cloud.upload(key, body)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        found.append(replace(upload, etag=etag, size=len(body)).to_event())
    found += found[len(files) - 15 * count // 100 : len(files)]
    chance.shuffle(found)
    return found


@pytest.fixture
def bill(cloud):
    bill = Bill(cloud)
    yield bill
    bill.close()


def test_bill(cloud, spec, bill):
    cloud.apply(spec)
    events = messages(cloud, UPLOADS)
    for first in range(0, len(events), BATCH):
        answer = bill.invoke("admit_upload", records(*events[first : first + BATCH]))
        assert answer == {"batchItemFailures": []}
    bill.units["Lambda requests"] *= BATCH / BATCHED  # a batch is of 20 models
    bill.units["EventBridge"] += len(events)
    bill.units["SQS"] += len(events) * 1.2  # sent; received and deleted ten at a time
    intake = told("intake", bill.units, len(events))

    delivery = cloud.stores.deliveries.open(REF).id
    cloud.now += 60
    bill.invoke("close_delivery", queued({**MODEL, "delivery": delivery}))
    document = {**MODEL, "delivery": delivery, "attempt": 1}
    read(bill, document)
    checked = bill.invoke("conclude_check", document)
    bill.units["Step Functions"] += TRANSITIONS
    whole = told("with the check", bill.units, len(events))

    assert checked["accepted"] + checked["copies"] == 7 * UPLOADS // 10
    assert intake <= 3.5, "of which EventBridge's events are 1.00"
    # What is paid for a delivery is shared by its uploads: these are few.
    shared = (TRANSITIONS * 25e-6 + 12 * 5e-6) * 1e6 / UPLOADS
    assert whole - shared <= 4.0


def told(stage, units, uploads):
    """Print the bill so far and return its sum, in dollars per million uploads."""
    costs = {name: PRICES[name].dollars * count * 1e6 / uploads for name, count in units.items()}
    lines = [
        f"{stage}: {name:18} {units[name]:10,.1f} x {PRICES[name].dollars:g} {dollars:6.3f}"
        for name, dollars in sorted(costs.items())
    ]
    total = f"{stage}: together {sum(costs.values()):.2f} $ per million uploads\n"
    sys.stdout.write("\n".join(["", *lines, total]))
    return sum(costs.values())
