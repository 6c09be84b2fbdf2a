"""Looks that fail, and functions that die between any two calls."""

import gzip

import polars as pl
import pytest

from tidemill_jobs.profile import Profiler

from ...stack import ARTIFACTS
from ..cloud import client
from .scenes import MODEL, REF
from .traffic import BASELINE, DRIFT, FIRED, HOUR, capture, hour, look, rows, serve


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content[:-30], "no profile"),
        (lambda content: content[:40] + b"\0" * 40 + content[80:], "no profile"),
        (lambda content: b"<html>", "no profile"),
        (lambda content: gzip.compress(b'{"version": 99}'), "version 99"),
        (lambda content: gzip.compress(b'{"version": 1, "rows": 5}'), "damaged"),
        (lambda content: gzip.compress(b'{"version": 1, "rows": 5, "columns": [{}]}'), "damaged"),
    ],
)
def test_a_baseline_that_cannot_be_read_is_a_verdict_with_the_next_step(watched, spoil, says):
    s3, key = client("s3"), f"{BASELINE}/profile.json.gz"
    content = s3.get_object(Bucket=ARTIFACTS, Key=key)["Body"].read()
    s3.put_object(Bucket=ARTIFACTS, Key=key, Body=spoil(content))
    said = hour(watched, rows())
    assert said["verdict"] == "no_baseline"
    assert said["reason"].startswith(f"the baseline of version 1 (s3://{ARTIFACTS}/{key}) cannot")
    assert says in said["reason"]
    assert said["reason"].endswith(
        "start a run: the version that it registers has its own baseline"
    )
    held = watched.stores.watches.read(REF)
    assert (held.stands, held.failures) == ("looked", 0)
    s3.put_object(Bucket=ARTIFACTS, Key=key, Body=content)
    assert hour(watched, rows())["verdict"] == "same", "it is looked at again by itself"


def test_a_baseline_of_other_columns_is_compared(watched):
    """The model of an older schema answers; its columns are gone, and that is told by name."""
    learned = Profiler()
    learned.add(pl.DataFrame([{"miles": row["distance"]} for row in rows(5_000)]))
    known = learned.profile().dumps()
    client("s3").put_object(Bucket=ARTIFACTS, Key=f"{BASELINE}/profile.json.gz", Body=known)
    assert hour(watched, rows())["verdict"] == "suspected"
    said = hour(watched, rows(seed=2))
    assert (said["verdict"], said["drifted"]) == ("found", ["miles"])


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
