"""The sweep's parts: each finds what was missed, and leaves what is in order alone."""

import pytest

from tidemill.adapters.anchors import Anchors, etag
from tidemill.adapters.chain import Chain
from tidemill.adapters.entries import Entry
from tidemill.adapters.runs import Ended

from .. import stack
from ..stack import LAKE
from .cloud import NOW, client
from .functions.scenes import (
    CSV,
    MODEL,
    NAME,
    REF,
    begin_check,
    begin_run,
    close_delivery,
    pend,
    queued,
)

PREFIX = f"raw/{REF}/"


def sweep(cloud):
    return cloud.invoke("sweep", {})


def admit(cloud, *uploads):
    for upload in uploads:
        cloud.invoke("admit_upload", queued(upload.to_event()))


def test_where_all_is_in_order_there_is_nothing_to_do(cloud, spec):
    cloud.apply(spec)
    admit(cloud, cloud.upload(f"{PREFIX}a.csv", CSV))
    begin_run(cloud)
    assert set(sweep(cloud).values()) == {0}
    assert [o for _, o, _ in cloud.calls if o in ("SendMessage", "PutEvents")] == []


def test_uploads_whose_event_never_came_are_sent_to_intake(cloud, spec):
    cloud.apply(spec)
    known = cloud.upload(f"{PREFIX}a.csv", CSV)
    admit(cloud, known)
    missed = [cloud.upload(f"{PREFIX}{name}", CSV) for name in ("a.csv", "b.csv")]
    client("s3").put_object(Bucket=LAKE, Key="prepared/x", Body=b"")

    assert sweep(cloud)["missed"] == 2
    sent = [message for message, _ in cloud.sent("IntakeQueue")]
    found = {m["detail"]["object"]["version-id"] for m in sent}
    assert found == {upload.version_id for upload in missed}
    for message in sent:
        cloud.invoke("admit_upload", queued(message))
    assert sweep(cloud)["missed"] == 0
    assert cloud.stores.deliveries.open(REF).uploads == 2


def test_an_upload_before_its_model_is_found_when_the_model_is_there(cloud, spec):
    upload = cloud.upload(f"{PREFIX}a.csv", CSV)
    admit(cloud, upload)
    assert sweep(cloud)["missed"] == 0, "it has a verdict: nobody's"
    cloud.apply(spec)
    assert sweep(cloud)["missed"] == 1


@pytest.mark.parametrize(("waited", "sent"), [(30, 0), (89.9, 0), (90, 1), (4000, 1)])
def test_a_delivery_whose_message_was_lost_is_looked_at(cloud, spec, waited, sent):
    cloud.apply(spec)
    admit(cloud, cloud.upload(f"{PREFIX}a.csv", CSV))
    cloud.now += waited
    assert sweep(cloud)["armed"] == sent
    assert len(cloud.sent("DeliveryQueue")) == sent


def test_a_delivery_that_waits_for_its_marker_gets_no_second_message(cloud, make_spec):
    """A message that finds it must wait sends itself again: each extra one would never end."""
    cloud.apply(make_spec(delivery__marker="_SUCCESS"))
    admit(cloud, cloud.upload(f"{PREFIX}a.csv", CSV))
    cloud.now += 1800
    assert sweep(cloud)["armed"] == 0
    cloud.now += 1800 + 60
    assert sweep(cloud)["armed"] == 1, "it has waited the maximum"


@pytest.mark.parametrize(
    ("status", "ends"), [("ABORTED", "stopped"), ("FAILED", "failed"), ("TIMED_OUT", "failed")]
)
def test_a_run_whose_workflow_ended_silently_is_ended(cloud, spec, status, ends):
    cloud.apply(spec)
    run = begin_run(cloud)
    cloud.workflows.end("retrain", run, status, error="X", cause="why")
    assert sweep(cloud)["settled"] == 1
    assert cloud.stores.runs.get(REF, run)["status"] == ends
    assert [kind for kind, _ in cloud.events()] == ["Run Failed"]
    assert sweep(cloud)["settled"] == 0


