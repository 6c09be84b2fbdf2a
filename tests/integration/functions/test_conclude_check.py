import pytest

from tidemill.errors import NotFoundError

from .scenes import MODEL, REF, begin_check


def test_a_checked_delivery_is_a_trigger(cloud, spec):
    cloud.apply(spec)
    delivery, document = begin_check(cloud, "a.csv", "b.csv")
    answer = cloud.invoke("conclude_check", document)

    assert answer["accepted"] == 2
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "checked"
    assert cloud.stores.checks.unfinished() == []
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert (trigger.id, trigger.kind) == (delivery, "data")
    assert trigger.why == f"delivery {delivery}: 2 files; quiet for 30 s; 2 files accepted"
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]
    (entry,) = cloud.entries(REF, "delivery")[1:]
    assert (entry["verdict"], entry["facts"]["accepted"]) == ("check", 2)


def test_concluding_twice_triggers_once(cloud, spec):
    cloud.apply(spec)
    _, document = begin_check(cloud)
    first = cloud.invoke("conclude_check", document)
    (trigger,) = cloud.stores.triggers.pending(REF)
    cloud.stores.state.client.transact_write_items(
        TransactItems=[cloud.stores.triggers.taken(REF, trigger)]
    )
    cloud.now += 10
    assert cloud.invoke("conclude_check", document) == first
    assert cloud.stores.triggers.pending(REF) == []
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "perhaps the first died before it said so"


def test_an_attempt_that_was_given_up_may_still_conclude(cloud, spec):
    cloud.apply(spec)
    delivery, document = begin_check(cloud)
    cloud.stores.checks.fail(REF, delivery, 1, "it took too long", cloud.now)
    cloud.invoke("conclude_check", document)
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "checked"
    assert not cloud.stores.checks.begin_again(REF, delivery, 1, cloud.now)


def test_a_delivery_that_nobody_closed_is_refused(cloud, spec):
    cloud.apply(spec)
    with pytest.raises(NotFoundError, match="no closed delivery d-1"):
        cloud.invoke("conclude_check", {**MODEL, "delivery": "d-1", "attempt": 1})


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        return begin_check(cloud, "a.csv", "b.csv")[1]

    survives("conclude_check", prepare)
