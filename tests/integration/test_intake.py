"""Uploads and their verdicts, on S3 and the tables as they are."""

import gzip
import json

import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.bus import Queue
from tidemill.adapters.entries import UNPLACED
from tidemill.adapters.gathering import MOST_MANIFESTS
from tidemill.adapters.intake import Intake
from tidemill.adapters.lake import Lake

from ..stack import LAKE, queue_url
from .cloud import Killed, client

REF = "flights/delay"
PREFIX = f"raw/{REF}/"
CSV = b"carrier,distance,late\nUA,1400,0\nAA,733,1\n"
OTHER = CSV + b"DL,200,0\n"


@pytest.fixture
def intake(cloud):
    queue = Queue(client("sqs"), queue_url("DeliveryQueue"))
    return Intake(cloud.stores, Lake(client("s3")), queue, cloud.bus)


@pytest.fixture
def admit(cloud, intake):
    """Upload and admit; `again` admits what was uploaded before."""

    def admit(name, body=CSV, *, again=None):
        upload = again or cloud.upload(PREFIX + name, body)
        cloud.calls.clear()
        return one(intake, cloud, upload)

    return admit


def one(intake, cloud, upload):
    (answer,) = intake.admit([upload], cloud.now)
    if isinstance(answer, Exception):
        raise answer
    return answer


def verdict(cloud, upload, ref=REF):
    return cloud.stores.ledger.upload(ref, upload.key, upload.version_id)


def test_a_good_upload_is_accepted_and_its_delivery_armed(cloud, spec, admit):
    cloud.apply(spec)
    assert admit("a.csv") == "accept"
    opened = cloud.stores.deliveries.open(REF)
    message = {"project": "flights", "model": "delay", "delivery": opened.id}
    assert cloud.sent("DeliveryQueue") == [(message, 30)]


def test_one_message_is_enough_for_a_delivery(cloud, spec, admit):
    cloud.apply(spec)
    admit("a.csv")
    admit("b.csv", OTHER)
    assert cloud.sent("DeliveryQueue") == []
    assert cloud.stores.deliveries.open(REF).uploads == 2


def test_an_event_that_comes_twice_changes_nothing(cloud, spec, admit):
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", CSV)
    admit("", again=upload)
    before = cloud.facts(apart=())
    cloud.now += 100
    assert admit("", again=upload) == "accept"
    assert cloud.facts(apart=()) == before
    assert cloud.sent("DeliveryQueue") == []


def test_the_same_bytes_again_are_a_duplicate(cloud, spec, admit):
    cloud.apply(spec)
    admit("a.csv")
    assert admit("a.csv") == "duplicate"
    assert cloud.stores.deliveries.open(REF).uploads == 1


def test_the_same_bytes_under_another_name_are_another_file(cloud, spec, admit):
    cloud.apply(spec)
    admit("a.csv")
    assert admit("b.csv") == "accept"


def test_going_back_to_older_bytes_is_a_change(cloud, spec, admit):
    cloud.apply(spec)
    admit("a.csv", CSV)
    admit("a.csv", OTHER)
    assert admit("a.csv", CSV) == "accept"
    assert [e["verdict"] for e in cloud.entries(REF, "upload")] == ["accept"] * 3


def test_a_changed_file_says_that_it_replaces_one(cloud, spec, admit):
    cloud.apply(spec)
    admit("a.csv", CSV)
    admit("a.csv", OTHER)
    reasons = [entry["reason"] for entry in cloud.entries(REF, "upload")]
    assert sum("replaces the version before" in reason for reason in reasons) == 1