def test_a_run_that_ended_without_freeing_its_lease_frees_it(cloud, spec, monkeypatch):
    cloud.apply(spec)
    run = begin_run(cloud)
    with monkeypatch.context() as patch:  # whoever wrote the end died before this
        patch.setattr(cloud.stores.leases, "release", lambda *_: False)
        cloud.stores.runs.finish(REF, run, Ended("succeeded", "done"), cloud.now)
    pend(cloud, "d-2")
    assert sweep(cloud)["settled"] == 1
    assert cloud.stores.leases.read(REF, "run").holder == ""
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]


def test_a_rollout_that_ended_silently_is_ended(cloud, spec):
    cloud.apply(spec)
    document = {**MODEL, "version": 3, "package": "p", "why": "good"}
    cloud.workflows.begin("rollout", "x", document)
    cloud.stores.leases.acquire(REF, "rollout", holder="x", now=cloud.now, seconds=100)
    assert sweep(cloud)["settled"] == 0
    cloud.workflows.end("rollout", "x", "ABORTED")
    assert sweep(cloud)["settled"] == 1
    assert cloud.entries(REF, "rollout")[0]["reason"] == "stopped by hand"
    assert cloud.stores.leases.read(REF, "rollout").holder == ""
    assert sweep(cloud)["settled"] == 0


@pytest.mark.parametrize(("waited", "started"), [(59, 0), (60, 1)])
def test_a_check_that_nobody_started_is_started(cloud, spec, waited, started):
    cloud.apply(spec)
    delivery = close_delivery(cloud)
    cloud.now += waited
    assert sweep(cloud)["checked"] == started
    assert len(cloud.workflows.of("check")) == started
    assert sweep(cloud)["checked"] == 0
    assert cloud.stores.checks.find(REF, delivery)["attempt"] == 1


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT", "SUCCEEDED"])
def test_a_check_that_ended_silently_is_tried_again(cloud, spec, status):
    cloud.apply(spec)
    delivery, _ = begin_check(cloud)
    assert sweep(cloud)["checked"] == 0, "it is going"
    cloud.workflows.end("check", delivery, status, cause="why")
    assert sweep(cloud)["checked"] == 1
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "check_failed"
    cloud.now += 59
    assert sweep(cloud)["checked"] == 0
    cloud.now += 1
    assert sweep(cloud)["checked"] == 1
    assert cloud.workflows.of("check")[f"{delivery}-r2"]["attempt"] == 2


def test_a_check_of_a_deleted_model_waits_for_its_spec(cloud, spec):
    delivery = close_delivery(cloud)
    cloud.now += 100
    assert sweep(cloud)["checked"] == 0
    cloud.apply(spec)
    assert sweep(cloud)["checked"] == 1
    assert list(cloud.workflows.of("check")) == [delivery]


def test_triggers_of_a_free_model_are_decided(cloud, spec):
    cloud.apply(spec)
    pend(cloud, "d-1")
    assert sweep(cloud)["woken"] == 1
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]


def test_triggers_of_a_busy_model_wait(cloud, spec):
    cloud.apply(spec)
    begin_run(cloud)
    pend(cloud, "d-2")
    assert sweep(cloud)["woken"] == 1, "its message was lost: it has no verdict yet"
    cloud.invoke("decide_trigger", queued(MODEL))
    assert sweep(cloud)["woken"] == 0


def test_what_waits_for_a_time_is_left_to_its_hint_until_that_is_overdue(cloud, make_spec):
    cloud.apply(make_spec(triggers={"cooldown_seconds": 3600}))
    cloud.stores.runs.finish(REF, begin_run(cloud), Ended("failed", "no"), cloud.now)
    pend(cloud, "d-2")
    cloud.invoke("decide_trigger", queued(MODEL))
    assert len(cloud.sent("TriggerQueue")) == 1
    for later in (0, 500, 900 + 60):
        cloud.now += later - (cloud.now - NOW)
        assert sweep(cloud)["woken"] == 0
    cloud.now += 1
    assert sweep(cloud)["woken"] == 1, "the hint was lost"
    cloud.invoke("decide_trigger", queued(MODEL))
    assert sweep(cloud)["woken"] == 0, "another is under way"


