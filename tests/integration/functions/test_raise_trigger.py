"""Runs that nobody asks for by hand: schedules, drift, alarms, code that changed."""

import json

import pytest

from tidemill.errors import InvalidInputError

from ...stack import ACCOUNT, REGION
from ...stack import ARNS as DEPLOYED
from .scenes import MODEL, NAME, REF, begin_run, pend, queued

FIRED = {
    **MODEL,
    "expression": "rate(1 day)",
    "schedule": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/tidemill/{NAME}--0",
    "at": "2026-11-20T10:00:00Z",
}


def found(finding="f-1", **more):
    detail = {
        "version": 1, **MODEL, "finding": finding, "feature": "distance", "window": "w-7",
        "reason": "distance has a PSI of 0.31", **more,
    }  # fmt: skip
    return {
        "id": f"e-{finding}",
        "detail-type": "Drift Found",
        "source": "tidemill",
        "time": "2026-11-20T10:00:01Z",
        "detail": detail,
    }


def went_off(sample, alarm="delay-auc", **previous):
    event = sample("alarm_went_off")
    event["detail"]["alarmName"] = alarm
    event["detail"]["previousState"] |= previous
    return event


def raise_(cloud, event):
    cloud.invoke("raise_trigger", event)
    return cloud.stores.triggers.pending(REF)


def apply(cloud, spec):
    document = json.loads(spec.to_json())
    cloud.invoke("apply_model", {"spec": document, "digest": spec.digest})


def said(cloud):
    return [(e["verdict"], e["reason"]) for e in cloud.entries(REF, "trigger")]


# ── schedules ────────────────────────────────────────────────────────────────


def test_a_schedule_that_fires_is_a_trigger(cloud, spec):
    cloud.apply(spec)
    (trigger,) = raise_(cloud, FIRED)
    assert (trigger.kind, trigger.at, trigger.why) == (
        "schedule", cloud.now, "the schedule rate(1 day) fired",
    )  # fmt: skip
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]
    assert said(cloud) == [("raise", "the schedule rate(1 day) fired")]


def test_a_firing_that_is_delivered_twice_is_one_trigger(cloud, spec):
    cloud.apply(spec)
    raise_(cloud, FIRED)
    begin_run(cloud)
    assert cloud.stores.triggers.pending(REF) == []
    assert raise_(cloud, FIRED) == [], "also when a run has taken it"
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "the attempt before may have died"


def test_one_that_fires_while_the_last_one_waits_joins_it(cloud, spec):
    cloud.apply(spec)
    raise_(cloud, FIRED)
    for hour in range(11, 14):
        assert len(raise_(cloud, FIRED | {"at": f"2026-11-20T{hour}:00:00Z"})) == 1
        assert [detail["verdict"] for _, detail in cloud.events()] == ["coalesce"]
    verdicts = [verdict for verdict, _ in said(cloud)]
    assert verdicts == ["raise", "coalesce", "coalesce", "coalesce"]
    assert said(cloud)[-1][1] == (
        "the schedule rate(1 day) fired; joins the schedule trigger of 2026-11-20T10:00:00.000Z "
        "that waits"
    )


def test_what_it_would_join_may_be_taken_in_between(cloud, spec, load_function, monkeypatch):
    cloud.apply(spec)
    raise_(cloud, FIRED)
    app = load_function("raise_trigger")
    triggers = app.raising._stores.triggers
    pending = triggers.pending

    def then_a_run_starts(ref):
        found = pending(ref)
        monkeypatch.setattr(triggers, "pending", pending)
        with cloud.somebody_else():
            begin_run(cloud)
        return found

    monkeypatch.setattr(triggers, "pending", then_a_run_starts)
    assert len(raise_(cloud, FIRED | {"at": "2026-11-20T11:00:00Z"})) == 1, "it comes after"


@pytest.mark.parametrize(
    "broken", [{"model": "a#b"}, {"project": "A"}, {"at": "<aws.scheduler.scheduled-time>"}]
)
def test_what_no_schedule_of_ours_sends_is_refused(cloud, broken):
    with pytest.raises(InvalidInputError):
        cloud.invoke("raise_trigger", FIRED | broken)


def test_an_apply_makes_the_schedules(cloud, make_spec):
    apply(cloud, make_spec(triggers={"schedule": ["cron(0 3 * * ? *)"], "time_zone": "Asia/Tokyo"}))
    made = cloud.schedule(f"{NAME}--0")
    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"], made["State"]) == (
        "cron(0 3 * * ? *)", "Asia/Tokyo", "ENABLED",
    )  # fmt: skip
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}
    target = made["Target"]
    assert target["Arn"] == DEPLOYED["RaiseTriggerFunction"]
    assert target["RoleArn"] == DEPLOYED["SchedulerRole"]
    assert target["DeadLetterConfig"] == {"Arn": DEPLOYED["EventDeadLetters"]}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 20
    assert json.loads(target["Input"]) == {
        **MODEL,
        "expression": "cron(0 3 * * ? *)",
        "schedule": "<aws.scheduler.schedule-arn>",
        "at": "<aws.scheduler.scheduled-time>",
    }


