from dataclasses import replace

import pytest

from tidemill.domain.admission import ObjectVersion, misplaced, repeated
from tidemill.domain.placement import OWN_ZONES, place

VERSION = ObjectVersion("lake", "raw/flights/delay/a.csv", "v2", "e1", 10, 2.0, "0B")


def test_equal_bytes_of_one_key_are_a_duplicate():
    verdict = repeated(VERSION, replace(VERSION, version_id="v1", uploaded=1.0))
    assert (verdict.name, "not used twice" in verdict.reason) == ("duplicate", True)


@pytest.mark.parametrize("difference", [{"etag": "e2"}, {"size": 11}])
def test_other_bytes_are_none(difference):
    assert repeated(VERSION, replace(VERSION, **difference)) is None


def test_the_first_version_repeats_nothing():
    assert repeated(VERSION, None) is None


def test_a_version_says_where_it_lies():
    assert VERSION.uri == "s3://lake/raw/flights/delay/a.csv"


@pytest.mark.parametrize("zone", OWN_ZONES)
def test_what_tidemill_writes_starts_nothing(zone):
    key = f"{zone}/flights/delay/a.csv"
    verdict = misplaced(key, place(key))
    assert verdict.name == "ignore"
    assert "written by Tidemill itself" in verdict.reason
    assert not verdict.next_step


def test_an_upload_outside_every_prefix_is_told_where_to_go():
    verdict = misplaced("a.csv", None)
    assert (verdict.name, "tidemill upload" in verdict.next_step) == ("ignore", True)


def test_an_upload_of_an_unknown_model_is_told_that_it_waits():
    verdict = misplaced(VERSION.key, place(VERSION.key))
    assert verdict.reason == "there is no model flights/delay"
    assert "tidemill apply" in verdict.next_step
