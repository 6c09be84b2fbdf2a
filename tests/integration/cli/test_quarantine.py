"""`contract` and `quarantine`: what uploads are held against, and what did not pass."""

import json

import boto3
import pytest

from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.lake import Lake
from tidemill.domain.admission import ObjectVersion, Verdict

from .conftest import REF, deployed

COLUMN = {
    "kind": "number",
    "required": True,
    "completeness": 0.9,
    "minimum": 0.0,
    "maximum": 2400.0,
    "values": None,
    "unique": False,
    "stated": ["minimum"],
}
CONTRACT = {
    "version": 1,
    "format": "csv",
    "target": "late",
    "problem": "binary",
    "id": "id",
    "timestamp": "at",
    "basis": {"files": 2, "rows": 4000, "facts": []},
    "columns": {
        "dep_time": COLUMN,
        "late": COLUMN | {"kind": "boolean", "values": list("abcdefg"), "stated": []},
        "at": COLUMN | {"kind": "time", "minimum": 29_454_360.0, "maximum": None, "stated": []},
        "id": COLUMN | {"kind": None, "unique": True, "minimum": None, "maximum": None},
    },
}


@pytest.fixture
def frozen(cloud, model):
    uri = f"s3://{deployed.ARTIFACTS}/contracts/{REF}/abc/contract.json"
    item = {"digest": "abc", "uri": uri, "at": 1_795_168_800.0}
    cloud.stores.state.client.put_item(
        TableName=deployed.STATE, Item=cloud.stores.state.item(REF, "contract", item)
    )
    boto3.client("s3").put_object(
        Bucket=deployed.ARTIFACTS,
        Key=f"contracts/{REF}/abc/contract.json",
        Body=json.dumps(CONTRACT),
    )


def test_the_contract_is_shown_by_column(run, document, documented, frozen):
    printed = run("contract", REF).stdout

    assert "inferred from 2 files with 4,000 rows" in printed
    assert "0 to 2400*" in printed
    assert "a, b, c, d, e and 2 more" in printed
    assert "2026-01-01T10:00 to any" in printed
    assert "id (id)" in printed
    assert "be there and be unique" in printed
    found = document("contract", REF)
    assert tuple(found) == documented("contract")
    assert found["contract"] == CONTRACT


def test_before_the_first_good_delivery_there_is_none(run, model):
    answer = run("contract", REF)

    assert answer.exit_code == 1
    assert "has no contract yet" in answer.stderr


class Aside:
    """Writes verdicts as the stack does."""

    def __init__(self, cloud):
        self._cloud = cloud
        self._at = cloud.now - 1000

    def say(self, name, version, verdict, stage="", **facts):
        self._at += 10
        found = ObjectVersion(
            deployed.LAKE, f"raw/{REF}/{name}", version, "0123456789abcdef", 9, self._at, "1"
        )
        entry = upload_entry(REF, found, verdict, self._at, stage=stage)
        entry.facts.update(facts)
        self._cloud.stores.ledger.append(entry)
        return found


@pytest.fixture
def aside(cloud, model):
    return Aside(cloud)


BAD = Verdict("quarantine", "'x' is no number.", "wrong_type", "correct it")
GOOD = Verdict("accept", "new")


def test_what_is_set_aside_is_listed_newest_first(run, document, documented, aside):
    aside.say("a.csv", "v1", BAD)
    aside.say("b.csv", "v2", GOOD)
    aside.say("b.csv", "v2", BAD, stage="check", rows=60)
    aside.say("c.csv", "v3", GOOD)
    aside.say("d.csv", "v4", BAD)
    aside.say("d.csv", "v4", GOOD, stage="release")

    rows = document("quarantine", "list")

    assert tuple(rows[0]) == documented("quarantine list")
    assert [(row["key"], row["rows"]) for row in rows] == [
        (f"raw/{REF}/b.csv", 60),
        (f"raw/{REF}/a.csv", None),
    ]
    answer = run("quarantine", "list", REF)
    assert "wrong_type" in answer.stdout
    assert f"`tidemill quarantine show {REF} b.csv`" in answer.stderr


def test_nothing_set_aside_is_said(run, model):
    answer = run("quarantine", "list")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "nothing is set aside" in answer.stderr


