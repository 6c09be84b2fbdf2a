"""Batches of uploads: what they cost, and that what fails fails alone."""

import gzip
import random

import pytest

from tidemill.contracts.uploads import ObjectCreated

from ...stack import LAKE
from ..cloud import client
from .scenes import CSV, REF
from .test_admit_upload import records


def uploads(cloud, ref, count):
    return [cloud.upload(f"raw/{ref}/{n}.csv", b"carrier,late\nUA,%d\n" % n) for n in range(count)]


def calls(cloud, operation):
    return [request for _, name, request in cloud.calls if name == operation]


def operations(cloud):
    return {operation for _, operation, _ in cloud.calls}


def test_a_batch_writes_each_open_delivery_once(cloud, make_spec):
    """Three models, thirty uploads: one spec read and one write of State for each model."""
    refs = [cloud.apply(make_spec(model=f"m{n}")).ref for n in range(3)]
    events = [upload.to_event() for ref in refs for upload in uploads(cloud, ref, 10)]
    assert cloud.invoke("admit_upload", records(*events)) == {"batchItemFailures": []}
    assert [len(call["TransactItems"]) for call in calls(cloud, "TransactWriteItems")] == [11] * 3
    reads = [call["Key"]["fact"]["S"] for call in calls(cloud, "GetItem")]
    assert reads.count("spec") == 3
    assert len(calls(cloud, "GetObject")) == 30, "one request of S3 for each upload"
    assert [cloud.stores.deliveries.open(ref).uploads for ref in refs] == [10] * 3
    assert [delay for _, delay in cloud.sent("DeliveryQueue")] == [30] * 3


@pytest.mark.parametrize(("closes", "reads"), [({}, 2), ({"delivery__expect": 50}, 3)])
def test_a_later_batch_looks_at_the_delivery_once_unless_it_may_be_complete(
    cloud, make_spec, closes, reads
):
    ref = cloud.apply(make_spec(**closes)).ref
    for name in ("a.csv", "b.csv"):
        upload = cloud.upload(f"raw/{ref}/{name}", b"carrier,late\nUA,1\n")
        cloud.invoke("admit_upload", records(upload.to_event()))
    assert len(calls(cloud, "GetItem")) == reads, "the spec, and the open delivery"
    assert cloud.sent("DeliveryQueue") == []
    assert cloud.stores.deliveries.open(ref).uploads == 2


@pytest.mark.parametrize(("packed", "reads"), [(False, 1), (True, 2)])
def test_only_a_format_that_needs_its_end_has_it_read(cloud, spec, packed, reads):
    cloud.apply(spec)
    chance = random.Random(1)
    rows = "".join(f"{chance.random()},{n % 2}\n" for n in range(20_000))
    body = b"carrier,late\n" + rows.encode()
    name = "a.csv.gz" if packed else "a.csv"
    upload = cloud.upload(f"raw/{REF}/{name}", gzip.compress(body) if packed else body)
    cloud.invoke("admit_upload", records(upload.to_event()))
    assert len(calls(cloud, "GetObject")) == reads
    assert [e["verdict"] for e in cloud.entries(REF, "upload")] == ["accept"]