def test_a_bad_upload_is_set_aside_and_stays_where_it_is(cloud, spec, admit):
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), tags="team=ops")
    assert admit("", again=upload) == "quarantine"

    entry = verdict(cloud, upload)
    ((kind, detail),) = cloud.events()
    assert (kind, detail["rule"]) == ("Upload Quarantined", entry["facts"]["rule"])
    tags = client("s3").get_object_tagging(Bucket=LAKE, Key=upload.key)["TagSet"]
    assert {t["Key"]: t["Value"] for t in tags} == {
        "team": "ops", "tidemill:verdict": "quarantine", "tidemill:rule": detail["rule"],
    }  # fmt: skip
    listed = client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"quarantine/{REF}/")["Contents"]
    said = json.loads(client("s3").get_object(Bucket=LAKE, Key=listed[0]["Key"])["Body"].read())
    assert said["upload"]["version_id"] == upload.version_id
    assert said["judgement"]["reason"] == entry["reason"]
    assert said["judgement"]["next_step"]
    assert cloud.stores.deliveries.open(REF) is None


def test_what_sets_an_upload_aside_is_named_as_data(cloud, spec, admit):
    cloud.apply(spec)
    short = cloud.upload(PREFIX + "short.csv", CSV + b"UA,2\n")
    other = cloud.upload(PREFIX + "other.csv", CSV.replace(b"late", b"delayed"))

    assert [admit("", again=upload) for upload in (short, other)] == ["quarantine"] * 2

    row, column = verdict(cloud, short)["facts"], verdict(cloud, other)["facts"]
    assert (row["rule"], row["row"]) == ("ragged_row", 4)
    assert (column["rule"], column["column"]) == ("target_missing", "late")
    listed = client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"quarantine/{REF}/")["Contents"]
    said = [
        json.loads(client("s3").get_object(Bucket=LAKE, Key=item["Key"])["Body"].read())
        for item in listed
    ]
    told = [one["judgement"] for one in said]
    assert {(one["rule"], one["row"], one["column"]) for one in told} == {
        ("ragged_row", 4, None),
        ("target_missing", None, "late"),
    }


def test_setting_aside_is_safe_to_repeat(cloud, spec, admit):
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", b"")
    admit("", again=upload)
    before = cloud.facts(apart=())
    assert admit("", again=upload) == "quarantine"
    assert cloud.facts(apart=()) == before


def test_a_gzip_file_is_looked_into(cloud, spec, admit):
    cloud.apply(spec)
    assert admit("a.csv.gz", gzip.compress(CSV)) == "accept"
    assert admit("b.csv.gz", CSV) == "quarantine"


def test_an_image_is_in_the_ledger_and_in_no_dataset(cloud, make_spec, admit):
    cloud.apply(make_spec(data__binary=["images/"]))

    assert admit("images/a.png", b"\x89PNG\r\n\x1a\n") == "accept"

    (entry,) = cloud.entries(REF, "upload")
    assert entry["reason"] == "catalogued, not read: images/ is binary"
    assert entry["facts"]["catalogued"] is True
    assert cloud.stores.ledger.accepted(REF) == []
    assert cloud.stores.deliveries.open(REF) is None
    assert "GetObject" not in {operation for _, operation, _ in cloud.calls}


def test_a_manifest_that_names_an_image_does_not_wait_for_it(cloud, make_spec, admit):
    cloud.apply(make_spec(data__binary=["images/"], delivery__marker="_SUCCESS"))

    admit("images/a.png", b"\x89PNG")

    assert cloud.stores.deliveries.open(REF).others == 1


def test_a_large_parquet_footer_is_read_whole(cloud, make_spec, admit):
    pl = pytest.importorskip("polars")
    cloud.apply(make_spec(data__format="parquet"))
    columns = {f"a_column_with_a_long_name_{n:05d}": [float(n)] for n in range(1500)}
    file = pl.DataFrame({**columns, "late": [1]})
    import io  # noqa: PLC0415

    body = io.BytesIO()
    file.write_parquet(body)
    assert len(body.getvalue()) > 150_000
    assert admit("a.parquet", body.getvalue()) == "accept"


def test_an_upload_outside_every_model_is_ignored_with_a_way_out(cloud, intake):
    upload = cloud.upload("notes.txt", b"hello")
    assert one(intake, cloud, upload) == "ignore"
    entry = verdict(cloud, upload, UNPLACED)
    assert "tidemill upload" in entry["facts"]["next_step"]


