import pytest

from tidemill.adapters.runs import MOST_TRIGGERS, Ended

from .scenes import MODEL, REF, begin_run, pend, queued


def decide(cloud):
    return cloud.invoke("decide_trigger", queued(MODEL))


def test_a_free_model_starts_a_run(cloud, spec):
    cloud.apply(spec)
    pend(cloud, "d-1")
    decide(cloud)
    (run,) = cloud.stores.runs.of(REF)
    assert run["status"] == "running"
    assert cloud.workflows.of("retrain") == {run["run"]: {**MODEL, "run": run["run"]}}
    assert cloud.events() == [
        ("Trigger Decided", {"version": 1, **MODEL, "trigger": "d-1", "verdict": "start",
                             "run": run["run"]}),
        ("Run Started", {"version": 1, **MODEL, "run": run["run"], "trigger": "data",
                         "why": "d-1 came"}),
    ]  # fmt: skip


def test_triggers_that_wait_together_join_one_run(cloud, spec):
    cloud.apply(spec)
    for trigger in ("d-2", "d-1"):
        pend(cloud, trigger)
    pend(cloud, "m-1", kind="manual", at=cloud.now - 5)
    decide(cloud)
    (run,) = cloud.stores.runs.of(REF)
    assert (run["trigger"], run["triggers"]) == ("manual", ["m-1", "d-1", "d-2"])
    verdicts = [detail["verdict"] for kind, detail in cloud.events() if kind == "Trigger Decided"]
    assert verdicts == ["start", "coalesce", "coalesce"]


def test_while_a_run_goes_on_others_are_put_off_and_told_once(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    pend(cloud, "d-2")
    decide(cloud)
    assert [detail["verdict"] for _, detail in cloud.events()] == ["defer"]
    (entry,) = [e for e in cloud.entries(REF, "trigger") if e["verdict"] == "defer"]
    assert run in entry["reason"]

    before = cloud.facts(apart=())
    decide(cloud)
    assert cloud.facts(apart=()) == before
    assert cloud.events() == []


def test_what_was_put_off_starts_when_the_model_is_free(cloud, spec):
    cloud.apply(spec)
    first = begin_run(cloud)
    pend(cloud, "d-2")
    decide(cloud)
    cloud.now += 60
    cloud.stores.runs.finish(REF, first, Ended("failed", "no"), cloud.now)
    decide(cloud)
    assert [run["triggers"] for run in cloud.stores.runs.of(REF)] == [["d-1"], ["d-2"]]


def test_more_than_one_transaction_takes_all_join_the_run(cloud, spec):
    cloud.apply(spec)
    many = 2 * MOST_TRIGGERS + 3
    for n in range(many):
        pend(cloud, f"d-{n:03d}", rows=2)
    decide(cloud)
    verdicts = [entry["verdict"] for entry in cloud.entries(REF, "trigger")]
    assert sorted(verdicts) == ["coalesce"] * (many - 1) + ["start"]
    assert cloud.stores.triggers.pending(REF) == []
    (run,) = cloud.stores.runs.of(REF)
    assert run["triggers"] == [f"d-{n:03d}" for n in range(many)]
    assert run["new_rows"] == 2 * many
    assert len([kind for kind, _ in cloud.events() if kind == "Trigger Decided"]) == many


def test_nothing_pending_is_nothing_to_do(cloud, spec):
    cloud.apply(spec)
    decide(cloud)
    assert cloud.stores.runs.of(REF) == []
    assert cloud.events() == []


def test_a_deleted_model_starts_nothing_and_loses_nothing(cloud, spec):
    pend(cloud, "d-1")
    decide(cloud)
    assert cloud.stores.runs.of(REF) == []
    (entry,) = cloud.entries(REF, "trigger")
    assert (entry["verdict"], "applied again" in entry["reason"]) == ("defer", True)
    cloud.apply(spec)
    decide(cloud)
    assert len(cloud.stores.runs.of(REF)) == 1


def test_a_run_whose_starter_died_is_started_by_the_next_look(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud, status="starting")
    decide(cloud)
    assert cloud.stores.runs.get(REF, run)["status"] == "running"
    assert list(cloud.workflows.of("retrain")) == [run]
    assert [kind for kind, _ in cloud.events()] == ["Trigger Decided", "Run Started"]


def test_a_run_that_ended_before_it_was_noted_stays_ended(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud, status="starting")
    cloud.stores.runs.finish(REF, run, Ended("refused", "nothing"), cloud.now)
    decide(cloud)
    assert cloud.stores.runs.get(REF, run)["status"] == "refused"
    assert cloud.workflows.of("retrain") == {}


def test_one_that_always_loses_gives_up_and_is_tried_again(cloud, spec, monkeypatch, load_function):
    cloud.apply(spec)
    pend(cloud, "d-1")
    app = load_function("decide_trigger")
    monkeypatch.setattr(app.stores.runs, "start", lambda *_: False)
    with pytest.raises(TimeoutError, match="faster"):
        decide(cloud)
    assert len(cloud.stores.triggers.pending(REF)) == 1


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        pend(cloud, "d-1")
        pend(cloud, "d-2")
        return queued(MODEL)

    survives("decide_trigger", prepare)