LONG = "é" * ((1024 - len(f"raw/{REF}/.csv")) // 2)


@pytest.mark.parametrize(
    "name",
    ["ein Ort+é/dt=2026-11-01/part 0+1.csv", "日本.csv", "%2B.csv", "a//b.csv", f"{LONG}.csv"],
    ids=["space, plus", "kanji", "escaped", "empty folder", "1,024 bytes"],
)  # fmt: skip
def test_a_key_is_what_it_is(cloud, spec, name):
    cloud.apply(spec)
    upload = cloud.upload(f"raw/{REF}/{name}", CSV)
    assert cloud.invoke("admit_upload", records(upload.to_event())) == {"batchItemFailures": []}
    (entry,) = cloud.entries(REF, "upload")
    assert (entry["verdict"], entry["subject"]) == ("accept", f"raw/{REF}/{name}")


def test_the_longest_keys_fit_a_transaction(cloud, spec):
    """Its items may be 4 MB together, and each 400 KB."""
    cloud.apply(spec)
    names = [f"{LONG[:-5]}{n:02d}.csv" for n in range(20)]
    events = [cloud.upload(f"raw/{REF}/{name}", CSV).to_event() for name in names]
    assert cloud.invoke("admit_upload", records(*events)) == {"batchItemFailures": []}
    (call,) = calls(cloud, "TransactWriteItems")
    largest = max(len(repr(item)) for item in call["TransactItems"])
    assert largest * 100 < 4 * 2**20


def test_a_copy_from_another_bucket_is_an_upload_like_any_other(cloud, spec):
    cloud.apply(spec)
    client("s3").create_bucket(Bucket="elsewhere")
    client("s3").put_object(Bucket="elsewhere", Key="x", Body=CSV)
    copied = client("s3").copy_object(
        Bucket=LAKE, Key=f"raw/{REF}/a.csv", CopySource={"Bucket": "elsewhere", "Key": "x"}
    )
    event = ObjectCreated(LAKE, f"raw/{REF}/a.csv", copied["VersionId"], "01").to_event()
    assert cloud.invoke("admit_upload", records(event)) == {"batchItemFailures": []}
    assert cloud.stores.deliveries.open(REF).uploads == 1


def test_the_same_bytes_in_parts_are_a_duplicate_of_the_same_parts_only(cloud, spec):
    """A multipart ETag is another than that of one part; then the bytes count as a change."""
    cloud.apply(spec)
    for _ in range(2):
        cloud.invoke("admit_upload", records(in_parts(f"raw/{REF}/a.csv").to_event()))
    whole = cloud.upload(f"raw/{REF}/a.csv", CSV)
    cloud.invoke("admit_upload", records(whole.to_event()))
    verdicts = sorted(e["verdict"] for e in cloud.entries(REF, "upload"))
    assert verdicts == ["accept", "accept", "duplicate"]


def in_parts(key):
    s3 = client("s3")
    upload = s3.create_multipart_upload(Bucket=LAKE, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=LAKE, Key=key, UploadId=upload, PartNumber=1, Body=CSV)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(
        Bucket=LAKE, Key=key, UploadId=upload, MultipartUpload=parts
    )
    return ObjectCreated(LAKE, key, done["VersionId"], "")


def test_more_than_a_transaction_holds_is_written_in_several(cloud, spec):
    cloud.apply(spec)
    events = [upload.to_event() for upload in uploads(cloud, REF, 101)]
    cloud.invoke("admit_upload", records(*events))
    assert [len(call["TransactItems"]) for call in calls(cloud, "TransactWriteItems")] == [100, 3]
    assert cloud.stores.deliveries.open(REF).uploads == 101


def test_events_that_were_seen_before_write_nothing(cloud, spec):
    cloud.apply(spec)
    events = [upload.to_event() for upload in uploads(cloud, REF, 3)]
    cloud.invoke("admit_upload", records(*events, *events))
    assert cloud.stores.deliveries.open(REF).uploads == 3
    cloud.invoke("admit_upload", records(*events))
    assert operations(cloud) == {"GetItem", "Query"}, "a read each, and no write"


def test_an_identical_upload_costs_one_conditional_write(cloud, spec):
    """S3's own event says size and ETag: the object is not even asked for."""
    cloud.apply(spec)
    first, again = (cloud.upload(f"raw/{REF}/a.csv", CSV) for _ in range(2))
    cloud.invoke("admit_upload", records(first.to_event()))
    (known,) = cloud.stores.ledger.accepted(REF)
    event = again.to_event()
    event["detail"]["object"] |= {"etag": known.etag, "size": known.size}
    cloud.invoke("admit_upload", records(event))
    assert operations(cloud) == {"GetItem", "Query", "PutItem"}
    assert len(calls(cloud, "PutItem")) == 1
    assert {e["verdict"] for e in cloud.entries(REF, "upload")} == {"accept", "duplicate"}


def test_versions_of_one_key_in_one_batch_are_judged_in_their_order(cloud, spec):
    cloud.apply(spec)
    versions = [cloud.upload(f"raw/{REF}/a.csv", body) for body in (CSV, CSV, CSV + b"DL,9,0\n")]
    cloud.invoke("admit_upload", records(*(v.to_event() for v in reversed(versions))))
    found = [cloud.stores.ledger.upload(REF, v.key, v.version_id) for v in versions]
    assert [entry["verdict"] for entry in found] == ["accept", "duplicate", "accept"]
    assert "replaces" in found[2]["reason"]


def test_a_key_that_is_overwritten_all_the_time_is_not_read_whole(cloud, spec, monkeypatch):
    """Then nobody asks whether its last version is a repetition: the same bytes are accepted."""
    monkeypatch.setattr("tidemill.adapters.ledger.LONGEST_HISTORY", 2)
    cloud.apply(spec)
    for body in (CSV, CSV + b"DL,9,0\n", CSV + b"DL,8,0\n", CSV + b"DL,8,0\n"):
        cloud.invoke("admit_upload", records(cloud.upload(f"raw/{REF}/a.csv", body).to_event()))
    assert {e["verdict"] for e in cloud.entries(REF, "upload")} == {"accept"}
    assert cloud.stores.deliveries.open(REF).uploads == 4


def test_a_model_that_is_throttled_holds_up_nobody_else(cloud, make_spec):
    refs = [cloud.apply(make_spec(model=f"m{n}")).ref for n in range(2)]
    events = [upload.to_event() for ref in refs for upload in uploads(cloud, ref, 3)]
    cloud.refuse("dynamodb", "TransactWriteItems", "ProvisionedThroughputExceededException")
    answer = cloud.invoke("admit_upload", records(*events))
    assert len(answer["batchItemFailures"]) == 3
    again = [events[int(item["itemIdentifier"][1:])] for item in answer["batchItemFailures"]]
    assert cloud.invoke("admit_upload", records(*again)) == {"batchItemFailures": []}
    assert [cloud.stores.deliveries.open(ref).uploads for ref in refs] == [3, 3]


def test_an_upload_whose_key_cannot_be_read_holds_up_no_other(cloud, spec):
    cloud.apply(spec)
    events = [upload.to_event() for upload in uploads(cloud, REF, 3)]
    cloud.refuse("dynamodb", "Query", "ThrottlingException")
    assert len(cloud.invoke("admit_upload", records(*events))["batchItemFailures"]) == 1
    assert cloud.stores.deliveries.open(REF).uploads == 2


def test_a_queue_that_refuses_the_closing_message_leaves_its_uploads_to_come_again(cloud, spec):
    cloud.apply(spec)
    events = [upload.to_event() for upload in uploads(cloud, REF, 3)]
    cloud.refuse("sqs", "SendMessage", "ThrottlingException")
    assert len(cloud.invoke("admit_upload", records(*events))["batchItemFailures"]) == 3
    assert cloud.invoke("admit_upload", records(*events)) == {"batchItemFailures": []}
    assert len(cloud.sent("DeliveryQueue")) == 1


def test_a_spec_that_cannot_be_read_holds_up_its_own_model_only(cloud, make_spec):
    broken, sound = (cloud.apply(make_spec(model=name)).ref for name in ("broken", "sound"))
    state = cloud.stores.state
    item = state.item(broken, "spec", {"spec": '{"version": 99}'})
    state.client.put_item(TableName=state.table, Item=item)
    events = [uploads(cloud, ref, 1)[0].to_event() for ref in (broken, sound)]
    answer = cloud.invoke("admit_upload", records(*events))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert cloud.stores.deliveries.open(sound).uploads == 1


def test_a_batch_may_die_anywhere(survives, make_spec):
    def mixed(cloud):
        cloud.apply(make_spec())
        good = uploads(cloud, REF, 2)
        bad = cloud.upload(f"raw/{REF}/bad.csv", b"\0\0")
        nobody = cloud.upload("notes.txt", b"hello")
        return records(*(upload.to_event() for upload in (*good, bad, nobody, good[0])))

    survives("admit_upload", mixed)
