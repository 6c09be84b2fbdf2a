"""When predictions that are too bad are told: as with drift, and in the metric's own words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.quality import Point, Said, decide_quality
from tidemill.spec.compiled import Drift, Quality

AUC = Quality("auc", "maximize", 0.7, minimum_rows=200)
SETTINGS = Drift(windows=3, of=5, cooldown_seconds=86_400, per_week=2)
HOUR, NOW = 3_600.0, 1_000_000.0


def point(n, value, *, rows=300, verdict=None):
    known = "below" if value is not None and value < AUC.floor else "reached"
    said = f"auc is {value} on {rows} rows"
    return Point(n * HOUR, (n + 1) * HOUR, rows, value, verdict or known, said)


def decide(*values, quality=AUC, settings=SETTINGS, said=(), others=(), version=2, now=NOW):
    points = [one if isinstance(one, Point) else point(n, one) for n, one in enumerate(values)]
    return decide_quality(
        points, quality, settings, version=version, said=said, others=others, now=now
    )


def test_nothing_is_said_without_truth():
    found = decide()
    assert (found.verdict, found.finding) == ("no_truth", None)
    assert "truth" in found.reason


def test_without_a_floor_the_newest_point_is_told_and_nothing_found():
    found = decide(0.1, 0.1, 0.1, 0.1, quality=None)
    assert (found.verdict, found.reason) == ("no_floor", "auc is 0.1 on 300 rows")


@pytest.mark.parametrize(
    ("values", "verdict", "low"),
    [
        ((0.8, 0.8), "reached", False),
        ((0.8, 0.6), "suspected", False),
        ((0.6, 0.8, 0.6), "suspected", False),
        ((0.6, 0.6, 0.6), "found", True),
        ((0.6, 0.8, 0.6, 0.8, 0.6), "found", True),
        ((0.6, 0.8, 0.6, 0.8, 0.8, 0.6), "suspected", False),
    ],
)
def test_it_takes_enough_of_the_last_points(values, verdict, low):
    found = decide(*values)
    assert (found.verdict, found.low) == (verdict, low)
    assert (found.finding is not None) == (verdict == "found")


def test_the_reason_says_the_metric_and_how_often():
    found = decide(0.8, 0.6, 0.6, 0.65)
    assert found.reason == "auc is 0.65 on 300 rows; below it in 3 of the last 4 points"
    assert found.facts["floor"] == 0.7
    assert found.facts["window"] == "1970-01-01T03:00:00.000Z"


def test_points_that_say_nothing_are_passed_over():
    few = point(3, None, rows=12, verdict="too_few_rows")
    found = decide(0.6, 0.6, 0.6, few)
    assert (found.verdict, found.finding) == ("found", decide(0.6, 0.6, 0.6).finding)


def test_what_was_told_is_not_told_again_until_it_was_over():
    told = Said("qf-1", NOW - 2 * 86_400, 2 * HOUR, 2)
    assert decide(0.6, 0.6, 0.6, 0.6, said=[told]).verdict == "below"
    over = decide(0.6, 0.6, 0.6, 0.8, 0.6, said=[told])
    assert (over.verdict, over.low) == ("suspected", False)
    again = decide(0.6, 0.6, 0.6, 0.8, 0.6, 0.6, 0.6, said=[told])
    assert again.verdict == "found"
    assert again.finding != told.id


def test_findings_about_drift_count_for_the_cooldown():
    found = decide(0.6, 0.6, 0.6, others=[NOW - HOUR])
    assert (found.verdict, found.finding) == ("held", None)
    assert found.until == NOW - HOUR + 86_400
    assert found.reason.endswith("told at 1970-01-13T12:46:40.000Z if it lasts")
    assert decide(0.6, 0.6, 0.6, others=[NOW - HOUR], now=found.until).verdict == "found"


def test_another_versions_finding_is_not_this_ones_but_keeps_the_pace():
    other = Said("qf-1", NOW - HOUR, 2 * HOUR, 1)
    assert decide(0.6, 0.6, 0.6, said=[other]).verdict == "held"
    assert decide(0.6, 0.6, 0.6, said=[replace(other, at=NOW - 3 * 86_400)]).verdict == "found"


def test_an_error_is_above_its_ceiling():
    ceiling = Quality("rmse", "minimize", 0.5, minimum_rows=1)
    points = [Point(n, n + 1, 9, 0.9, "below", "rmse is 0.9") for n in range(3)]
    found = decide(*points, quality=ceiling)
    assert found.verdict == "found"
    assert found.reason == "rmse is 0.9; above it in 3 of the last 3 points"


@given(values=st.lists(st.sampled_from([0.6, 0.8, None]), max_size=12))
def test_a_finding_is_told_once_however_often_it_is_looked_at(values):
    settings = replace(SETTINGS, cooldown_seconds=0, per_week=0)
    said = []
    for count in range(1, len(values) + 1):
        seen = [
            one if one is not None else point(n, None, rows=0, verdict="too_few_rows")
            for n, one in enumerate(values[:count])
        ]
        for _ in range(2):
            found = decide(*seen, settings=settings, said=said)
            if found.finding is not None:
                assert found.finding not in {one.id for one in said}
                said.append(Said(found.finding, NOW, (count - 1) * HOUR, 2))
        assert decide(*seen, settings=settings, said=said).finding is None