def test_one_is_shown_down_to_the_row(run, document, documented, aside):
    version = aside.say("a.csv", "v1", BAD)
    cells = [{"row": n, "column": "dep", "rule": "wrong_type", "value": "x"} for n in range(2, 15)]
    report = {"version": 1, "bad": {"unit": "line", "bad_rows": 13, "rows": cells}}
    for name, body in (
        (f"{version.id}.json", json.dumps(report)),
        (f"{version.id}.html", "<html>"),
    ):
        boto3.client("s3").put_object(
            Bucket=deployed.LAKE, Key=f"quarantine/{REF}/{name}", Body=body
        )

    for word in ("a.csv", f"raw/{REF}/a.csv", "v1"):
        found = document("quarantine", "show", REF, word)
    assert tuple(found) == documented("quarantine show")
    assert found["html"].endswith(f"{version.id}.html")
    assert len(found["reports"][0]["bad"]["rows"]) == 13
    answer = run("quarantine", "show", REF, "a.csv")
    assert "→ correct it" in answer.stdout
    assert "LINE  COLUMN  RULE" in answer.stdout
    assert "and 3 more; --json has them all" in answer.stderr
    assert "aws s3 cp s3://tidemill-lake/quarantine/" in answer.stderr


def test_an_upload_that_is_not_set_aside_is_malformed(run, aside):
    aside.say("b.csv", "v2", GOOD)

    answer = run("quarantine", "show", REF, "b.csv")

    assert answer.exit_code == 2
    assert f"`tidemill quarantine list {REF}` lists them" in answer.stderr


@pytest.fixture
def lying(aside, cloud, model):
    """An upload that is there, and was set aside by a rule that does not make it unreadable."""
    event = cloud.upload(f"raw/{REF}/a.csv", b"carrier,late\nUA,1\nAA,0\n")
    return aside.say("a.csv", event.version_id, BAD)


def test_a_release_names_person_and_reason(run, document, documented, cloud, lying):
    answer = run("quarantine", "release", REF, "a.csv", "--why", "the source says so")

    assert answer.exit_code == 0, answer.stderr
    assert f"released raw/{REF}/a.csv" in answer.stdout
    assert f"`tidemill follow {REF}`" in answer.stderr
    assert document("quarantine", "list") == []
    said = cloud.entries(REF, "upload")[-1]
    assert said["reason"].endswith("though it failed wrong_type: the source says so")
    again = document("quarantine", "release", REF, lying.key, "--why", "once more")
    assert tuple(again[0]) == documented("quarantine release")
    assert len(cloud.entries(REF, "upload")) == 2


def test_what_cannot_be_released_is_said(run, aside):
    aside.say("b.csv", "v2", GOOD)

    answer = run("quarantine", "release", REF, "b.csv", "--why", "a test")

    assert answer.exit_code == 2
    assert "not set aside" in answer.stderr
    assert run("quarantine", "release", REF, "b.csv", "--why", " ").exit_code == 2


def test_an_upload_is_accepted_as_the_contract(run, document, documented, cloud, model):
    _deliver(cloud, "a.csv", _rows())
    _deliver(cloud, "b.csv", _rows().replace(b",150,", b",far,"))
    assert [row["rule"] for row in document("quarantine", "list", REF)] == ["wrong_type"]

    answer = run("quarantine", "accept-as-contract", REF, "b.csv", "--why", "far is a distance")

    assert answer.exit_code == 0, answer.stderr
    assert "Column 'distance' held numbers and holds categories now." in answer.stdout
    assert f"released raw/{REF}/b.csv" in answer.stdout
    assert document("quarantine", "list") == []
    again = document("quarantine", "accept-as-contract", REF, "b.csv", "--why", "once more")
    assert tuple(again) == documented("quarantine accept-as-contract")
    assert (again["differences"], again["released"]) == ([], [])


def _rows():
    lines = [f"{'UA' if n % 3 else 'AA'},{100 + n},{n % 2}" for n in range(300)]
    return "\n".join(["carrier,distance,late", *lines, ""]).encode()


def _deliver(cloud, name, body):
    """Have a file admitted, its delivery closed and checked, as the stack does."""
    event = cloud.upload(f"raw/{REF}/{name}", body)
    item = Lake(boto3.client("s3")).look(event.bucket, event.key, event.version_id, event.sequencer)
    cloud.stores.deliveries.add(REF, [Arrival(item, GOOD)], cloud.now)
    opened = cloud.stores.deliveries.open(REF)
    assert cloud.stores.deliveries.close(REF, opened, "quiet", cloud.now)
    check = {"project": "flights", "model": "delay", "delivery": opened.id, "attempt": 1}
    for part in cloud.invoke("plan_check", check)["parts"]:
        cloud.invoke("check_uploads", {"plan": part["plan"]})
    cloud.invoke("conclude_check", check)
    cloud.now += 1
