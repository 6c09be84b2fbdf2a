import re

from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.trigger import Lease, Trigger, decide, run_id

NOW = 1_795_168_800.0
LEASE = Lease("run-1", 3, NOW + 10)

triggers = st.lists(
    st.builds(
        Trigger,
        st.text("abc", min_size=1, max_size=4),
        st.sampled_from(["data", "manual"]),
        st.floats(0, NOW),
        st.just("why"),
    ),
    unique_by=lambda trigger: trigger.id,
    max_size=6,
)
leases = st.none() | st.builds(Lease, st.just("run-1"), st.just(1), st.floats(NOW - 9, NOW + 9))


def trigger(name, at=NOW, kind="data"):
    return Trigger(name, kind, at, f"{name} came")


def test_nothing_pending_starts_nothing():
    assert decide([], None, NOW).run is None


def test_the_oldest_starts_and_the_others_join():
    decision = decide([trigger("b", NOW), trigger("a", NOW), trigger("c", NOW - 5)], None, NOW)
    assert [(v.trigger.id, v.name) for v in decision.verdicts] == [
        ("c", "start"), ("a", "coalesce"), ("b", "coalesce"),
    ]  # fmt: skip
    assert decision.run == run_id(trigger("c"), NOW)
    assert decision.verdicts[0].reason == f"c came; started {decision.run}"
    assert decision.verdicts[1].reason == f"a came; joins {decision.run}"


def test_while_a_run_goes_on_all_wait():
    decision = decide([trigger("a")], LEASE, NOW)
    assert decision.run is None
    assert decision.verdicts[0].name == "defer"
    assert "run-1 is still going" in decision.verdicts[0].reason


def test_a_lease_that_has_ended_holds_nobody():
    assert decide([trigger("a")], LEASE, NOW + 9.9).run is None
    assert decide([trigger("a")], LEASE, NOW + 10).run


def test_a_deleted_model_starts_nothing():
    decision = decide([trigger("a")], None, NOW, in_force=False)
    assert (decision.run, decision.verdicts[0].name) == (None, "defer")
    assert "applied again" in decision.verdicts[0].reason


@given(triggers, leases, st.booleans())
def test_every_trigger_gets_one_verdict_and_at_most_one_starts(pending, lease, in_force):
    decision = decide(pending, lease, NOW, in_force=in_force)
    assert sorted(v.trigger.id for v in decision.verdicts) == sorted(t.id for t in pending)
    names = [verdict.name for verdict in decision.verdicts]
    assert names.count("start") == (decision.run is not None)
    assert ("defer" in names) <= (decision.run is None)
    assert all(verdict.reason for verdict in decision.verdicts)


@given(triggers, st.randoms())
def test_the_order_in_which_they_are_read_does_not_matter(pending, random):
    shuffled = random.sample(pending, len(pending))
    assert decide(shuffled, None, NOW) == decide(pending, None, NOW)


def test_a_run_s_id_is_short_sortable_and_the_trigger_s_own():
    name = run_id(trigger("a"), NOW)
    assert re.fullmatch(r"run-20261120t100000-[0-9a-f]{8}", name)
    assert run_id(trigger("b"), NOW) != name == run_id(trigger("a"), NOW + 0.9)
    assert run_id(trigger("a"), NOW + 1) > name
