import hashlib
import json
from dataclasses import replace

import pytest

from tidemill.adapters import completion
from tidemill.adapters.checks import reach
from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.entries import Entry
from tidemill.adapters.ledger import Ledger
from tidemill.domain.admission import ObjectVersion, Verdict

from ..cloud import client
from .scenes import CSV, MODEL, REF, queued, read, rows


def take(cloud, name="a.csv"):
    item = ObjectVersion("lake", f"raw/{REF}/{name}", "v1", "e", 10, 1.0, "0A")
    arrival = Arrival(item, Verdict("accept", "new"))
    return cloud.stores.deliveries.add(REF, [arrival], cloud.now).delivery


def message(delivery):
    return {**MODEL, "delivery": delivery, "once": False}


def test_a_quiet_delivery_is_closed_and_checked(cloud, spec):
    cloud.apply(spec)
    delivery = take(cloud)
    cloud.now += 30
    cloud.invoke("close_delivery", queued(message(delivery)))

    assert cloud.stores.deliveries.open(REF) is None
    assert cloud.workflows.of("check") == {delivery: {**MODEL, "delivery": delivery, "attempt": 1}}
    assert cloud.stores.checks.unfinished() == [(REF, delivery)]
    ((kind, detail),) = cloud.events()
    assert (kind, detail["delivery"], detail["reason"]) == (
        "Delivery Closed", delivery, "1 file; quiet for 30 s",
    )  # fmt: skip


def test_one_that_is_not_quiet_is_looked_at_later(cloud, spec):
    cloud.apply(spec)
    delivery = take(cloud)
    cloud.now += 10
    cloud.invoke("close_delivery", queued(message(delivery)))
    assert cloud.sent("DeliveryQueue") == [(message(delivery), 20)]
    assert cloud.stores.deliveries.open(REF).id == delivery
    assert cloud.events() == []


def test_an_upload_in_between_keeps_it_open(cloud, spec, monkeypatch):
    cloud.apply(spec)
    delivery = take(cloud)
    cloud.now += 30
    real = completion.judge

    def judge(*facts):
        with cloud.somebody_else():
            take(cloud, "b.csv")
        return real(*facts)

    monkeypatch.setattr(completion, "judge", judge)
    cloud.invoke("close_delivery", queued(message(delivery)))
    assert cloud.sent("DeliveryQueue") == [(message(delivery), 1)]
    assert cloud.stores.deliveries.open(REF).uploads == 2


def test_a_delivery_of_nothing_is_closed_and_not_checked(cloud, make_spec):
    cloud.apply(make_spec(delivery__marker="_SUCCESS"))
    marker = ObjectVersion("lake", f"raw/{REF}/_SUCCESS", "v1", "e", 0, 1.0, "0A")
    delivery = cloud.stores.deliveries.begin(REF, marker, cloud.now).id
    cloud.now += 3600
    cloud.invoke("close_delivery", queued(message(delivery)))

    assert cloud.stores.deliveries.open(REF) is None
    assert cloud.stores.checks.unfinished() == []
    assert cloud.workflows.executions == {}


@pytest.mark.parametrize("gone", ["closed", "another is open", "model deleted"])
def test_a_message_that_is_late_does_nothing(cloud, spec, gone):
    cloud.apply(spec)
    delivery = take(cloud)
    if gone == "model deleted":
        entry = Entry(REF, "model#1", 1.0, "model", "delay", "delete", "")
        cloud.stores.specs.remove(REF, cloud.stores.ledger, entry)
    else:
        cloud.stores.deliveries.close(REF, cloud.stores.deliveries.open(REF), "quiet", cloud.now)
        if gone == "another is open":
            take(cloud, "b.csv")
    before = cloud.facts(apart=())
    cloud.now += 100
    cloud.invoke("close_delivery", queued(message(delivery)))
    assert cloud.facts(apart=()) == before
    assert cloud.events() == []
    assert cloud.sent("DeliveryQueue") == []


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        delivery = take(cloud)
        cloud.now += 30
        return queued(message(delivery))

    def received_again(event):
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
        return event

    survives("close_delivery", prepare, again=received_again)


