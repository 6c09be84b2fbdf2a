"""Triggers that the policy holds back: said once, looked at again in time, never lost."""

import pytest

from tidemill.adapters.bus import LONGEST_DELAY_SECONDS
from tidemill.adapters.entries import Entry
from tidemill.adapters.runs import Ended

from .scenes import MODEL, REF, begin_run, pend, queued

HOUR = 3600.0
DONE = Ended("succeeded", "version 1 registered")


def decide(cloud, **more):
    return cloud.invoke("decide_trigger", queued({**MODEL, **more}))


def cool(cloud, make_spec, seconds=3600, **policy):
    """A model whose last run ended just now."""
    cloud.apply(make_spec(triggers={"cooldown_seconds": seconds, **policy}))
    run = begin_run(cloud)
    cloud.stores.runs.finish(REF, run, DONE, cloud.now)
    return run


def deferred(cloud):
    return [entry for entry in cloud.entries(REF, "trigger") if entry["verdict"] == "defer"]


def test_the_ledger_says_what_it_waits_for_and_until_when(cloud, make_spec):
    run = cool(cloud, make_spec)
    pend(cloud, "d-2")
    decide(cloud)
    (entry,) = deferred(cloud)
    assert entry["reason"] == (
        f"{run} ended at Fri 2026-11-20 10:00 (UTC) and the cooldown is 1h; "
        "this may start at Fri 2026-11-20 11:00 (UTC)"
    )
    facts = entry["facts"]
    assert (facts["rule"], facts["until"], facts["trigger"]) == (
        "cooldown",
        cloud.now + 3600,
        "d-2",
    )
    assert [detail["verdict"] for _, detail in cloud.events()] == ["defer"]


def test_it_is_said_once_however_often_one_looks(cloud, make_spec):
    cool(cloud, make_spec)
    pend(cloud, "d-2")
    decide(cloud)
    before = cloud.facts(apart=())
    cloud.now += 100
    decide(cloud)
    assert cloud.facts(apart=()) == before
    assert cloud.events() == []
    assert cloud.sent("TriggerQueue") == []


def test_it_starts_when_its_time_has_come_hop_by_hop(cloud, make_spec):
    cool(cloud, make_spec)
    pend(cloud, "d-2")
    began = cloud.now
    decide(cloud)
    hops = 0
    while sent := cloud.sent("TriggerQueue"):
        ((message, delay),) = sent
        assert 0 < delay <= LONGEST_DELAY_SECONDS
        cloud.now = message["look_at"]
        cloud.invoke("decide_trigger", queued(message))
        hops += 1
    assert (hops, cloud.now) == (4, began + HOUR)
    assert [run["triggers"] for run in cloud.stores.runs.of(REF)] == [["d-1"], ["d-2"]]


def test_one_hint_is_under_way_however_many_wait_and_however_often_it_is_delivered(
    cloud, make_spec
):
    cool(cloud, make_spec)
    for n in range(2, 5):
        pend(cloud, f"d-{n}")
        decide(cloud)
    message = {**MODEL, "look_at": cloud.stores.standings.read(REF).look_at}
    cloud.now = message["look_at"]
    cloud.invoke("decide_trigger", queued(message))
    assert len(cloud.sent("TriggerQueue")) == 1
    for stale in (message, MODEL, {**MODEL, "look_at": 1.0}):
        cloud.invoke("decide_trigger", queued(stale))
        assert cloud.sent("TriggerQueue") == []


def test_an_earlier_time_gets_a_hint_of_its_own(cloud, make_spec):
    cool(cloud, make_spec, 800)
    pend(cloud, "d-2")
    decide(cloud)
    cloud.apply(make_spec(triggers={"cooldown_seconds": 300}))
    decide(cloud)
    assert cloud.sent("TriggerQueue") == [({**MODEL, "look_at": cloud.now + 300}, 300)]


def test_small_deliveries_wait_for_each_other_and_then_start_together(cloud, make_spec):
    cloud.apply(make_spec(triggers={"minimum_rows": 1000}))
    for n, rows in enumerate((400, 500, 100), 1):
        cloud.now += 1
        pend(cloud, f"d-{n}", rows=rows)
        decide(cloud)
        assert cloud.sent("TriggerQueue") == [], "only more data ends this wait"
    assert [entry["facts"]["new_rows"] for entry in deferred(cloud)] == [400, 900]
    (run,) = cloud.stores.runs.of(REF)
    assert sorted(run["triggers"]) == ["d-1", "d-2", "d-3"]
    (start,) = [e for e in cloud.entries(REF, "trigger") if e["verdict"] == "start"]
    assert start["reason"].startswith(
        "d-3 came, and 1,000 new rows wait, of the 1,000 that it takes; started run-"
    )


