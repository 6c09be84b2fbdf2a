"""Looks that fail, and functions that die between any two calls."""

import pytest

from .scenes import MODEL, REF
from .traffic import DRIFT, FIRED, HOUR, capture, hour, look, rows, serve


def failed(cloud, watch):
    failure = {"state": "PlanWatch", "error": "KeyError", "cause": '{"errorMessage": "no"}'}
    event = {**MODEL, "watch": watch, "asked": False, "failure": failure}
    return cloud.invoke("close_watch", event)


def test_a_failure_is_recorded_once_and_tried_again_before_its_time(watched):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    assert failed(watched, name) == {"reason": "PlanWatch: no"}
    failed(watched, name)
    (entry,) = watched.entries(REF, "watch")
    assert (entry["verdict"], entry["reason"]) == ("failed", "PlanWatch: no")
    held = watched.stores.watches.read(REF)
    assert (held.stands, held.failures, held.again_at) == ("failed", 1, watched.now + 60)


def test_a_failure_after_the_windows_were_concluded_is_recorded_too(watched):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    look(watched, name, asked=False)
    failed(watched, name)
    failed(watched, name)
    verdicts = [entry["verdict"] for entry in watched.entries(REF, "watch")]
    assert sorted(verdicts) == ["failed", "no_traffic"]
    held = watched.stores.watches.read(REF)
    assert (held.stands, held.failures) == ("failed", 1)


def test_an_endpoint_s_look_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        hour(cloud, rows(shift=200))
        capture(cloud, rows(shift=200), at=cloud.now + 60)
        cloud.now += HOUR
        event = {**MODEL, "watch": "w-2", "asked": False}
        planned = cloud.invoke("plan_watch", event)
        for part in planned["parts"]:
            cloud.invoke("profile_traffic", {"plan": part["plan"]})
        return {**event, "plan": planned["plan"]}

    survives("conclude_watch", prepare, same_answer=False)


@pytest.mark.parametrize("name", ["start_watch", "request_watch", "close_watch"])
def test_starting_and_closing_may_die_anywhere(survives, make_spec, name):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        if name != "close_watch":
            return {**FIRED, "id": "0a"}
        cloud.invoke("start_watch", FIRED)
        (watch,) = cloud.workflows.of("watch")
        failure = {"state": "PlanWatch", "error": "KeyError"}
        return {**MODEL, "watch": watch, "asked": False, "failure": failure}

    survives(name, prepare)


@pytest.mark.parametrize("name", ["plan_watch", "profile_traffic"])
def test_reading_may_die_anywhere(survives, make_spec, name):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        capture(cloud, rows(200), at=cloud.now + 60)
        event = {**MODEL, "watch": "a-1", "asked": True}
        if name == "plan_watch":
            return event
        return {"plan": cloud.invoke("plan_watch", event)["parts"][0]["plan"]}

    survives(name, prepare)