def test_what_waits_for_more_data_is_no_work_for_a_sweep(cloud, make_spec):
    cloud.apply(make_spec(triggers={"minimum_rows": 100}))
    pend(cloud, "d-1", rows=10)
    cloud.invoke("decide_trigger", queued(MODEL))
    assert sweep(cloud)["woken"] == 0
    cloud.apply(make_spec(triggers={"minimum_rows": 10}))
    assert sweep(cloud)["woken"] == 1, "the spec has changed"


def test_a_run_that_nobody_started_is_started(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud, status="starting")
    assert sweep(cloud)["woken"] == 1
    cloud.invoke("decide_trigger", queued(MODEL))
    assert cloud.stores.runs.get(REF, run)["status"] == "running"


def test_a_token_whose_event_never_came_is_answered(cloud, spec):
    cloud.apply(spec)
    cloud.workflows.tokens = {"t1"}
    arn = cloud.sagemaker.add_endpoint(NAME, "c1", "Updating")
    park = {"kind": "endpoint", "resource": arn, "wanted": "c2", "token": "t1"}
    cloud.invoke("park", park)
    assert sweep(cloud)["answered"] == 0
    cloud.sagemaker.add_endpoint(NAME, "c2")
    assert sweep(cloud)["answered"] == 1
    assert list(cloud.workflows.answered) == ["t1"]


def test_what_one_part_cannot_mend_does_not_keep_the_others_from_mending(cloud, spec):
    cloud.apply(spec)
    cloud.upload(f"{PREFIX}a.csv", CSV)
    arn = cloud.sagemaker.add_execution(NAME)
    run = begin_run(cloud)
    park = {**MODEL, "run": run, "kind": "pipeline", "resource": arn, "token": "t1"}
    cloud.invoke("park", park)
    cloud.refuse("sagemaker", "DescribePipelineExecution", "AccessDeniedException")
    with pytest.raises(RuntimeError, match="failed at: answered"):
        sweep(cloud)
    assert len(cloud.sent("IntakeQueue")) == 1


def test_a_deleted_model_is_left_alone(cloud):
    pend(cloud, "d-1")
    assert sweep(cloud)["woken"] == 0


def test_entries_that_the_stream_lost_are_chained_and_the_head_is_anchored(cloud, spec):
    cloud.apply(spec)
    chain = Chain(cloud.dynamodb, stack.LEDGER)
    cloud.now += 1000
    assert sweep(cloud)["chained"] == 1

    head = chain.head(REF)
    assert [key for key, _ in head.entries] == [f"spec#{spec.digest}"]
    ((anchor),) = anchors(cloud)
    assert (anchor.number, anchor.etag) == (1, etag(head))
    assert anchor.key == f"heads/{REF}/000000000001.json"


def test_a_head_is_anchored_at_most_once_an_hour(cloud, spec):
    cloud.apply(spec)
    for seconds, count in ((1000, 1), (1000, 1), (3600, 2), (7200, 2)):
        if count != len(anchors(cloud)) or seconds == 1000:
            cloud.stores.ledger.append(
                Entry(REF, f"model#{cloud.now}", cloud.now, "model", "delay", "delete", "")
            )
        cloud.now += seconds
        sweep(cloud)
        assert len(anchors(cloud)) == count


def anchors(cloud):
    with cloud.somebody_else():
        return list(Anchors(client("s3"), stack.ANCHORS).of(REF))


def test_a_model_that_is_broken_does_not_keep_the_others_from_their_turn(cloud, make_spec):
    """Its spec is of a version that nobody reads; its name comes first."""
    broken = cloud.apply(make_spec(model="a-broken"))
    cloud.apply(make_spec())
    for ref in (broken.ref, REF):
        admit(cloud, cloud.upload(f"raw/{ref}/a.csv", CSV))
    state = cloud.stores.state
    item = state.item(broken.ref, "spec", {"spec": '{"version": 99}'})
    state.client.put_item(TableName=state.table, Item=item)
    cloud.now += 4000
    with pytest.raises(RuntimeError, match="failed at: armed"):
        sweep(cloud)
    assert [message["model"] for message, _ in cloud.sent("DeliveryQueue")] == ["delay"]