def test_a_share_is_of_the_rows_that_the_last_good_run_read(cloud, make_spec):
    cloud.apply(make_spec(triggers={"minimum_share": 0.1}))
    run = begin_run(cloud)
    cloud.stores.runs.note(REF, run, dataset_rows=5000)
    cloud.stores.runs.finish(REF, run, DONE, cloud.now)
    pend(cloud, "d-2", rows=400)
    decide(cloud)
    assert deferred(cloud)[-1]["facts"]["needed"] == 500
    pend(cloud, "d-3", rows=100)
    decide(cloud)
    second = cloud.stores.standings.read(REF).going
    cloud.stores.runs.finish(REF, *second, Ended("failed", "no"), cloud.now)
    standing = cloud.stores.standings.read(REF)
    assert (standing.dataset_rows, standing.unlearned) == (5000, 500), "they are new still"
    pend(cloud, "d-4", rows=1)
    decide(cloud)
    assert len(cloud.stores.standings.read(REF).going) == 1


def test_so_many_runs_a_week_start_by_themselves(cloud, make_spec):
    cloud.apply(make_spec(triggers={"runs_per_week": 2}))
    for n, kind in enumerate(("data", "manual", "data", "data")):
        cloud.now += 60
        pend(cloud, f"t-{n}", kind=kind)
        decide(cloud)
        for run in cloud.stores.standings.read(REF).going:
            cloud.stores.runs.finish(REF, run, DONE, cloud.now)
    assert len(cloud.stores.runs.of(REF)) == 3, "a person's run counts for nothing"
    (entry,) = deferred(cloud)
    assert "2 runs started automatically in seven days and runs_per_week is 2" in entry["reason"]
    cloud.now = entry["facts"]["until"]
    decide(cloud)
    assert len(cloud.stores.runs.of(REF)) == 4


def test_a_person_s_run_takes_with_it_what_waits(cloud, make_spec):
    cool(cloud, make_spec)
    pend(cloud, "d-2")
    decide(cloud)
    pend(cloud, "m-1", kind="manual", at=cloud.now + 1)
    decide(cloud)
    assert cloud.stores.runs.of(REF)[-1]["triggers"] == ["m-1", "d-2"]
    assert cloud.stores.triggers.pending(REF) == []


def test_a_schedule_of_a_deleted_model_is_refused_and_its_data_waits(cloud, spec):
    pend(cloud, "d-1")
    pend(cloud, "s-1", kind="schedule")
    decide(cloud)
    assert [trigger.id for trigger in cloud.stores.triggers.pending(REF)] == ["d-1"]
    verdicts = {e["facts"]["trigger"]: e["verdict"] for e in cloud.entries(REF, "trigger")}
    assert verdicts == {"d-1": "defer", "s-1": "refuse"}
    assert {d["verdict"] for _, d in cloud.events()} == {"defer", "refuse"}


def test_a_spec_that_changes_under_a_decision_decides_it_anew(
    cloud, make_spec, monkeypatch, load_function
):
    cloud.apply(make_spec())
    pend(cloud, "d-1", rows=1)
    app = load_function("decide_trigger")
    start = app.stores.runs.start

    def after_an_apply(*arguments):
        monkeypatch.setattr(app.stores.runs, "start", start)
        with cloud.somebody_else():
            cloud.apply(make_spec(triggers={"minimum_rows": 100}))
        return start(*arguments)

    monkeypatch.setattr(app.stores.runs, "start", after_an_apply)
    decide(cloud)
    assert cloud.stores.runs.of(REF) == []
    assert deferred(cloud)[0]["facts"]["rule"] == "rows"


@pytest.mark.parametrize(
    "policy", [{"cooldown_seconds": 3600}, {"minimum_rows": 100}, {"cooldown_seconds": 0}]
)
def test_putting_off_may_die_anywhere(survives, make_spec, policy):
    def prepare(cloud):
        cloud.apply(make_spec(triggers=policy))
        cloud.stores.runs.finish(REF, begin_run(cloud), DONE, cloud.now)
        pend(cloud, "d-2", rows=1)
        pend(cloud, "d-3", rows=2)
        return queued(MODEL)

    survives("decide_trigger", prepare, again=lambda _: queued(MODEL, receives=2))


def test_refusing_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        for n in range(3):
            pend(cloud, f"s-{n}", kind="schedule")
        return queued(MODEL)

    survives("decide_trigger", prepare)


def test_what_was_written_before_is_read_still(cloud, spec):
    """A ledger entry of a run's end, and no standing yet: an older Tidemill's state."""
    cloud.stores.ledger.append(Entry(REF, "run#r#ended", 1.0, "run", "r", "succeeded", "x"))
    cloud.apply(spec)
    pend(cloud, "d-1")
    decide(cloud)
    assert len(cloud.stores.standings.read(REF).going) == 1
