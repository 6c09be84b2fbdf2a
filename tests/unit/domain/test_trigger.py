import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.trigger import (
    BY_A_PERSON,
    MOST_WAITING,
    Lease,
    Standing,
    Trigger,
    decide,
    run_id,
)
from tidemill.spec.compiled import Blackout, Triggers

NOW = 1_795_168_800.0  # Friday, 2026-11-20T10:00:00Z
HOUR = 3600.0
LEASE = Lease("run-1", 3, NOW + 10)
GOING = Standing(LEASE)
FREE = Standing()
OPEN = Triggers()
OFFICE = Blackout("mon-fri 08:00-18:00", (0, 1, 2, 3, 4), 8 * 60, 18 * 60)


def trigger(name, at=NOW, kind="data", rows=None):
    return Trigger(name, kind, at, f"{name} came", rows)


def names(decision):
    return {verdict.trigger.id: verdict.name for verdict in decision.verdicts}


def only(decision):
    (verdict,) = decision.verdicts
    return verdict


# ── what starts ──────────────────────────────────────────────────────────────


def test_nothing_pending_starts_nothing():
    assert decide([], OPEN, FREE, NOW).run is None


def test_the_oldest_starts_and_the_others_join():
    pending = [trigger("b", NOW), trigger("a", NOW), trigger("c", NOW - 5)]
    decision = decide(pending, OPEN, FREE, NOW)
    assert [(v.trigger.id, v.name) for v in decision.verdicts] == [
        ("c", "start"), ("a", "coalesce"), ("b", "coalesce"),
    ]  # fmt: skip
    assert decision.run == run_id(trigger("c"), NOW)
    assert decision.verdicts[0].reason == f"c came; started {decision.run}"
    assert decision.verdicts[0].facts["waited_seconds"] == 5
    assert decision.verdicts[1].reason == f"a came; joins {decision.run}"


def test_what_is_held_back_joins_the_run_that_another_starts():
    held = Triggers(minimum_rows=100)
    decision = decide([trigger("d", rows=1), trigger("m", kind="manual")], held, FREE, NOW)
    assert names(decision) == {"m": "start", "d": "coalesce"}
    assert decision.verdicts[0].trigger.id == "m"


# ── what waits ───────────────────────────────────────────────────────────────


def test_while_a_run_goes_on_all_wait():
    decision = decide([trigger("a"), trigger("m", kind="manual")], OPEN, GOING, NOW)
    assert decision.run is None
    for verdict in decision.verdicts:
        assert verdict.reason == "run-1 is still going; this waits for its end"
        assert (verdict.name, verdict.until) == ("defer", LEASE.expires_at)
        assert verdict.facts["fence"] == 3
    assert decision.look_again is None, "the run's end is told, long before"


def test_what_waits_for_a_run_hears_of_the_cooldown_after_it():
    policy = Triggers(cooldown_seconds=5400)
    verdicts = decide([trigger("a"), trigger("m", kind="manual")], policy, GOING, NOW).verdicts
    assert verdicts[0].reason == (
        "run-1 is still going; this waits for its end, and then 1h 30m of cooldown"
    )
    assert "cooldown" not in verdicts[1].reason


def test_a_lease_that_has_ended_or_is_free_holds_nobody():
    assert decide([trigger("a")], OPEN, GOING, NOW + 9.9).run is None
    assert decide([trigger("a")], OPEN, GOING, NOW + 10).run
    assert decide([trigger("a")], OPEN, Standing(Lease("", 3, NOW + 10)), NOW).run


def test_a_deleted_model_starts_nothing():
    pending = [trigger(kind, kind=kind) for kind in ("data", "schedule", "drift", "manual", "code")]
    decision = decide(pending, OPEN, replace(GOING, in_force=False), NOW)
    assert decision.run is None
    assert names(decision) == {
        "data": "defer", "schedule": "refuse", "drift": "refuse", "manual": "defer",
        "code": "defer",
    }  # fmt: skip
    reasons = {verdict.trigger.id: verdict.reason for verdict in decision.verdicts}
    assert "applied again" in reasons["data"]
    assert reasons["schedule"] == "schedule came; the model was deleted, so nothing starts"


def test_a_cooldown_ends_so_long_after_the_last_run():
    policy = Triggers(cooldown_seconds=3600)
    standing = Standing(ended_at=NOW - 600, ended_run="run-1")
    verdict = only(decide([trigger("a")], policy, standing, NOW))
    assert verdict.reason == (
        "run-1 ended at Fri 2026-11-20 09:50 (UTC) and the cooldown is 1h; "
        "this may start at Fri 2026-11-20 10:50 (UTC)"
    )
    assert verdict.until == NOW + 3000
    assert verdict.facts == {
        "rule": "cooldown", "ended_at": NOW - 600, "cooldown_seconds": 3600, "run": "run-1",
    }  # fmt: skip
    assert decide([trigger("a")], policy, standing, verdict.until).run


