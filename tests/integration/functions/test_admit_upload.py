import json

from tidemill.adapters.entries import UNPLACED
from tidemill.contracts.uploads import ObjectCreated

from .scenes import CSV, REF


def records(*events):
    return {
        "Records": [
            {"messageId": f"m{n}", "body": event if isinstance(event, str) else json.dumps(event)}
            for n, event in enumerate(events)
        ]
    }


def test_every_upload_of_a_batch_gets_a_verdict(cloud, spec):
    cloud.apply(spec)
    good = cloud.upload(f"raw/{REF}/a.csv", CSV)
    bad = cloud.upload(f"raw/{REF}/b.csv", b"")
    answer = cloud.invoke("admit_upload", records(good.to_event(), bad.to_event()))
    assert answer == {"batchItemFailures": []}
    verdicts = {e["subject"]: e["verdict"] for e in cloud.entries(REF, "upload")}
    assert verdicts == {good.key: "accept", bad.key: "quarantine"}


def test_s3_s_own_event_is_understood(cloud, spec, sample):
    """The object of the sample was never there, which is a verdict too."""
    cloud.apply(spec)
    assert cloud.invoke("admit_upload", sample("admit_upload")) == {"batchItemFailures": []}
    (entry,) = cloud.entries(REF, "upload")
    assert entry["subject"] == "raw/flights/delay/2026-11-20/flights 01.csv"
    assert entry["facts"]["sequencer"] == "00617F08299329D189"


def test_a_poisoned_message_does_not_hold_up_its_batch(cloud, spec):
    cloud.apply(spec)
    good = cloud.upload(f"raw/{REF}/a.csv", CSV)
    answer = cloud.invoke("admit_upload", records("not json", {"detail": {}}, good.to_event()))
    failed = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
    assert failed == ["m0", "m1"]
    assert [e["verdict"] for e in cloud.entries(REF, "upload")] == ["accept"]


def test_it_may_die_anywhere(survives, make_spec):
    def accepted(cloud):
        cloud.apply(make_spec())
        return records(cloud.upload(f"raw/{REF}/a.csv", CSV).to_event())

    def quarantined(cloud):
        cloud.apply(make_spec())
        return records(cloud.upload(f"raw/{REF}/a.csv", b"\0\0").to_event())

    def misplaced(cloud):
        return records(cloud.upload("notes.txt", b"hello").to_event())

    for scene in (accepted, quarantined, misplaced):
        survives("admit_upload", scene)


def test_an_upload_without_a_model_waits_for_one(cloud, spec):
    upload = cloud.upload(f"raw/{REF}/a.csv", CSV)
    cloud.invoke("admit_upload", records(upload.to_event()))
    assert [e["verdict"] for e in cloud.entries(UNPLACED)] == ["ignore"]
    cloud.apply(spec)
    found = ObjectCreated(upload.bucket, upload.key, upload.version_id, "").to_event()
    cloud.invoke("admit_upload", records(found))
    assert [e["verdict"] for e in cloud.entries(REF, "upload")] == ["accept"]
