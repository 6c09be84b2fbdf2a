"""Every kind of fault is documented, and every fault is struck by the same rule."""

import re
from pathlib import Path

import pytest

from tidemill_local.faults import KINDS, Fault, FaultError, checked

DOCS = (Path(__file__).parents[3] / "docs" / "rehearse.md").read_text()


def test_the_page_has_each_kind_with_its_time():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| (.+) \|$", DOCS, re.MULTILINE))
    assert list(rows) == list(KINDS)
    for name, kind in KINDS.items():
        found = re.search(r"`--seconds` \((\d+)\)", rows[name])
        assert (found and float(found[1])) == kind.seconds, name


def test_the_recipes_can_be_typed():
    recipes = re.findall(r"^ {4}tidemill fault add (\S+)(.*)$", DOCS, re.MULTILINE)
    assert {kind for kind, _ in recipes} <= set(KINDS)
    for kind, options in recipes:
        given = dict(re.findall(r"--(\w+) '?([^'\n]+?)'?(?= --|$)", options))
        numbers = {name: float(given.pop(name)) for name in ("probability",) if name in given}
        numbers |= {
            name: int(given.pop(name)) for name in ("after", "count", "seed") if name in given
        }
        assert checked(
            kind, given | numbers, ["DescribeEndpoint", "CreateTrainingJob", "UpdateEndpoint"]
        )


@pytest.mark.parametrize(
    ("scope", "struck"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"after": 2}, [0, 0, 1, 1, 1]),
        ({"count": 2}, [1, 1, 0, 0, 0]),
        ({"after": 1, "count": 1}, [0, 1, 0, 0, 0]),
    ],
)
def test_a_fault_strikes_after_and_as_often_as_it_says(scope, struck):
    fault, found = Fault("f", "throttle", **scope), []
    for _ in struck:
        strikes = fault.strikes_next()
        found.append(int(strikes))
        fault = Fault(
            **fault.to_json() | {"seen": fault.seen + 1, "struck": fault.struck + strikes}
        )
    assert found == struck


def test_time_has_a_default_where_it_plays_a_part():
    assert checked("slow-start", {}, [])["seconds"] == KINDS["slow-start"].seconds
    assert checked("slow-start", {"seconds": 0}, [])["seconds"] == 0
    assert checked("throttle", {}, []) == {}


@pytest.mark.parametrize(
    "scope",
    [{"count": 0}, {"count": True}, {"after": -1}, {"name": 3}, {"seed": "x"}, {"color": 1}],
)
def test_a_scope_of_the_wrong_form_is_refused(scope):
    with pytest.raises(FaultError):
        checked("throttle", scope, [])
