import pytest

from tidemill.adapters.items import transact
from tidemill.adapters.runs import LEASE_SECONDS, MOST_TRIGGERS, Basis, Ended
from tidemill.domain.trigger import Standing, Trigger, decide
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Triggers

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)
REF = "flights/delay"
NOW = 1000.0
DONE = Ended("succeeded", "version 1 registered")


@pytest.fixture
def runs(stores):
    return stores.runs


def pend(stores, *names, at=NOW):
    for index, name in enumerate(names):
        trigger = Trigger(name, "data", at + index, f"{name} came")
        transact(stores.state.client, [stores.triggers.put(REF, trigger)])


def decision_of(stores, now=NOW):
    lease = stores.leases.read(REF, "run")
    starts = stores.standings.read(REF).starts
    decision = decide(stores.triggers.pending(REF), Triggers(), Standing(lease), now)
    return decision, Basis(lease, starts)


def start(stores, now=NOW):
    decision, basis = decision_of(stores, now)
    assert stores.runs.start(REF, decision, basis, now)
    return decision.run


def test_a_run_takes_the_lease_and_all_its_triggers(cloud, runs, stores):
    pend(stores, "d-1", "d-2")
    run = start(stores)

    record = runs.get(REF, run)
    assert (record["status"], record["why"]) == ("starting", "d-1 came")
    assert record["triggers"] == ["d-1", "d-2"]
    assert stores.triggers.pending(REF) == []
    lease = stores.leases.read(REF, "run")
    assert (lease.holder, lease.expires_at) == (run, NOW + LEASE_SECONDS)
    said = [(e["facts"]["trigger"], e["verdict"]) for e in cloud.entries(REF, "trigger")]
    assert sorted(said) == [("d-1", "start"), ("d-2", "coalesce")]


@pytest.mark.parametrize("rows", [None, 0, 1_200_000])
def test_what_waits_is_read_back_as_it_was_stored(stores, rows):
    trigger = Trigger("d-1", "data", NOW, "d-1 came", rows)
    transact(stores.state.client, [stores.triggers.put(REF, trigger)])
    assert stores.triggers.pending(REF) == [trigger]


def test_of_two_decisions_on_the_same_triggers_one_starts(runs, stores):
    pend(stores, "d-1")
    decision, basis = decision_of(stores)
    assert runs.start(REF, decision, basis, NOW)
    assert not runs.start(REF, decision, basis, NOW)
    assert len(runs.of(REF)) == 1


def test_a_trigger_that_another_took_stops_the_whole_start(runs, stores):
    pend(stores, "d-1", "d-2")
    decision, basis = decision_of(stores)
    transact(stores.state.client, [stores.triggers.taken(REF, decision.verdicts[1].trigger)])
    assert not runs.start(REF, decision, basis, NOW)
    assert runs.of(REF) == []
    assert stores.leases.read(REF, "run") is None


def test_a_decision_that_starts_nothing_cannot_be_started(runs, stores):
    decision, basis = decision_of(stores)
    with pytest.raises(ValueError, match="starts no run"):
        runs.start(REF, decision, basis, NOW)


def test_a_transaction_takes_only_so_many_triggers(runs, stores):
    pend(stores, *(f"d-{n:03d}" for n in range(MOST_TRIGGERS + 3)))
    run = start(stores)
    assert len(runs.get(REF, run)["triggers"]) == MOST_TRIGGERS
    assert len(stores.triggers.pending(REF)) == 3


def test_facts_are_added_while_it_goes_on(runs, stores):
    pend(stores, "d-1")
    run = start(stores)
    runs.note(REF, run, status="running", pipeline=None, metric={"name": "auc", "value": 1e16})
    record = runs.get(REF, run)
    assert record["status"] == "running"
    assert record["metric"] == {"name": "auc", "value": 1e16}
    assert "pipeline" not in record


def test_it_ends_once_and_as_it_ended_first(cloud, runs, stores):
    pend(stores, "d-1")
    run = start(stores)
    assert runs.finish(REF, run, DONE, NOW + 60.04)
    assert not runs.finish(REF, run, Ended("failed", "late"), NOW + 90)

    record = runs.get(REF, run)
    assert (record["status"], record["finished_at"]) == ("succeeded", NOW + 60.04)
    (entry,) = cloud.entries(REF, "run")
    assert (entry["verdict"], entry["facts"]["seconds"]) == ("succeeded", 60)


def test_a_repeated_end_succeeds_and_changes_nothing(cloud, runs, stores):
    pend(stores, "d-1")
    run = start(stores)
    runs.finish(REF, run, DONE, NOW + 60)
    before = cloud.facts(apart=())
    assert runs.finish(REF, run, DONE, NOW + 70), "a retry must go on to say it"
    assert cloud.facts(apart=()) == before


def test_a_final_run_takes_no_more_facts(runs, stores):
    pend(stores, "d-1")
    run = start(stores)
    runs.finish(REF, run, DONE, NOW + 60)
    runs.note(REF, run, status="running", execution="arn")
    assert runs.get(REF, run)["status"] == "succeeded"
    assert "execution" not in runs.get(REF, run)


def test_an_end_frees_the_lease_for_the_next(runs, stores):
    pend(stores, "d-1")
    first = start(stores)
    runs.finish(REF, first, DONE, NOW + 60)
    pend(stores, "d-2", at=NOW + 61)
    assert start(stores, NOW + 62) != first


def test_an_end_does_not_free_the_lease_of_the_next(runs, stores):
    pend(stores, "d-1")
    first = start(stores)
    runs.finish(REF, first, DONE, NOW + 60)
    pend(stores, "d-2", at=NOW + 61)
    second = start(stores, NOW + 62)
    runs.finish(REF, first, DONE, NOW + 63)
    assert stores.leases.read(REF, "run").holder == second


def test_runs_are_listed_in_the_order_they_started(runs, stores):
    started = []
    for turn in range(3):
        pend(stores, f"d-{9 - turn}", at=NOW + turn * 100)
        started.append(start(stores, NOW + turn * 100))
        runs.finish(REF, started[-1], DONE, NOW + turn * 100 + 1)
    assert [run["run"] for run in runs.of(REF)] == started


def test_an_unknown_run_is_named(runs):
    with pytest.raises(NotFoundError, match="flights/delay has no run run-x"):
        runs.get(REF, "run-x")