def test_what_a_person_asks_for_waits_for_no_policy():
    policy = Triggers(cooldown_seconds=3600, runs_per_week=1, blackout=(OFFICE,))
    standing = Standing(ended_at=NOW - 1, starts=(NOW - 60,))
    for kind in BY_A_PERSON:
        assert decide([trigger("p", kind=kind)], policy, standing, NOW).run
    for kind in ("data", "schedule", "drift", "code"):
        assert decide([trigger("a", kind=kind)], policy, standing, NOW).run is None


def test_so_many_runs_a_week_and_no_more():
    policy = Triggers(runs_per_week=2)
    starts = (NOW - 200 * HOUR, NOW - 100 * HOUR, NOW - 50 * HOUR)
    verdict = only(decide([trigger("a")], policy, Standing(starts=starts), NOW))
    assert verdict.reason == (
        "2 runs started automatically in seven days and runs_per_week is 2; "
        "this may start at Mon 2026-11-23 06:00 (UTC)"
    )
    assert verdict.until == NOW + 68 * HOUR
    assert decide([trigger("a")], policy, Standing(starts=starts), NOW + 68 * HOUR).run


def test_a_blackout_lasts_by_the_clocks_of_its_zone():
    policy = Triggers(blackout=(OFFICE,), time_zone="Europe/Berlin")
    verdict = only(decide([trigger("a")], policy, FREE, NOW))
    assert verdict.reason == (
        "the blackout mon-fri 08:00-18:00 (Europe/Berlin) lasts; "
        "this may start at Fri 2026-11-20 18:00 (Europe/Berlin)"
    )
    assert verdict.until == NOW + 7 * HOUR
    assert verdict.facts["time_zone"] == "Europe/Berlin"


def test_a_cooldown_that_ends_in_a_blackout_is_one_wait():
    policy = Triggers(blackout=(OFFICE,), cooldown_seconds=3600)
    early = NOW - 3 * HOUR  # 07:00
    standing = Standing(ended_at=early - 60, ended_run="run-1")
    verdict = only(decide([trigger("a")], policy, standing, early))
    assert verdict.until == NOW - 2 * HOUR - 60, "07:59 is early enough"
    standing = replace(standing, ended_at=early + 60)
    verdict = only(decide([trigger("a")], policy, standing, early))
    assert verdict.until == NOW + 8 * HOUR
    assert verdict.facts["rules"] == ["cooldown", "blackout"]
    assert ", and then the blackout mon-fri 08:00-18:00 (UTC) lasts; " in verdict.reason


# ── new rows ─────────────────────────────────────────────────────────────────


def test_small_deliveries_gather_until_they_are_enough():
    policy = Triggers(minimum_rows=5000)
    few = [trigger("a", NOW - 9, rows=800), trigger("b", NOW - 5, rows=400)]
    decision = decide(few, policy, FREE, NOW)
    assert [verdict.reason for verdict in decision.verdicts] == [
        "800 of 5,000 new rows are here; this waits for more data",
        "1,200 of 5,000 new rows are here; this waits for more data",
    ]
    assert decision.look_again is None
    enough = [*few, trigger("c", rows=3800)]
    decision = decide(enough, policy, FREE, NOW)
    assert decision.run
    assert names(decision)["c"] == "start", "it is the one that made it enough"


def test_a_share_is_of_what_the_last_run_read():
    policy = Triggers(minimum_rows=10, minimum_share=0.05)
    standing = Standing(rows=40_000)
    verdict = only(decide([trigger("a", rows=1999)], policy, standing, NOW))
    assert verdict.reason == (
        "1,999 of 2,000 new rows (0.05 of the 40,000 that the last run read) are here; "
        "this waits for more data"
    )
    assert decide([trigger("a", rows=2000)], policy, standing, NOW).run
    assert decide([trigger("a", rows=10)], policy, FREE, NOW).run, "there was no run yet"


def test_rows_of_a_run_that_failed_are_new_still():
    policy = Triggers(minimum_rows=100)
    assert decide([trigger("a", rows=10)], policy, Standing(unlearned=90), NOW).run
    assert not decide([trigger("a", rows=10)], policy, Standing(unlearned=89), NOW).run


def test_rows_that_nobody_counted_are_not_waited_for():
    policy = Triggers(minimum_rows=100)
    assert decide([trigger("a", rows=None)], policy, FREE, NOW).run
    assert decide([trigger("s", kind="schedule")], policy, FREE, NOW).run
    many = [trigger(f"d-{n}", rows=0) for n in range(MOST_WAITING)]
    assert decide(many, policy, FREE, NOW).run
    assert not decide(many[1:], policy, FREE, NOW).run


def test_enough_rows_still_wait_for_the_blackout():
    policy = Triggers(minimum_rows=100, blackout=(OFFICE,))
    verdict = only(decide([trigger("a", rows=100)], policy, FREE, NOW))
    assert (verdict.name, verdict.facts["rule"]) == ("defer", "blackout")


# ── laws ─────────────────────────────────────────────────────────────────────

