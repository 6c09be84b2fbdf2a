import pytest

from tidemill.adapters.entries import Entry

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)
REF = "flights/delay"


@pytest.fixture
def champions(stores):
    return stores.champions


def crown(champions, version, config, at=1.0, execution="x"):
    entry = Entry(
        REF, f"rollout#{execution}", at, "rollout", f"version {version}", "in service", ""
    )
    champions.crown(REF, version=version, config=config, package=f"p{version}", now=at, entry=entry)


def test_nobody_is_champion_at_first(champions):
    assert champions.find(REF) is None


def test_the_first_has_nothing_to_go_back_to(champions):
    crown(champions, 1, "c1")
    assert champions.find(REF) == {
        "version": 1, "config": "c1", "package": "p1", "since": 1, "previous": None,
    }  # fmt: skip


def test_the_next_remembers_whose_place_it_took(champions):
    crown(champions, 1, "c1")
    crown(champions, 2, "c2", execution="y")
    assert champions.find(REF)["previous"] == 1


def test_a_version_that_comes_in_anew_is_not_its_own_predecessor(champions):
    """Its endpoint had failed and was replaced: a rollback still goes to the one before."""
    crown(champions, 1, "c1")
    crown(champions, 2, "c2", execution="y")
    crown(champions, 2, "c3", execution="z")
    found = champions.find(REF)
    assert (found["version"], found["config"], found["previous"]) == (2, "c3", 1)


def test_crowning_twice_changes_nothing(cloud, champions):
    crown(champions, 1, "c1")
    crown(champions, 2, "c2", execution="y")
    before = cloud.facts(apart=())
    crown(champions, 2, "c2", at=9.0, execution="y")
    assert cloud.facts(apart=()) == before


def test_forgetting_twice_is_forgetting(champions):
    crown(champions, 1, "c1")
    champions.forget(REF)
    champions.forget(REF)
    assert champions.find(REF) is None
