from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.delivery import (
    MARKER_GRACE_SECONDS,
    Close,
    OpenDelivery,
    Wait,
    judge,
    manifest_names,
)
from tidemill.spec.compiled import Delivery

QUIET = Delivery(quiet_seconds=30, max_wait_seconds=3600, marker=None)
MARKED = replace(QUIET, marker="_SUCCESS")
OPEN = OpenDelivery(
    id="d-1", revision=3, opened_at=1000.0, last_arrival=1100.0, uploads=2, bytes=20,
    marker_at=None, expected=None, names=frozenset(),
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


def test_a_manifest_closes_it_when_all_have_arrived():
    listed = replace(OPEN, marker_at=1100.0, expected=("a", "b"), names=frozenset({"a"}))
    assert judge(listed, MARKED, 1100.0) == Wait(3500.0)
    whole = replace(listed, names=frozenset({"a", "b", "c"}))
    assert judge(whole, MARKED, 1100.0) == Close(
        "2 files; _SUCCESS lists them and all have arrived"
    )


def test_a_manifest_of_nothing_is_complete():
    assert isinstance(judge(replace(OPEN, expected=()), MARKED, 1100.0), Close)


def test_what_a_manifest_still_misses_is_named_and_not_at_length():
    listed = replace(OPEN, expected=tuple("hgfedcba"), names=frozenset("a"))
    reason = judge(listed, MARKED, 4600.0).reason
    assert reason.endswith("maximum of 3600 s; _SUCCESS also names b, c, d, e, f")


@given(
    st.floats(0, 4000), st.floats(0, 4000), st.floats(0, 9000), st.none() | st.floats(0, 4000),
    st.sampled_from([(QUIET, None), (MARKED, None), (MARKED, ("x",))]),
)  # fmt: skip
def test_it_waits_a_while_or_closes_and_never_beyond_the_maximum(
    opened, after, now, marker_at, terms
):
    policy, expected = terms
    delivery = replace(
        OPEN,
        opened_at=opened,
        last_arrival=opened + after,
        marker_at=marker_at,
        expected=expected,
    )
    verdict = judge(delivery, policy, now)
    if isinstance(verdict, Wait):
        assert verdict.seconds > 0
        assert now + verdict.seconds <= opened + policy.max_wait_seconds + 1e-6
    else:
        assert verdict.reason
    assert isinstance(judge(delivery, policy, opened + policy.max_wait_seconds), Close)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_marker_lists_nothing(body):
    assert manifest_names(body) is None


def test_a_manifest_is_a_list_of_names():
    assert manifest_names(b'["a.csv", "x/b.csv"]') == ("a.csv", "x/b.csv")
    assert manifest_names(b"[]") == ()


@pytest.mark.parametrize("body", [b"done", b"{}", b'"a.csv"', b"[1]", b"\xff\xff", b"["])
def test_anything_else_is_refused(body):
    with pytest.raises(ValueError, match="JSON list of file names"):
        manifest_names(body)