def names(cloud):
    """Return the schedules of runs; each watch has one more."""
    found = [item for item in cloud.facts()["schedules"] if "Starts runs" in item["Description"]]
    return [item["Name"].removeprefix(f"{NAME}--") for item in found]


def test_schedules_follow_the_spec(cloud, make_spec):
    apply(cloud, make_spec(triggers={"schedule": ["rate(1 day)", "rate(2 days)", "rate(3 days)"]}))
    assert names(cloud) == ["0", "1", "2"]
    apply(cloud, make_spec(triggers={"schedule": ["rate(9 days)"], "time_zone": "Asia/Tokyo"}))
    assert names(cloud) == ["0"]
    changed = cloud.schedule(f"{NAME}--0")
    assert changed["ScheduleExpression"] == "rate(9 days)"
    assert changed["Target"]["Input"], "an update names everything, or it is reset"
    assert "DeadLetterConfig" in changed["Target"]
    apply(cloud, make_spec(triggers={"schedule": ["rate(9 days)"], "time_zone": "Asia/Tokyo"}))
    assert not [c for c in cloud.calls if c[1] in ("UpdateSchedule", "CreateSchedule")]
    apply(cloud, make_spec())
    assert names(cloud) == []


def test_schedules_are_the_model_s_own(cloud, make_spec):
    apply(cloud, make_spec(triggers={"schedule": ["rate(1 day)"]}))
    apply(cloud, make_spec(model="delay-0", triggers={"schedule": ["rate(2 days)"]}))
    apply(cloud, make_spec(triggers={}))
    assert names(cloud) == ["tidemill--flights--delay-0--0"]
    apply(cloud, make_spec(model="m" * 50, triggers={"schedule": ["rate(1 day)", "rate(2 days)"]}))
    assert len(names(cloud)) == 3
    apply(cloud, make_spec(model="m" * 50))
    assert len(names(cloud)) == 1


def test_a_time_that_is_over_does_not_fire_again(cloud, make_spec):
    schedule = ["at(2026-11-20T10:00:00)", "at(2026-11-20T11:30:00)", "at(2026-11-20T12:00:00)"]
    apply(cloud, make_spec(triggers={"schedule": schedule, "time_zone": "Europe/Berlin"}))
    states = [cloud.schedule(f"{NAME}--{n}")["State"] for n in range(3)]
    assert states == ["DISABLED", "ENABLED", "ENABLED"], "in Berlin it is 11:00"


def test_a_time_that_is_none_is_refused(cloud, make_spec):
    with pytest.raises(InvalidInputError, match=r"triggers.schedule: at\(2026-13-01"):
        apply(cloud, make_spec(triggers={"schedule": ["at(2026-13-01T00:00:00)"]}))


def test_a_deleted_model_has_no_schedules(cloud, make_spec):
    apply(cloud, make_spec(triggers={"schedule": ["rate(1 day)", "rate(2 days)"]}))
    gone = cloud.invoke("delete_model", {**MODEL, "why": "not used"})["deleted"]
    assert gone[-3:] == [f"schedule {NAME}--{name}" for name in ("0", "1", "watch")]
    assert cloud.facts()["schedules"] == []


# ── drift ────────────────────────────────────────────────────────────────────


def test_drift_is_a_trigger(cloud, spec):
    cloud.apply(spec)
    (trigger,) = raise_(cloud, found())
    assert trigger.kind == "drift"
    assert trigger.why == "drift was found: distance has a PSI of 0.31"
    (entry,) = cloud.entries(REF, "trigger")
    assert (entry["facts"]["feature"], entry["facts"]["window"]) == ("distance", "w-7")


def test_a_finding_that_is_told_twice_is_one_trigger(cloud, spec):
    cloud.apply(spec)
    raise_(cloud, found())
    begin_run(cloud)
    assert raise_(cloud, found() | {"id": "another"}) == []
    assert len(raise_(cloud, found("f-2"))) == 1


def test_drift_that_is_for_people_only_is_refused_by_name(cloud, spec):
    cloud.apply(spec)
    event = found()
    event["detail"]["retrain"] = False
    assert raise_(cloud, event) == []
    assert raise_(cloud, event) == []
    ((verdict, reason),) = said(cloud)
    assert verdict == "refuse"
    assert reason.endswith("a PSI of 0.31; watch.drift.retrain is false, so nothing starts")
    assert [detail["verdict"] for _, detail in cloud.events()] == ["refuse"]


def test_an_alarm_that_a_spec_names_is_drift(cloud, make_spec, sample):
    apply(cloud, make_spec(triggers={"alarms": ["delay-auc", "delay-auc#2"]}))
    (trigger,) = raise_(cloud, went_off(sample))
    assert trigger.kind == "drift"
    assert trigger.why.startswith("the alarm delay-auc went off: Threshold Crossed")
    assert cloud.entries(REF, "trigger")[0]["facts"]["alarm"] == "delay-auc"


