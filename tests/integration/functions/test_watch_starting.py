"""What starts a look: schedules, people, and the sweep, which misses none."""

import json

import pytest

from tidemill.adapters.watching import Rounds, Watching
from tidemill.adapters.workflows import Workflows
from tidemill.errors import InvalidInputError, NotFoundError

from ...stack import ARNS, REFS
from ..cloud import client
from .scenes import MODEL, NAME, REF
from .traffic import FIRED, HOUR, hour, rows, serve

# ── what starts a look ───────────────────────────────────────────────────────


def put_in_force(cloud, spec):
    cloud.invoke("apply_model", {"spec": json.loads(spec.to_json()), "digest": spec.digest})
    return cloud.facts()["schedules"]


def test_an_apply_makes_the_schedule_of_the_watch_and_changes_it(cloud, make_spec):
    (made,) = put_in_force(cloud, make_spec())
    assert made["Name"] == f"{NAME}--watch"
    assert made["ScheduleExpression"] == "rate(60 minutes)"
    assert made["StartDate"].timestamp() == cloud.now + HOUR + 120, "a little after the next window"
    target = made["Target"]
    assert target["Arn"] == ARNS["StartWatchFunction"]
    assert json.loads(target["Input"]) == {**MODEL, "at": "<aws.scheduler.scheduled-time>"}
    cloud.now += 1_800
    put_in_force(cloud, make_spec(delivery__quiet_seconds=9))
    assert not [call for call in cloud.calls if call[1] == "UpdateSchedule"]
    (changed,) = put_in_force(cloud, make_spec(watch={"every_seconds": 86_400}))
    assert changed["ScheduleExpression"] == "rate(1440 minutes)"
    assert put_in_force(cloud, make_spec(watch={"every_seconds": 0})) == []


def test_a_deleted_model_s_watch_is_forgotten(watched):
    hour(watched, rows(shift=200))
    watched.invoke("delete_model", {**MODEL, "why": "not used"})
    assert watched.stores.state.get(REF, "watch") is None


# ── the sweep ────────────────────────────────────────────────────────────────


@pytest.fixture
def watching(watched):
    machine = Workflows(client("stepfunctions"), REFS["Watch"])
    return Watching(watched.stores, machine)


def test_the_sweep_leaves_alone_what_is_in_order(watched, watching):
    watched.invoke("start_watch", FIRED)
    assert watching.sweep(watched.now + 900) == Rounds()
    assert len(watched.workflows.of("watch")) == 1


def test_the_sweep_starts_a_look_that_was_missed(watched, watching):
    hour(watched, rows())
    assert watching.sweep(watched.now + HOUR + 899) == Rounds()
    late = watched.now + HOUR + 900
    assert watching.sweep(late) == Rounds(mended=1)
    assert watching.sweep(late + 300) == Rounds(), "it goes on"


def test_the_sweep_records_a_look_that_died_and_tries_again(watched, watching):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "ABORTED", cause="a test")
    assert watching.sweep(watched.now) == Rounds(mended=1)
    (entry,) = watched.entries(REF, "watch")
    assert (entry["verdict"], entry["reason"]) == ("failed", "stopped by hand: a test")
    assert watching.sweep(watched.now + 59) == Rounds()
    assert watching.sweep(watched.now + 60) == Rounds(mended=1)
    assert set(watched.workflows.of("watch")) == {name, f"{name}-r1"}


def test_the_sweep_starts_what_was_only_noted(watched, watching):
    watched.invoke("request_watch", {**MODEL, "id": "0a"})
    (arn,) = watched.workflows.executions
    noted = watched.workflows.executions.pop(arn)
    assert watching.sweep(watched.now + 59) == Rounds()
    assert watching.sweep(watched.now + 61) == Rounds(mended=1)
    assert watched.workflows.executions[arn]["input"] == noted["input"]


def test_the_sweep_forgets_a_look_that_was_noted_after_its_end(watched, watching):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "SUCCEEDED")
    assert watching.sweep(watched.now) == Rounds(mended=1)
    assert watched.stores.watches.read(REF).begun == {}


def test_the_sweep_counts_watches_that_stopped_and_endpoints_that_nobody_asks(watched, watching):
    for _ in range(3):
        hour(watched, [])
    assert watching.sweep(watched.now) == Rounds(silent=1)
    assert watching.sweep(watched.now + 2 * HOUR + 1_800).stopped == 1
    hour(watched, rows())
    assert watching.sweep(watched.now) == Rounds()


def test_what_one_watch_breaks_does_not_keep_the_others(watched, watching, make_spec, monkeypatch):
    watched.apply(make_spec(model="cancel"))
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "ABORTED")
    read = watched.stores.watches.read

    def broken(ref):
        if ref == "flights/cancel":
            raise ConnectionError("no")
        return read(ref)

    monkeypatch.setattr(watched.stores.watches, "read", broken)
    with pytest.raises(ExceptionGroup, match="1 watches could not be swept"):
        watching.sweep(watched.now)
    assert len(watched.entries(REF, "watch")) == 1


def test_an_execution_that_could_not_say_how_it_ended_is_settled(watched, sample):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "TIMED_OUT")
    event = sample("check_aborted")
    event["detail"] |= {
        "stateMachineArn": REFS["Watch"],
        "name": name,
        "status": "TIMED_OUT",
        "input": json.dumps({**MODEL, "watch": name, "asked": False}),
    }
    watched.invoke("settle_execution", event)
    (entry,) = watched.entries(REF, "watch")
    assert entry["reason"] == "the workflow did not end within its time limit"


def test_a_schedule_starts_the_look_of_its_window_once(watched):
    for _ in range(2):
        watched.invoke("start_watch", FIRED)
    name = "flights--delay--w-20261120t100000"
    assert watched.workflows.of("watch") == {name: {**MODEL, "watch": name, "asked": False}}
    assert set(watched.stores.watches.read(REF).begun) == {name}


def test_without_an_endpoint_or_a_watch_nothing_starts(cloud, make_spec):
    cloud.invoke("start_watch", FIRED)
    cloud.apply(make_spec())
    cloud.invoke("start_watch", FIRED)
    serve(cloud)
    cloud.apply(make_spec(watch={"every_seconds": 0}))
    cloud.invoke("start_watch", FIRED)
    assert cloud.workflows.of("watch") == {}


def test_a_person_s_look_is_started_once_per_request(watched):
    for _ in range(2):
        answer = watched.invoke("request_watch", {**MODEL, "id": "0a1b"})
    assert answer == {"watch": "flights--delay--a-0a1b"}
    ((_, document),) = watched.workflows.of("watch").items()
    assert document["asked"] is True


def test_a_person_is_told_why_there_is_nothing_to_look_at(cloud, make_spec):
    with pytest.raises(NotFoundError, match="there is no model"):
        cloud.invoke("request_watch", MODEL)
    cloud.apply(make_spec())
    with pytest.raises(InvalidInputError, match="no version of flights/delay is in service"):
        cloud.invoke("request_watch", MODEL)
    serve(cloud)
    cloud.apply(make_spec(watch={"capture": {"percent": 0}}))
    with pytest.raises(InvalidInputError, match=r"watch\.capture\.percent is 0"):
        cloud.invoke("request_watch", MODEL)
