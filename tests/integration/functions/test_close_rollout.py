import pytest

from .scenes import MODEL, REF

EXECUTION = "delay-v3-4f5c"


def close(cloud, *, version=3, action="create", config="c3", execution=EXECUTION, **more):
    event = {**MODEL, "version": version, "package": f"p{version}", "why": "good"}
    return cloud.invoke(
        "close_rollout",
        event | {"execution": execution, "config": config, "action": action, **more},
    )


def failure(state="SmokeTest"):
    return {"state": state, "error": "SmokeTestError", "cause": "row 2 differs"}


def hold(cloud, execution=EXECUTION):
    cloud.stores.leases.acquire(REF, "rollout", holder=execution, now=cloud.now, seconds=100)


def test_a_version_that_answers_rightly_is_champion(cloud):
    hold(cloud)
    assert close(cloud)["verdict"] == "in service"
    assert cloud.stores.champions.find(REF)["version"] == 3
    assert cloud.stores.leases.read(REF, "rollout").holder == ""
    ((kind, detail),) = cloud.events()
    assert (kind, detail["number"]) == ("Rollout Succeeded", 3)


def test_closing_twice_crowns_once(cloud):
    hold(cloud)
    close(cloud)
    before = cloud.facts(apart=())
    cloud.now += 10
    close(cloud)
    assert cloud.facts(apart=()) == before


def test_a_version_in_service_already_is_kept(cloud):
    close(cloud)
    answer = close(cloud, action="none", execution="delay-v3-again", config="c4")
    assert answer["verdict"] == "keep"
    assert cloud.stores.champions.find(REF)["config"] == "c3"


def test_a_champion_whose_endpoint_was_deleted_is_champion_no_longer(cloud):
    close(cloud, version=2, config="c2", execution="delay-v2-1")
    hold(cloud)
    answer = close(cloud, action="none", failure=failure("CreateEndpoint"), gone=True)
    assert answer["reason"].endswith("nothing is in service")
    assert cloud.stores.champions.find(REF) is None


@pytest.mark.parametrize(("rolled_back", "verdict"), [(True, "roll back"), (False, "fail")])
def test_a_failure_leaves_the_champion(cloud, rolled_back, verdict):
    close(cloud, version=2, config="c2", execution="delay-v2-1")
    hold(cloud)
    answer = close(cloud, action="none", failure=failure(), rolled_back=rolled_back)
    assert answer["verdict"] == verdict
    assert answer["reason"] == "SmokeTest: row 2 differs; version 2 stays"
    assert cloud.stores.champions.find(REF)["version"] == 2
    assert cloud.stores.leases.read(REF, "rollout").holder == ""
    assert [kind for kind, _ in cloud.events()] == ["Rollout RolledBack"]


def test_a_first_rollout_that_fails_leaves_nothing(cloud):
    hold(cloud)
    answer = close(cloud, action="none", failure=failure())
    assert answer["reason"] == "SmokeTest: row 2 differs; nothing is in service"
    assert cloud.stores.champions.find(REF) is None


def test_one_that_never_got_its_turn_does_not_end_another_s(cloud):
    hold(cloud, "delay-v2-1")
    close(cloud, action="none", failure=failure("PlanRollout"), config="")
    assert cloud.stores.leases.read(REF, "rollout").holder == "delay-v2-1"


@pytest.mark.parametrize("how", [{}, {"failure": failure()}])
def test_it_may_die_anywhere(survives, how):
    def prepare(cloud):
        hold(cloud)
        return {
            **MODEL, "version": 3, "package": "p3", "why": "good", "execution": EXECUTION,
            "config": "c3", "action": "none" if how else "create", **how,
        }  # fmt: skip

    survives("close_rollout", prepare)
