import pytest

from .scenes import REF, begin_check, deliver, read, rows

FAILURE = {"state": "ConcludeCheck", "error": "X", "cause": '{"errorMessage": "no such bucket"}'}


def close(cloud, document, **more):
    return cloud.invoke("close_check", {**document, "failure": FAILURE, **more})


def test_a_failed_check_says_why_and_when_it_is_tried_again(cloud, spec):
    cloud.apply(spec)
    delivery, document = begin_check(cloud)
    assert close(cloud, document) == {"reason": "ConcludeCheck: no such bucket"}
    record = cloud.stores.checks.find(REF, delivery)
    assert record["stands"] == "check_failed"
    assert record["check"] == "ConcludeCheck: no such bucket"
    assert record["again_at"] == cloud.now + 60
    (entry,) = cloud.entries(REF, "delivery")[1:]
    assert (entry["subject"], entry["verdict"]) == (delivery, "check failed")
    assert cloud.stores.checks.unfinished() == [(REF, delivery)], "it is not forgotten"
    assert cloud.stores.triggers.pending(REF) == []


def test_after_the_last_attempt_nobody_tries_again_by_itself(cloud, spec):
    cloud.apply(spec)
    delivery, document = begin_check(cloud)
    pauses = []
    for attempt in (1, 2, 3, 4):
        close(cloud, document, attempt=attempt)
        again_at = cloud.stores.checks.find(REF, delivery)["again_at"]
        pauses.append(again_at and again_at - cloud.now)
        if again_at:
            cloud.now = again_at
            assert cloud.invoke("sweep", {})["checked"] == 1
            assert f"{delivery}-r{attempt + 1}" in cloud.workflows.of("check")
    assert pauses == [60, 300, 1800, None]
    cloud.now += 1e6
    assert cloud.invoke("sweep", {})["checked"] == 0
    assert cloud.stores.checks.unfinished() == [(REF, delivery)]


@pytest.mark.parametrize("attempt", [1, 2])
def test_what_was_checked_meanwhile_stays_checked(cloud, spec, attempt):
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {"a.csv": rows()}))
    cloud.invoke("conclude_check", document)
    close(cloud, document, attempt=attempt)
    assert cloud.stores.checks.find(REF, document["delivery"])["stands"] == "checked"


def test_it_may_die_anywhere(survives):
    survives("close_check", lambda cloud: {**begin_check(cloud)[1], "failure": FAILURE})
