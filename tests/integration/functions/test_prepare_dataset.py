import json
import random
from dataclasses import replace

import pytest

from tidemill.adapters.lake import Lake
from tidemill.domain.dataset import Dataset
from tidemill.errors import OutOfRoomError, RefusedError
from tidemill.spec.compiled import Capture
from tidemill_jobs.profile import FILE_NAME, Profile

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, REF, begin_run

PREPARED = f"s3://{LAKE}/prepared/{REF}/abc/run-1"
REQUEST = "8f5f7a5c-7d0a-4c1e-9d2f-1b2c3d4e5f60"


@pytest.fixture
def event(cloud, spec):
    return planned(cloud, spec, table())


def table(rows=200, *, classes=2):
    chance = random.Random(1)
    lines = [
        f"r{n},{chance.gauss(0, 1):.4f},{chance.choice(['UA', 'AA'])},{n % classes}"
        for n in range(rows)
    ]
    return "\n".join(["id,distance,carrier,late", *lines]) + "\n"


def planned(cloud, spec, text):
    """Store what open_run would, and return the function's input."""
    spec = replace(spec, data=replace(spec.data, target="late", id="id"))
    s3 = client("s3")
    key = f"raw/{REF}/a.csv"
    version = s3.put_object(Bucket=LAKE, Key=key, Body=text.encode())["VersionId"]
    item = Lake(s3).look(LAKE, key, version, "0A")
    documents = {
        "spec": spec.to_json(),
        "dataset": json.dumps(Dataset(*REF.split("/"), (item,)).to_document()),
    }
    for name, body in documents.items():
        s3.put_object(Bucket=ARTIFACTS, Key=f"datasets/{name}.json", Body=body.encode())
    named = {name: f"s3://{ARTIFACTS}/datasets/{name}.json" for name in documents}
    return {**MODEL, "run": begin_run(cloud), **named, "prepared": PREPARED}


def test_a_small_dataset_is_prepared_below_a_prefix_of_the_calls_own(cloud, event):
    answer = cloud.invoke("prepare_dataset", event)

    assert answer["prepared"] == f"{PREPARED}-{REQUEST}"
    assert answer["rows"]["read"] == 200
    listed = client("s3").list_objects_v2(Bucket=LAKE, Prefix="prepared/")["Contents"]
    names = {item["Key"].rpartition("/")[2] for item in listed}
    assert {"prepared.manifest", "features.json", "smoke.jsonl", "summary.json"} <= names
    assert all(f"run-1-{REQUEST}/" in item["Key"] for item in listed)
    assert cloud.stores.runs.get(REF, event["run"])["prepared"] == answer["prepared"]


@pytest.mark.parametrize("has_key", [True, False])
def test_a_redacted_column_is_hashed_in_the_baseline_or_not_in_it(cloud, spec, has_key):
    capture = Capture(redact={"carrier": "hash"})
    event = planned(cloud, replace(spec, watch=replace(spec.watch, capture=capture)), table())
    if has_key:
        client("s3").put_object(Bucket=ARTIFACTS, Key=f"keys/{REF}/capture", Body=b"5e" * 32)

    answer = cloud.invoke("prepare_dataset", event)

    uri = f"{answer['prepared']}/baseline/{FILE_NAME}".removeprefix(f"s3://{LAKE}/")
    packed = client("s3").get_object(Bucket=LAKE, Key=uri)["Body"].read()
    columns = Profile.loads(packed).columns
    assert ("carrier" in columns) is has_key
    if has_key:
        assert all(text.startswith("h") for text in columns["carrier"].categories)
        assert len(columns["carrier"].categories) == 2


def test_what_cannot_be_trained_on_is_refused_with_the_jobs_own_sentence(cloud, spec):
    event = planned(cloud, spec, table(classes=1))

    with pytest.raises(RefusedError, match="late"):
        cloud.invoke("prepare_dataset", event)


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")])
def test_what_has_no_room_says_so(cloud, event, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr("tidemill_jobs.prepare.survey", full)
    with pytest.raises(OutOfRoomError, match="1 files need more"):
        cloud.invoke("prepare_dataset", event)


def test_another_fault_keeps_its_name(cloud, event, monkeypatch):
    def broken(*_):
        raise PermissionError(13, "no")

    monkeypatch.setattr("tidemill_jobs.prepare.survey", broken)
    with pytest.raises(PermissionError):
        cloud.invoke("prepare_dataset", event)


def test_it_may_die_anywhere(survives, make_spec):
    survives("prepare_dataset", lambda cloud: planned(cloud, make_spec(), table(120)))