def test_a_model_that_comes_later_takes_what_lies_there(cloud, spec, admit):
    upload = cloud.upload(PREFIX + "a.csv", CSV)
    assert admit("", again=upload) == "ignore"
    assert "there is no model flights/delay" in verdict(cloud, upload, UNPLACED)["reason"]

    cloud.apply(spec)
    assert admit("", again=upload) == "accept"
    assert verdict(cloud, upload)["verdict"] == "accept"


def test_our_own_zones_start_nothing(cloud, spec, intake):
    cloud.apply(spec)
    upload = cloud.upload(f"prepared/{REF}/x.csv", CSV)
    assert one(intake, cloud, upload) == "ignore"
    assert cloud.stores.deliveries.open(REF) is None


def test_an_upload_deleted_before_it_was_read_has_a_verdict(cloud, spec, admit):
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", CSV)
    client("s3").delete_object(Bucket=LAKE, Key=upload.key, VersionId=upload.version_id)
    assert admit("", again=upload) == "ignore"
    assert "deleted" in verdict(cloud, upload)["reason"]


def test_an_s3_that_refuses_leaves_the_upload_without_a_verdict(cloud, spec, admit):
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", CSV)
    cloud.refuse("s3", "GetObject", "503")
    with pytest.raises(ClientError):
        admit("", again=upload)
    assert verdict(cloud, upload) is None
    assert admit("", again=upload) == "accept"


@pytest.mark.parametrize("calls", range(14))
def test_wherever_it_dies_the_next_attempt_ends_the_same(cloud, spec, admit, calls):
    """One upload, one delivery, one message at least, wherever an attempt was cut off."""
    cloud.apply(spec)
    upload = cloud.upload(PREFIX + "a.csv", CSV)
    sent = []
    try:
        cloud._kill_before = calls
        admit("", again=upload)
    except Killed:
        sent += cloud.sent("DeliveryQueue")
    cloud._kill_before = None
    if not sent:
        sent = cloud.sent("DeliveryQueue")
    admit("", again=upload)
    sent += cloud.sent("DeliveryQueue")
    opened = cloud.stores.deliveries.open(REF)
    assert (opened.uploads, opened.revision) == (1, 1)
    assert {message["delivery"] for message, _ in sent} == {opened.id}
    assert cloud.stores.deliveries.standing(REF).armed


