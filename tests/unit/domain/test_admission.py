from dataclasses import replace

import pytest

from tidemill.domain.admission import ObjectVersion, catalogued, misplaced, repeated
from tidemill.domain.placement import OWN_ZONES, place
from tidemill.spec.compiled import Data

IMAGES = Data(
    format="csv",
    target="late",
    id=None,
    timestamp=None,
    exclude=(),
    binary=("images/", "sound"),
)
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


@pytest.mark.parametrize("name", ["images/a.png", "images/2026/ä b+c.csv", "sound/a.wav"])
def test_what_lies_in_a_binary_folder_is_catalogued(name):
    verdict = catalogued(place(f"raw/flights/delay/{name}"), IMAGES)
    assert (verdict.name, verdict.catalogued) == ("accept", True)
    assert "not read" in verdict.reason


@pytest.mark.parametrize("name", ["a.csv", "images.csv", "sounds/a.wav", "2026/images/a.png"])
def test_what_lies_elsewhere_is_data(name):
    assert catalogued(place(f"raw/flights/delay/{name}"), IMAGES) is None