class TestManifests:
    """Through both functions: what arrived is held against what was named."""

    @pytest.fixture(autouse=True)
    def _marked(self, cloud, make_spec):
        cloud.apply(make_spec(delivery__marker="_SUCCESS"))

    def deliver(self, cloud, manifest, **files):
        for name, body in files.items():
            self.admit(cloud, f"{name}.csv", body)
        self.admit(cloud, "_SUCCESS", json.dumps(manifest).encode())
        return cloud.stores.deliveries.open(REF).id

    def admit(self, cloud, name, body):
        upload = cloud.upload(f"raw/{REF}/{name}", body)
        answer = cloud.invoke("admit_upload", queued(upload.to_event()))
        assert answer == {"batchItemFailures": []}

    def close(self, cloud, delivery):
        cloud.invoke("close_delivery", queued(message(delivery)))
        return (cloud.stores.deliveries.closed(REF, delivery) or {}).get("reason")

    def test_a_complete_one_closes_at_once(self, cloud):
        manifest = ["a.csv", {"name": "b.csv", "size": len(CSV) + 1}]
        delivery = self.deliver(cloud, manifest, a=CSV, b=CSV + b"\n")
        assert self.close(cloud, delivery) == "2 files; _SUCCESS lists 2 and all have arrived"

    def test_a_missing_file_is_waited_for_and_then_named(self, cloud):
        delivery = self.deliver(cloud, ["a.csv", "b.csv"], a=CSV)
        assert self.close(cloud, delivery) is None
        cloud.now += 3600
        assert self.close(cloud, delivery).endswith("1 missing: 'raw/flights/delay/b.csv'")

    def test_a_file_that_is_not_named_stays_in_and_is_said(self, cloud):
        delivery = self.deliver(cloud, ["a.csv"], a=CSV, b=CSV + b"\n")
        assert "1 not named: 'raw/flights/delay/b.csv'" in self.close(cloud, delivery)
        assert len(cloud.stores.ledger.accepted_in(REF, delivery)) == 2

    def test_a_file_of_another_size_or_content_is_set_aside(self, cloud):
        manifest = [
            {"name": "a.csv", "size": 1},
            {"name": "b.csv", "md5": "0" * 32},
            {"name": "c.csv", "md5": hashlib.md5(CSV, usedforsecurity=False).hexdigest()},
        ]
        delivery = self.deliver(cloud, manifest, a=CSV, b=CSV, c=CSV)
        assert "2 not as named" in self.close(cloud, delivery)
        rules = {e["facts"].get("rule") for e in cloud.entries(REF, "upload")} - {None}
        assert rules == {"manifest_size", "manifest_checksum"}
        left = cloud.stores.ledger.accepted_in(REF, delivery)
        assert [item.key for item in left] == [f"raw/{REF}/c.csv"]
        again = cloud.stores.ledger.accepted_in(REF, delivery, since=cloud.now, count=3)
        assert again == left

    def test_what_a_manifest_set_aside_is_not_checked(self, cloud):
        body = rows()
        manifest = ["a.csv", {"name": "b.csv", "size": 1}]
        delivery = self.deliver(cloud, manifest, a=body, b=rows(7))
        assert "1 not as named" in self.close(cloud, delivery)
        document = read(cloud, {**MODEL, "delivery": delivery, "attempt": 1})
        answer = cloud.invoke("conclude_check", document)
        assert (answer["accepted"], answer["rows"]) == (1, 300)
        (last,) = cloud.stores.ledger.last_words(REF, f"raw/{REF}/b.csv")
        assert last.entry["verdict"] == "quarantine"

    @pytest.mark.parametrize("lags", [False, True])
    def test_a_check_reads_no_more_than_the_delivery(self, cloud, monkeypatch, lags):
        """Unless the index lacks what the manifest set aside a moment ago."""
        manifest = ["a.csv", {"name": "b.csv", "size": 1}]
        delivery = self.deliver(cloud, manifest, a=CSV, b=CSV + b"\n")
        self.close(cloud, delivery)
        record = cloud.stores.checks.find(REF, delivery)
        by_time, query, asked = Ledger._by_time, Ledger._query, []

        def lagging(self, *how):
            return (e for e in by_time(self, *how) if not (lags and "#manifest" in e["entry"]))

        def noted(self, ref, prefix):
            asked.append(prefix)
            return query(self, ref, prefix)

        monkeypatch.setattr(Ledger, "_by_time", lagging)
        monkeypatch.setattr(Ledger, "_query", noted)
        left = cloud.stores.ledger.accepted_in(REF, delivery, **reach(record))
        assert [item.key for item in left] == [f"raw/{REF}/a.csv"]
        assert asked == (["upload#"] if lags else [])

    def test_a_manifest_that_was_deleted_names_nothing(self, cloud):
        delivery = self.deliver(cloud, ["a.csv"], a=CSV)
        (manifest,) = cloud.stores.deliveries.open(REF).manifests
        at = manifest.version
        client("s3").delete_object(Bucket=at.bucket, Key=at.key, VersionId=at.version_id)
        assert "1 not named" in self.close(cloud, delivery)


def test_one_with_a_manifest_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec(delivery__marker="_SUCCESS"))
        manifest = [{"name": "a.csv", "size": 1}, "b.csv"]
        return queued(message(TestManifests().deliver(cloud, manifest, a=CSV, b=CSV)))

    def received_again(event):
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
        return event

    survives("close_delivery", prepare, again=received_again)


def test_an_expected_number_is_looked_at_with_the_last_upload(cloud, make_spec):
    spec = make_spec()
    cloud.apply(replace(spec, delivery=replace(spec.delivery, expect=2)))
    for name, told in (("a.csv", [30]), ("b.csv", [0])):
        upload = cloud.upload(f"raw/{REF}/{name}", CSV + b"DL,1,0\n")
        cloud.invoke("admit_upload", queued(upload.to_event()))
        assert [delay for _, delay in cloud.sent("DeliveryQueue")] == told
    opened = cloud.stores.deliveries.open(REF).id
    cloud.invoke("close_delivery", queued({**message(opened), "once": True}))
    assert cloud.stores.deliveries.closed(REF, opened)["reason"] == "2 files; 2 were expected"


def test_a_message_that_comes_once_does_not_send_itself_again(cloud, spec):
    cloud.apply(spec)
    delivery = take(cloud)
    cloud.invoke("close_delivery", queued({**message(delivery), "once": True}))
    assert cloud.sent("DeliveryQueue") == []


def test_a_delivery_of_a_deleted_model_is_closed_when_it_is_applied_again(cloud, spec, make_spec):
    cloud.apply(spec)
    delivery = take(cloud)
    entry = Entry(REF, "model#1", 1.0, "model", "delay", "delete", "")
    cloud.stores.specs.remove(REF, cloud.stores.ledger, entry)
    cloud.now += 4000
    cloud.invoke("close_delivery", queued(message(delivery)))
    assert cloud.stores.deliveries.open(REF).id == delivery
    cloud.apply(make_spec(prepare__seed=8))
    cloud.invoke("sweep", {})
    ((again, _),) = cloud.sent("DeliveryQueue")
    cloud.invoke("close_delivery", queued(again))
    assert cloud.stores.deliveries.open(REF) is None