class TestMarkers:
    @pytest.fixture(autouse=True)
    def _marked(self, cloud, make_spec):
        cloud.apply(make_spec(delivery__marker="_SUCCESS"))

    def test_an_empty_marker_has_its_delivery_looked_at_now(self, cloud, admit):
        admit("a.csv")
        assert admit("_SUCCESS", b"") == "ignore"
        opened = cloud.stores.deliveries.open(REF)
        assert (opened.marker_at, opened.named) == (cloud.now, None)
        ((message, delay),) = cloud.sent("DeliveryQueue")
        assert (message["delivery"], delay) == (opened.id, 0)

    def test_the_last_file_of_a_manifest_has_its_delivery_looked_at_now(self, cloud, admit):
        admit("sub/a.csv")
        admit("_SUCCESS", b'["sub/a.csv", "b.csv"]')
        assert [delay for _, delay in cloud.sent("DeliveryQueue")] == [0]
        admit("b.csv", OTHER)
        opened = cloud.stores.deliveries.open(REF)
        assert (opened.named, opened.arrived) == (2, 2)
        ((message, delay),) = cloud.sent("DeliveryQueue")
        assert (message["delivery"], message["once"], delay) == (opened.id, True, 0)

    def test_a_marker_is_no_data(self, cloud, admit):
        admit("a.csv")
        admit("_SUCCESS", b"")
        assert [item.key for item in cloud.stores.ledger.accepted(REF)] == [PREFIX + "a.csv"]

    def test_a_marker_may_overtake_its_files(self, cloud, admit):
        assert admit("_SUCCESS", b'["a.csv"]') == "ignore"
        admit("a.csv")
        opened = cloud.stores.deliveries.open(REF)
        assert (opened.uploads, opened.named) == (1, 1)

    def test_a_marker_in_any_folder_is_one_and_its_names_are_below_it(self, cloud, admit):
        admit("dt=2026-11-01/_SUCCESS", b'["part-0.csv"]')
        admit("dt=2026-11-02/_SUCCESS", b"")
        (manifest,) = cloud.stores.deliveries.open(REF).manifests
        assert manifest.version.key == PREFIX + "dt=2026-11-01/_SUCCESS"

    def test_more_manifests_than_are_kept_are_markers_all_the_same(self, cloud, admit):
        for number in range(MOST_MANIFESTS + 1):
            assert admit(f"{number}/_SUCCESS", b'["a.csv"]') == "ignore"
        assert cloud.stores.deliveries.open(REF).named == MOST_MANIFESTS
        reasons = [entry["reason"] for entry in cloud.entries(REF, "upload")]
        assert sum("20 manifests already" in reason for reason in reasons) == 1

    def test_a_file_that_is_not_accepted_arrived_all_the_same(self, cloud, admit):
        admit("a.csv", b"")
        admit("_SUCCESS", b'["a.csv"]')
        opened = cloud.stores.deliveries.open(REF)
        assert (opened.uploads, opened.others) == (0, 1)
        assert cloud.stores.deliveries.close(REF, opened, "nothing new", cloud.now)
        assert cloud.stores.triggers.pending(REF) == []

    @pytest.mark.parametrize("body", [b"{}", b"not json", b"[1]", b"\xff\xfe"])
    def test_a_malformed_marker_is_set_aside(self, cloud, admit, body):
        admit("a.csv")
        assert admit("_SUCCESS", body) == "quarantine"
        ((_, detail),) = cloud.events()
        assert detail["rule"] == "marker_malformed"

    def test_a_manifest_of_ten_megabytes_leaves_its_place_only(self, cloud, admit):
        names = json.dumps([f"{'n' * 90}-{n:08d}.csv" for n in range(100_000)])
        assert len(names) > 10_000_000
        assert admit("_SUCCESS", names.encode()) == "ignore"
        assert cloud.stores.deliveries.open(REF).named == 100_000
        (item,) = cloud.stores.state.under(REF, "delivery#open")
        assert len(repr(item)) < 1000

    def test_a_manifest_that_no_function_holds_is_set_aside(self, cloud, admit, monkeypatch):
        for module in ("gathering", "judging"):
            monkeypatch.setattr(f"tidemill.adapters.{module}.LARGEST_MARKER_BYTES", 100)
        assert admit("_SUCCESS", json.dumps(["n" * 98, "m"]).encode()) == "quarantine"
        ((_, detail),) = cloud.events()
        assert "name fewer files" in detail["reason"]

    @pytest.mark.parametrize("calls", range(12))
    def test_wherever_it_dies_the_marker_counts_once(self, cloud, admit, calls):
        admit("a.csv")
        marker = cloud.upload(PREFIX + "_SUCCESS", b"")
        cloud.calls.clear()
        sent = []
        try:
            cloud._kill_before = calls
            admit("", again=marker)
        except Killed:
            pass
        cloud._kill_before = None
        sent += cloud.sent("DeliveryQueue")
        admit("", again=marker)
        sent += cloud.sent("DeliveryQueue")
        opened = cloud.stores.deliveries.open(REF)
        assert (opened.marker_at, opened.revision) == (cloud.now, 2)
        assert {message["delivery"] for message, _ in sent} == {opened.id}

    def test_a_marker_whose_delivery_closes_under_it_has_a_verdict(self, cloud, admit, monkeypatch):
        admit("a.csv")
        deliveries = cloud.stores.deliveries
        real = deliveries.begin

        def closes(ref, *facts):
            found = real(ref, *facts)
            assert deliveries.close(ref, deliveries.open(ref), "quiet", cloud.now)
            return found

        monkeypatch.setattr(deliveries, "begin", closes)
        assert admit("_SUCCESS", b"") == "ignore"
        reasons = [entry["reason"] for entry in cloud.entries(REF, "upload")]
        assert any("closed meanwhile" in reason for reason in reasons)
