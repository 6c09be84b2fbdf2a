"""Truth files from their events to labels that the watch can join."""

import io

import polars as pl
import pytest

from tidemill.adapters import truths
from tidemill.adapters.entries import UNPLACED
from tidemill.domain import truth

from ...stack import LAKE
from ..cloud import client
from .quality_scenes import records
from .scenes import REF

GOOD = b"id,label,time\na,1,2026-11-19T10:00:00Z\nb,0,\n,1,\n"


def upload(cloud, name="late.csv", body=GOOD):
    return cloud.upload(f"truth/{REF}/{name}", body)


def recorded(cloud, *uploads):
    answer = cloud.invoke("record_truth", records(*(one.to_event() for one in uploads)))
    assert answer == {"batchItemFailures": []}
    return cloud.entries(REF, "truth")


def parts():
    found = client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"watch/{REF}/truth/")
    return {
        item["Key"]: pl.read_parquet(
            io.BytesIO(client("s3").get_object(Bucket=LAKE, Key=item["Key"])["Body"].read())
        )
        for item in found.get("Contents", [])
    }


def test_labels_are_written_down_once_for_each_version(cloud, spec):
    cloud.apply(spec)
    first = upload(cloud)
    (entry,) = recorded(cloud, first)
    assert (entry["verdict"], entry["subject"]) == ("accept", first.key)
    assert entry["reason"] == "2 lines of truth; left out: 1 without an id"
    assert entry["facts"]["labels"] == 2
    assert entry["facts"]["left_out"] == {"no_id": 1}
    ((key, frame),) = parts().items()
    assert entry["facts"]["part"] == f"s3://{LAKE}/{key}"
    assert frame.select("id", "label").rows() == [("a", "1"), ("b", "0")]
    assert set(frame["upload"]) == {key.rpartition("/")[2].removesuffix(".parquet")}

    cloud.invoke("record_truth", records(first.to_event()))
    assert len(cloud.entries(REF, "truth")) == 1
    assert not [operation for _, operation, _ in cloud.calls if operation.startswith("Put")]

    second = upload(cloud, body=GOOD)  # the same bytes, another version
    assert len(recorded(cloud, second)) == 2
    assert len(parts()) == 2


@pytest.mark.parametrize(
    ("name", "body", "rule"),
    [
        ("late.csv", b"label\n1\n", "no_id_column"),
        ("late.csv", b"id,outcome\na,1\n", "no_label_column"),
        ("late.xlsx", b"PK", "unknown_format"),
        ("late.csv.gz", GOOD, "not_gzip"),
        ("late.csv", b"", "empty"),
    ],
)
def test_a_file_that_says_nothing_is_set_aside_with_its_reason(cloud, spec, name, body, rule):
    cloud.apply(spec)
    bad = upload(cloud, name, body)
    (entry,) = recorded(cloud, bad)
    assert (entry["verdict"], entry["facts"]["rule"]) == ("quarantine", rule)
    assert entry["facts"]["next_step"]
    assert [kind for kind, _ in cloud.events()] == ["Upload Quarantined"]
    assert not parts()
    tags = client("s3").get_object_tagging(Bucket=LAKE, Key=bad.key)["TagSet"]
    assert {"Key": "tidemill:rule", "Value": rule} in tags


def test_a_file_that_is_too_large_is_not_fetched(cloud, spec, monkeypatch):
    monkeypatch.setattr(truth, "MOST_BYTES", 10)
    cloud.apply(spec)
    (entry,) = recorded(cloud, upload(cloud))
    assert entry["facts"]["rule"] == "too_large"
    assert "GetObject" not in [operation for _, operation, _ in cloud.calls]


def test_a_packed_file_that_unpacks_to_too_much_is_set_aside(cloud, spec, monkeypatch):
    import gzip  # noqa: PLC0415

    monkeypatch.setattr(truths, "MOST_BYTES", 100)
    cloud.apply(spec)
    body = gzip.compress(b"id,label\n" + b"a,1\n" * 100)
    (entry,) = recorded(cloud, upload(cloud, "late.csv.gz", body))
    assert (entry["verdict"], entry["facts"]["rule"]) == ("quarantine", "too_large")


def test_the_models_target_may_name_the_label(cloud, spec):
    cloud.apply(spec)
    (entry,) = recorded(cloud, upload(cloud, body=b"id,late\na,1\n"))
    assert entry["verdict"] == "accept"


def test_truth_of_no_model_waits_for_one(cloud, spec):
    early = upload(cloud)
    astray = cloud.upload("truth/notes.csv", b"hello")
    cloud.invoke("record_truth", records(early.to_event(), astray.to_event()))
    told = {entry["subject"]: entry for entry in cloud.entries(UNPLACED, "truth")}
    assert {entry["verdict"] for entry in told.values()} == {"ignore"}
    assert "truth/<project>/<model>/" in told[astray.key]["reason"]
    cloud.apply(spec)
    assert [entry["verdict"] for entry in recorded(cloud, early)] == ["accept"]


def test_a_version_that_was_deleted_is_a_verdict_too(cloud, spec):
    cloud.apply(spec)
    gone = upload(cloud)
    client("s3").delete_object(Bucket=LAKE, Key=gone.key, VersionId=gone.version_id)
    (entry,) = recorded(cloud, gone)
    assert (entry["verdict"], entry["reason"]) == (
        "ignore",
        "deleted for good before it was read",
    )


def test_a_poisoned_message_does_not_hold_up_its_batch(cloud, spec):
    cloud.apply(spec)
    good = upload(cloud)
    answer = cloud.invoke("record_truth", records("not json", good.to_event()))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert [entry["verdict"] for entry in cloud.entries(REF, "truth")] == ["accept"]


def test_s3_s_own_event_is_understood(cloud, spec, sample):
    cloud.apply(spec)
    assert cloud.invoke("record_truth", sample("record_truth")) == {"batchItemFailures": []}
    (entry,) = cloud.entries(REF, "truth")
    assert entry["subject"] == "truth/flights/delay/2026-11-20/late.csv"


def test_truth_is_no_upload_to_learn_from(cloud, spec):
    """The loop guard: whatever brings it to intake, nothing starts."""
    cloud.apply(spec)
    one = upload(cloud)
    cloud.invoke("admit_upload", records(one.to_event()))
    assert not cloud.entries(REF, "upload")
    (entry,) = cloud.entries(UNPLACED, "upload")
    assert entry["verdict"] == "ignore"
    assert "record_truth" in entry["reason"]
    assert not cloud.sent("DeliveryQueue")


def test_the_sweep_finds_truth_that_no_event_told_of(cloud, spec):
    cloud.apply(spec)
    missed, known = upload(cloud, "missed.csv"), upload(cloud, "known.csv")
    recorded(cloud, known)
    cloud.upload(f"raw/{REF}/a.csv", b"")
    cloud.invoke("sweep", {})
    ((message, _),) = cloud.sent("TruthQueue")
    assert message["detail"]["object"]["key"] == missed.key
    cloud.invoke("record_truth", records(message))
    cloud.invoke("sweep", {})
    assert not cloud.sent("TruthQueue")


def test_it_may_die_anywhere(survives, make_spec):
    def accepted(cloud):
        cloud.apply(make_spec())
        return records(upload(cloud).to_event())

    def quarantined(cloud):
        cloud.apply(make_spec())
        return records(upload(cloud, body=b"\n").to_event())

    def misplaced(cloud):
        return records(cloud.upload("truth/notes.csv", b"hello").to_event())

    for scene in (accepted, quarantined, misplaced):
        survives("record_truth", scene)
