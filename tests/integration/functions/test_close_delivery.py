import pytest

from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.ledger import Entry
from tidemill.domain.admission import ObjectVersion, Verdict

from .scenes import MODEL, REF, queued


def take(cloud, name="a.csv"):
    item = ObjectVersion("lake", f"raw/{REF}/{name}", "v1", "e", 10, 1.0, "0A")
    arrival = Arrival(item, Verdict("accept", "new"))
    return cloud.stores.deliveries.add(REF, [arrival], cloud.now).delivery


def message(delivery):
    return {**MODEL, "delivery": delivery}


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


def test_an_upload_in_between_keeps_it_open(cloud, spec, monkeypatch, load_function):
    cloud.apply(spec)
    delivery = take(cloud)
    cloud.now += 30
    app = load_function("close_delivery")
    real = app.judge

    def judge(*facts):
        with cloud.somebody_else():
            take(cloud, "b.csv")
        return real(*facts)

    monkeypatch.setattr(app, "judge", judge)
    cloud.invoke("close_delivery", queued(message(delivery)))
    assert cloud.sent("DeliveryQueue") == [(message(delivery), 1)]
    assert cloud.stores.deliveries.open(REF).uploads == 2


def test_a_delivery_of_nothing_is_closed_and_not_checked(cloud, make_spec):
    cloud.apply(make_spec(delivery__marker="_SUCCESS"))
    marker = ObjectVersion("lake", f"raw/{REF}/_SUCCESS", "v1", "e", 0, 1.0, "0A")
    delivery = cloud.stores.deliveries.begin(REF, marker, cloud.now)
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