triggers = st.lists(
    st.builds(
        Trigger,
        st.text("abc", min_size=1, max_size=4),
        st.sampled_from(["data", "manual", "schedule", "drift", "code", "replay"]),
        st.floats(NOW - 1e6, NOW),
        st.just("why"),
        st.none() | st.integers(0, 200),
    ),
    unique_by=lambda trigger: trigger.id,
    max_size=6,
)
leases = st.none() | st.builds(
    Lease, st.sampled_from(["run-1", ""]), st.just(1), st.floats(NOW - 9, NOW + 9)
)
standings = st.builds(
    Standing,
    lease=leases,
    in_force=st.booleans() | st.just(True),
    ended_at=st.none() | st.floats(NOW - 1e6, NOW + 60),
    ended_run=st.just("run-0"),
    starts=st.lists(st.floats(NOW - 8e5, NOW + 60), max_size=6).map(tuple),
    rows=st.none() | st.integers(0, 10_000),
    unlearned=st.integers(0, 100),
)
blackouts = st.builds(
    Blackout,
    st.sampled_from(["one", "two"]),
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(tuple),
    st.integers(0, 1439),
    st.integers(0, 1440),
)
policies = st.builds(
    Triggers,
    cooldown_seconds=st.integers(0, 300_000),
    minimum_rows=st.integers(0, 300),
    minimum_share=st.floats(0, 0.1),
    runs_per_week=st.none() | st.integers(1, 4),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
    blackout=st.lists(blackouts, max_size=2).map(tuple),
)


@given(triggers, policies, standings)
def test_every_trigger_gets_one_verdict_and_at_most_one_starts(pending, policy, standing):
    decision = decide(pending, policy, standing, NOW)
    assert sorted(v.trigger.id for v in decision.verdicts) == sorted(t.id for t in pending)
    named = [verdict.name for verdict in decision.verdicts]
    assert named.count("start") == (decision.run is not None)
    assert ("defer" in named or "refuse" in named) <= (decision.run is None)
    assert all(verdict.reason for verdict in decision.verdicts)
    assert all(v.facts["rule"] for v in decision.verdicts if v.name == "defer")


@given(triggers, policies, standings, st.randoms())
def test_the_order_in_which_they_are_read_does_not_matter(pending, policy, standing, random):
    shuffled = random.sample(pending, len(pending))
    assert decide(shuffled, policy, standing, NOW) == decide(pending, policy, standing, NOW)


@given(triggers, policies, standings)
def test_at_the_time_that_it_names_a_wait_is_over_or_names_a_later_one(pending, policy, standing):
    for verdict in decide(pending, policy, standing, NOW).verdicts:
        if verdict.until is None:
            continue
        assert verdict.until > NOW
        later = decide(pending, policy, standing, verdict.until)
        if later.run is None:
            again = next(v for v in later.verdicts if v.trigger == verdict.trigger)
            assert again.until is None or again.until > verdict.until
            assert verdict.facts["rule"] == "lease", "only a run's end is not known"


@given(triggers, policies, standings, st.floats(0, 1e6))
def test_a_reason_is_the_same_whenever_it_is_asked_for(pending, policy, standing, passed):
    """Until a rule ends: the ledger keeps each reason once, however often one looks."""
    once = decide(pending, policy, standing, NOW)
    if once.run is None and once.verdicts:
        ends = min([v.until for v in once.verdicts if v.until] or [NOW + passed])
        again = decide(pending, policy, standing, min(NOW + passed, ends - 1e-3))
        kept = [v.reason for v in again.verdicts] == [v.reason for v in once.verdicts]
        # Beginning in a blackout's last minutes, another rule may be the first that is met.
        assert kept or {v.until for v in again.verdicts} == {v.until for v in once.verdicts}


@given(triggers, policies, standings, triggers)
def test_more_triggers_hold_nobody_back(pending, policy, standing, more):
    new = [t for t in more if t.id not in {p.id for p in pending} and t.rows is not None]
    if decide(pending, policy, standing, NOW).run is not None:
        assert decide([*pending, *new], policy, standing, NOW).run is not None


@given(triggers, policies, standings)
def test_a_looser_policy_holds_nobody_back(pending, policy, standing):
    if decide(pending, policy, standing, NOW).run is not None:
        for looser in (
            replace(policy, cooldown_seconds=policy.cooldown_seconds // 2),
            replace(policy, minimum_rows=0),
            replace(policy, minimum_share=0.0),
            replace(policy, runs_per_week=None),
            replace(policy, blackout=policy.blackout[1:]),
        ):
            assert decide(pending, looser, standing, NOW).run is not None


def test_a_run_s_id_is_short_sortable_and_the_trigger_s_own():
    name = run_id(trigger("a"), NOW)
    assert re.fullmatch(r"run-20261120t100000-[0-9a-f]{8}", name)
    assert run_id(trigger("b"), NOW) != name == run_id(trigger("a"), NOW + 0.9)
    assert run_id(trigger("a"), NOW + 1) > name
