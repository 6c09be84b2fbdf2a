"""A person has a check tried again that failed for good."""

import pytest

from tidemill.errors import InvalidInputError, NotFoundError

from .scenes import MODEL, REF, begin_check, deliver, read, rows

WHY = "the bucket's key is back"


def fail(cloud, delivery, attempts=4):
    """Have *attempts* of a delivery's check fail, one after the other."""
    for attempt in range(1, attempts + 1):
        if attempt > 1:
            assert cloud.stores.checks.begin_again(REF, delivery, attempt - 1, cloud.now)
        assert cloud.stores.checks.fail(REF, delivery, attempt, "no such key", cloud.now)
    return {**MODEL, "delivery": delivery, "why": WHY, "id": "r-1"}


@pytest.fixture
def failed(cloud, spec):
    """A delivery whose check waits for a person: the request of another."""
    cloud.apply(spec)
    return fail(cloud, begin_check(cloud)[0])


def test_another_attempt_is_started_and_recorded_with_its_reason(cloud, failed):
    delivery = failed["delivery"]
    assert cloud.invoke("request_check", failed) == {"delivery": delivery, "attempt": 5}
    document = {**MODEL, "delivery": delivery, "attempt": 5}
    assert cloud.workflows.of("check")[f"{delivery}-r5"] == document
    asked = [e for e in cloud.entries(REF, "delivery") if e["verdict"] == "check again"]
    assert [(e["subject"], e["reason"], e["facts"]) for e in asked] == [
        (delivery, WHY, {"attempt": 5})
    ]
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "checking"


def test_when_that_fails_too_it_waits_for_a_person_again(cloud, failed):
    cloud.invoke("request_check", failed)
    delivery = failed["delivery"]
    assert cloud.stores.checks.fail(REF, delivery, 5, "no such key", cloud.now)
    assert cloud.stores.checks.find(REF, delivery)["again_at"] is None
    assert cloud.invoke("request_check", {**failed, "id": "r-2"})["attempt"] == 6


def test_it_goes_on_to_the_trigger(cloud, spec):
    cloud.apply(spec)
    document = deliver(cloud, {"a.csv": rows()})
    cloud.invoke("request_check", fail(cloud, document["delivery"]))
    cloud.invoke("conclude_check", read(cloud, {**document, "attempt": 5}))
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert trigger.rows == 300
    assert cloud.stores.checks.unfinished() == []


def test_a_request_that_is_tried_again_begins_one_attempt(cloud, failed):
    for _ in range(2):
        assert cloud.invoke("request_check", failed)["attempt"] == 5
        cloud.now += 5
    assert len(cloud.workflows.of("check")) == 2, "the first attempt's, and this one's"
    cloud.stores.checks.fail(REF, failed["delivery"], 5, "no such key", cloud.now)
    cloud.invoke("request_check", failed)
    assert len(cloud.workflows.of("check")) == 2, "a late repetition is no second request"


def test_of_two_people_who_ask_at_once_one_is_told(cloud, failed):
    cloud.invoke("request_check", failed)
    with pytest.raises(InvalidInputError, match="is being checked now"):
        cloud.invoke("request_check", {**failed, "id": "r-2"})


def test_whoever_is_overtaken_is_told(cloud, failed, monkeypatch, load_function):
    app = load_function("request_check")
    checks = app.checking._stores.checks
    begin = checks.begin_again

    def somebody_is_faster(ref, delivery, attempt, now, **_):
        assert begin(ref, delivery, attempt, now, request="r-2", why="me too")
        return begin(ref, delivery, attempt, now, request="r-1", why=WHY)

    monkeypatch.setattr(checks, "begin_again", somebody_is_faster)
    with pytest.raises(InvalidInputError, match="is being checked now"):
        cloud.invoke("request_check", failed)


def test_one_that_would_be_tried_again_later_is_tried_now(cloud, spec):
    cloud.apply(spec)
    request = fail(cloud, begin_check(cloud)[0], attempts=1)
    assert cloud.invoke("request_check", request)["attempt"] == 2


def test_only_a_check_that_failed_is_repeated(cloud, spec):
    cloud.apply(spec)
    delivery, _ = begin_check(cloud)
    request = {**MODEL, "delivery": delivery, "why": WHY, "id": "r-1"}
    with pytest.raises(InvalidInputError, match="is being checked now"):
        cloud.invoke("request_check", request)
    with pytest.raises(NotFoundError, match="no closed delivery d-x; `tidemill why"):
        cloud.invoke("request_check", {**request, "delivery": "d-x"})
    with pytest.raises(InvalidInputError, match="--why"):
        cloud.invoke("request_check", {**request, "why": " "})


def test_what_was_checked_stays_checked(cloud, spec):
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {"a.csv": rows()}))
    cloud.invoke("conclude_check", document)
    with pytest.raises(InvalidInputError, match="was checked"):
        cloud.invoke("request_check", {**MODEL, "delivery": document["delivery"], "why": WHY})


def test_a_deleted_model_s_check_waits_for_its_spec(cloud):
    request = fail(cloud, begin_check(cloud)[0])
    with pytest.raises(NotFoundError, match="there is no model"):
        cloud.invoke("request_check", request)
    assert cloud.stores.checks.find(REF, request["delivery"])["stands"] == "check_failed"


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        return fail(cloud, begin_check(cloud)[0])

    survives("request_check", prepare)
