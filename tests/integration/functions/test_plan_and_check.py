"""What is read before a check concludes: planning, and one part in a Lambda."""

import json

import pytest

from tidemill.adapters.ledger import Ledger
from tidemill.errors import InvalidInputError, NotFoundError, OutOfRoomError

from ...stack import ARTIFACTS
from ..cloud import client
from .scenes import MODEL, REF, deliver, read, rows


def document_at(uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def packs():
    """Return the packs of facts that checks wrote: URI and lines."""
    folder = f"checks/{REF}/facts/"
    listed = client("s3").list_objects_v2(Bucket=ARTIFACTS, Prefix=folder).get("Contents", [])
    bodies = (client("s3").get_object(Bucket=ARTIFACTS, Key=item["Key"])["Body"] for item in listed)
    return {
        item["Key"].removeprefix(folder): body.read().decode().splitlines()
        for item, body in zip(listed, bodies, strict=True)
    }


def facts():
    return [json.loads(line) for lines in packs().values() for line in lines[1:]]


def test_small_uploads_are_one_part_with_a_job_in_reserve(cloud, spec):
    cloud.apply(spec)
    document = deliver(cloud, {"a.csv": rows(), "b.csv": rows(9)})
    (part,) = cloud.invoke("plan_check", document)["parts"]
    assert part["small"]
    plan = document_at(part["plan"])
    assert [item["uri"].rpartition("/")[2] for item in plan["objects"]] == ["a.csv", "b.csv"]
    job = part["job"]
    assert job["ProcessingJobName"].startswith("tidemill--flights--delay--check")
    assert job["ProcessingInputs"][0]["S3Input"]["S3Uri"] == part["plan"]


def test_one_part_is_read_and_written_down(cloud, spec):
    cloud.apply(spec)
    (part,) = cloud.invoke("plan_check", deliver(cloud, {"a.csv": rows(), "b.csv": b"x"}))["parts"]
    assert cloud.invoke("check_uploads", {"plan": part["plan"]}) == {"uploads": 2}
    assert sorted(one["status"] for one in facts()) == ["read", "unreadable"]
    assert len(packs()) == 1, "one object for both"


def test_what_an_attempt_read_is_not_read_by_the_next(cloud, spec):
    cloud.apply(spec)
    document = deliver(cloud, {"a.csv": rows(), "b.csv": rows(9)})
    read(cloud, document)
    (before,) = packs()
    read(cloud, {**document, "attempt": 2})
    assert [*packs()] == [before]
    reads = [request["Key"] for _, operation, request in cloud.calls if operation == "GetObject"]
    assert not [key for key in reads if key.startswith("raw/")]


def test_a_part_for_which_time_is_short_goes_on_elsewhere(cloud, spec):
    cloud.apply(spec)
    (part,) = cloud.invoke("plan_check", deliver(cloud, {"a.csv": rows()}))["parts"]
    cloud.millis_left = 10_000
    with pytest.raises(OutOfRoomError, match="1 of 1 uploads are left"):
        cloud.invoke("check_uploads", {"plan": part["plan"]})


def test_a_part_that_takes_too_much_memory_goes_on_elsewhere(
    cloud, spec, monkeypatch, load_function
):
    cloud.apply(spec)
    (part,) = cloud.invoke("plan_check", deliver(cloud, {"a.csv": rows()}))["parts"]

    def too_much(*_, **__):
        raise MemoryError

    monkeypatch.setattr(load_function("check_uploads"), "check_objects", too_much)
    with pytest.raises(OutOfRoomError, match="memory"):
        cloud.invoke("check_uploads", {"plan": part["plan"]})


def test_a_plan_that_is_gone_is_said(cloud, spec):
    with pytest.raises(NotFoundError, match="plans anew"):
        cloud.invoke("check_uploads", {"plan": f"s3://{ARTIFACTS}/checks/{REF}/plans/x/plan.json"})
    with pytest.raises(InvalidInputError, match="plan is missing"):
        cloud.invoke("check_uploads", {})


def test_planning_a_deleted_model_says_so(cloud):
    with pytest.raises(NotFoundError, match="there is no model"):
        cloud.invoke("plan_check", deliver(cloud, {"a.csv": rows()}))


def test_planning_a_delivery_that_nobody_closed_says_so(cloud, spec):
    cloud.apply(spec)
    with pytest.raises(NotFoundError, match="no closed delivery d-x"):
        cloud.invoke("plan_check", {**MODEL, "delivery": "d-x", "attempt": 1})


def ledger_reads(cloud, name, document):
    """Return how many entries `name` reads by time; all of the model's it may never ask for."""
    count = 0
    by_time = Ledger._by_time

    def counted(self, *arguments, **more):
        nonlocal count
        found = list(by_time(self, *arguments, **more))
        count += len(found)
        return iter(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_by_time", counted)
        cloud.invoke(name, document)
    prefixes = [
        request["ExpressionAttributeValues"][":prefix"]["S"]
        for _, operation, request in cloud.calls
        if operation == "Query" and "IndexName" not in request
    ]
    assert "upload#" not in prefixes
    return count


def test_no_more_is_read_than_the_delivery_however_long_the_history(cloud, spec):
    cloud.apply(spec)
    reads = []
    for day in range(4):
        cloud.now += 86_400
        document = deliver(cloud, {f"{day}-{n}.csv": rows(300 + 10 * day + n) for n in range(2)})
        planning = ledger_reads(cloud, "plan_check", document)
        read(cloud, document)
        reads.append((planning, ledger_reads(cloud, "conclude_check", document)))
    assert reads[1:] == [(3, 3)] * 3, "two uploads and the closing"


@pytest.mark.parametrize("name", ["plan_check", "check_uploads"])
def test_it_may_die_anywhere(survives, make_spec, name):
    def prepare(cloud):
        cloud.apply(make_spec())
        document = deliver(cloud, {"a.csv": rows(), "b.csv": b"x"})
        if name == "plan_check":
            return document
        return {"plan": cloud.invoke("plan_check", document)["parts"][0]["plan"]}

    survives(name, prepare)
