from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.delivery import (
    MARKER_GRACE_SECONDS,
    Close,
    Look,
    OpenDelivery,
    Wait,
    judge,
    wakes,
)
from tidemill.domain.manifest import Comparison, Manifest
from tidemill.spec.compiled import Delivery

QUIET = Delivery(quiet_seconds=30, max_wait_seconds=3600, marker=None)
MARKED = replace(QUIET, marker="_SUCCESS")
EXPECTING = replace(QUIET, expect=3)
OPEN = OpenDelivery(
    id="d-1", revision=3, opened_at=1000.0, last_arrival=1100.0, uploads=2, bytes=20,
    marker_at=None,
)  # fmt: skip


def test_a_quiet_window_closes_it():
    assert judge(OPEN, QUIET, 1129.9) == Wait(pytest.approx(0.1))
    assert judge(OPEN, QUIET, 1130.0) == Close("2 files; quiet for 30 s")


def test_one_file_is_one_file():
    assert judge(replace(OPEN, uploads=1), QUIET, 2000.0).reason.startswith("1 file;")


def test_uploads_without_end_do_not_keep_it_open_for_ever():
    busy = replace(OPEN, last_arrival=4599.0)
    assert judge(busy, QUIET, 4599.0) == Wait(1.0)
    assert judge(busy, QUIET, 4600.0) == Close("2 files; waited the maximum of 3600 s")


def test_with_a_marker_in_the_spec_quiet_is_not_enough():
    assert judge(OPEN, MARKED, 1200.0) == Wait(3400.0)
    assert isinstance(judge(OPEN, MARKED, 4600.0), Close)


@pytest.mark.parametrize(("marker_at", "last"), [(1100.0, 1050.0), (1050.0, 1100.0)])
def test_an_empty_marker_leaves_its_files_a_moment(marker_at, last):
    marked = replace(OPEN, marker_at=marker_at, last_arrival=last)
    assert judge(marked, MARKED, 1100.0) == Wait(MARKER_GRACE_SECONDS)
    assert judge(marked, MARKED, 1105.0) == Close("2 files; _SUCCESS arrived")


def named(*counts):
    marker = ObjectVersion("lake", "raw/f/d/_SUCCESS", "m", "e", 9, 1.0, "")
    return tuple(Manifest(marker, count) for count in counts)


def compared(missing=(), extra=(), wrong=()):
    return Comparison(2, tuple(missing), tuple(extra), tuple(wrong))


def test_a_manifest_is_looked_at_once_as_many_arrived_as_it_names():
    listed = replace(OPEN, marker_at=1100.0, manifests=named(2, 1))
    assert judge(listed, MARKED, 1100.0) == Wait(3500.0)
    assert judge(replace(listed, others=1), MARKED, 1100.0) == Look()
    assert judge(listed, MARKED, 4600.0) == Look(), "at the end it is named what is missing"


def test_a_manifest_closes_it_when_all_have_arrived():
    listed = replace(OPEN, marker_at=1100.0, manifests=named(2))
    assert judge(listed, MARKED, 1100.0, compared(missing=["b"])) == Wait(3500.0)
    assert judge(listed, MARKED, 1100.0, compared(extra=["x.csv"])) == Close(
        "2 files; _SUCCESS lists 2 and all have arrived; 1 not named: 'x.csv'"
    )


def test_a_manifest_of_nothing_is_complete():
    empty = replace(OPEN, manifests=named(0))
    assert judge(empty, MARKED, 1100.0) == Look()
    assert isinstance(judge(empty, MARKED, 1100.0, compared()), Close)


def test_what_a_manifest_still_misses_is_named_and_not_at_length():
    listed = replace(OPEN, manifests=named(8))
    reason = judge(listed, MARKED, 4600.0, compared(missing="bcdefgh")).reason
    assert reason.endswith("maximum of 3600 s; 7 missing: 'b', 'c', 'd', 'e', 'f' and 2 more")


def test_the_expected_number_closes_it_and_a_quiet_window_does_not():
    assert judge(OPEN, EXPECTING, 4000.0) == Wait(600.0)
    assert judge(replace(OPEN, uploads=3), EXPECTING, 1100.0) == Close("3 files; 3 were expected")
    assert judge(replace(OPEN, others=5), EXPECTING, 4600.0).reason == (
        "2 files; waited the maximum of 3600 s; 3 were expected"
    )


def test_what_may_have_completed_it_wakes():
    assert not wakes(OPEN, QUIET)
    assert not wakes(replace(OPEN, marker_at=1.0), MARKED), "its message is under way"
    assert [wakes(replace(OPEN, uploads=n), EXPECTING) for n in (2, 3)] == [False, True]
    listed = replace(OPEN, manifests=named(3))
    assert [wakes(replace(listed, others=n), MARKED) for n in (0, 1)] == [False, True]


@given(
    st.floats(0, 4000), st.floats(0, 4000), st.floats(0, 9000), st.none() | st.floats(0, 4000),
    st.sampled_from([(QUIET, 0), (MARKED, 0), (MARKED, 1), (EXPECTING, 0)]),
)  # fmt: skip
def test_it_waits_a_while_or_closes_and_never_beyond_the_maximum(
    opened, after, now, marker_at, terms
):
    policy, manifests = terms
    delivery = replace(
        OPEN,
        opened_at=opened,
        last_arrival=opened + after,
        marker_at=marker_at,
        manifests=named(*[3] * manifests),
    )
    comparison = compared(missing=["a"]) if manifests else None
    verdict = judge(delivery, policy, now, comparison)
    if isinstance(verdict, Wait):
        assert verdict.seconds > 0
        assert now + verdict.seconds <= opened + policy.max_wait_seconds + 1e-6
    else:
        assert verdict.reason
    end = opened + policy.max_wait_seconds
    assert isinstance(judge(delivery, policy, end, comparison), Close)