def test_an_alarm_that_no_spec_names_concerns_nobody(cloud, make_spec, sample):
    apply(cloud, make_spec(triggers={"alarms": ["delay-auc#2"]}))
    assert raise_(cloud, went_off(sample)) == []
    apply(cloud, make_spec(triggers={"alarms": ["delay-auc"]}))
    assert raise_(cloud, went_off(sample, "delay-auc#2")) == [], "no more"
    cloud.invoke("delete_model", {**MODEL, "why": "not used"})
    assert raise_(cloud, went_off(sample)) == []
    assert cloud.entries(REF, "trigger") == []


def test_an_alarm_may_concern_several_models(cloud, make_spec, sample):
    for model in ("delay", "cancel"):
        apply(cloud, make_spec(model=model, triggers={"alarms": ["delay-auc"]}))
    raise_(cloud, went_off(sample))
    for model in ("delay", "cancel"):
        assert len(cloud.stores.triggers.pending(f"flights/{model}")) == 1


def test_a_new_alarm_s_first_state_is_no_drift(cloud, make_spec, sample):
    apply(cloud, make_spec(triggers={"alarms": ["delay-auc"]}))
    new = {"value": "INSUFFICIENT_DATA", "reason": "Unchecked: Initial alarm creation"}
    assert raise_(cloud, went_off(sample, **new)) == []
    ((verdict, reason),) = said(cloud)
    assert verdict == "refuse"
    assert (
        reason
        == "the alarm delay-auc went off with its first state after it was made; that is no drift"
    )
    silent = {"value": "INSUFFICIENT_DATA", "reason": "Insufficient Data: 1 datapoint was unknown."}
    assert len(raise_(cloud, went_off(sample, **silent) | {"id": "later"})) == 1, "sparse data"


# ── code ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"train__hyperparameters": {"eta": "0.3"}}, "train of model.yaml changed at apply"),
        (
            {"data__exclude": ["x"], "prepare__seed": 8},
            "data and prepare of model.yaml changed at apply",
        ),
        ({"deploy__count": 2}, None),
        ({"train__compute": {"instance": "ml.m5.large", "volume_gb": 9,
                             "max_runtime_seconds": 60}}, None),
        ({"triggers": {"on_change": True, "cooldown_seconds": 5}}, None),
    ],
)  # fmt: skip
def test_a_spec_that_learns_otherwise_is_a_reason_to_run(cloud, make_spec, change, why):
    apply(cloud, make_spec(triggers={"on_change": True}))
    assert cloud.stores.triggers.pending(REF) == [], "a new model has changed nothing"
    cloud.now += 60
    apply(cloud, make_spec(**({"triggers": {"on_change": True}} | change)))
    pending = [(trigger.kind, trigger.why) for trigger in cloud.stores.triggers.pending(REF)]
    assert pending == ([("code", why)] if why else [])


def test_without_on_change_it_is_none(cloud, make_spec):
    apply(cloud, make_spec())
    apply(cloud, make_spec(train__hyperparameters={"eta": "0.3"}))
    assert cloud.stores.triggers.pending(REF) == []


def test_training_code_that_changed_is_a_reason_to_run(
    cloud, make_spec, load_function, monkeypatch
):
    import dataclasses  # noqa: PLC0415

    spec = make_spec(triggers={"on_change": True})
    apply(cloud, spec)
    app = load_function("apply_model")
    other = dataclasses.replace(app.settings, jobs_image_uri=app.settings.jobs_image_uri + "2")
    monkeypatch.setattr(app, "settings", other)
    cloud.now += 60
    apply(cloud, spec)
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert trigger.why == "the training code changed at apply"
    apply(cloud, spec)
    assert len(cloud.stores.triggers.pending(REF)) == 1


# ── dying ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("event", [FIRED, found()], ids=["schedule", "drift"])
@pytest.mark.parametrize("waiting", [False, True])
def test_raising_may_die_anywhere(survives, make_spec, event, waiting):
    def prepare(cloud):
        cloud.apply(make_spec())
        for kind in ("schedule", "drift") if waiting else ():
            pend(cloud, f"{kind}-0", kind=kind)
        return event

    survives("raise_trigger", prepare)


def test_raising_for_an_alarm_may_die_anywhere(survives, make_spec, sample):
    def prepare(cloud):
        for model in ("delay", "cancel"):
            apply(cloud, make_spec(model=model, triggers={"alarms": ["delay-auc"]}))
        return went_off(sample)

    survives("raise_trigger", prepare)


def test_a_schedule_is_decided_like_everything_else(cloud, make_spec):
    cloud.apply(make_spec(triggers={"runs_per_week": 1}))
    for day in (20, 21):
        raise_(cloud, FIRED | {"at": f"2026-11-{day}T10:00:00Z"})
        cloud.invoke("decide_trigger", queued(MODEL))
        for run in cloud.stores.standings.read(REF).going:
            from tidemill.adapters.runs import Ended  # noqa: PLC0415

            cloud.stores.runs.finish(REF, run, Ended("succeeded", "x"), cloud.now)
    (run,) = cloud.stores.runs.of(REF)
    assert run["trigger"] == "schedule"
    assert len(cloud.stores.triggers.pending(REF)) == 1
