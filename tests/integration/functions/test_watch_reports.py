"""The pages of windows: written when they are concluded, and anew when they are again."""

import pytest

from tidemill.adapters.entries import Entry
from tidemill.times import iso

from ...stack import LAKE
from ..cloud import client
from .scenes import MODEL, REF, queued
from .traffic import HOUR, capture, hour, moved, page, rows, serve, written

DRIFT = {"minimum_rows": 500, "windows": 2, "of": 3, "cooldown_seconds": 0, "per_week": 100}


@pytest.fixture
def watched(cloud, make_spec):
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud)
    return cloud


def newest(cloud):
    return page(iso(cloud.now - HOUR))


def test_every_window_that_is_concluded_has_a_page(watched):
    hour(watched, rows())
    assert "flights/delay: no drift" in newest(watched)
    hour(watched, moved())
    assert "flights/delay: perhaps drift" in newest(watched)
    hour(watched, moved())
    found = newest(watched)
    assert "flights/delay: drift was found" in found
    assert "distance drifted: distance by 0." in found
    assert "From window to window" in found
    assert iso(watched.now - 3 * HOUR)[:10] in found
    hour(watched, moved())
    assert "flights/delay: still drifted" in newest(watched)


def test_a_window_with_late_files_is_told_by_itself(watched):
    begin = watched.now
    hour(watched, rows(600))
    hour(watched, rows(600))
    capture(watched, moved(seed=2), at=begin + 1_000, name="late")
    hour(watched, rows(600))

    assert "1,200 rows, with files that came late; 1 drifted in this window" in page(iso(begin))
    assert "flights/delay: no drift" in newest(watched)

    capture(watched, rows(600, seed=3), at=begin + HOUR + 1_000, name="later")
    hour(watched, [])
    assert "1,200 rows, with files that came late; no feature drifted" in page(iso(begin + HOUR))


def test_a_window_of_few_rows_with_late_files_says_so(watched):
    begin = watched.now
    hour(watched, rows(100))
    hour(watched, rows(600))
    capture(watched, rows(1), at=begin + 1_000, name="late")
    hour(watched, [])

    assert "101 rows, with files that came late: a window takes 500" in page(iso(begin))


def test_without_traffic_or_a_baseline_there_is_no_page(cloud, make_spec):
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud, baseline=False)
    hour(cloud, rows())
    hour(cloud, [])

    assert not [name for name in written("windows/") if name.endswith("report.html")]


def test_a_broken_upstream_is_told_as_that_and_nothing_is_trained(watched):
    hour(watched, rows(gaps=0.5))
    hour(watched, rows(gaps=0.5))

    html = newest(watched)
    assert "the data upstream looks broken" in html
    assert "nothing is trained on it" in html
    (entry,) = watched.entries(REF, "finding")
    assert entry["verdict"] == "broken_upstream"
    assert "the upstream looks broken" in entry["reason"]


def test_what_is_held_back_says_until_when(cloud, make_spec):
    held = {**DRIFT, "cooldown_seconds": 86_400}
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": held}))
    serve(cloud)
    for some in (moved(), moved(), rows(), moved(), moved()):
        hour(cloud, some)

    html = newest(cloud)
    assert "drift, not told yet" in html
    told = iso(cloud.now - 3 * HOUR + 86_400)
    assert f"It is told at {told[:10]} {told[11:16]} UTC if it lasts until then." in html


def test_lines_that_could_not_be_read_are_on_the_page(watched):
    capture(watched, [], at=watched.now + 60, body=b"nonsense\n", name="bad")
    hour(watched, rows())

    assert "1 captured line" in newest(watched)


def test_a_window_that_another_release_compared_is_left_out_of_the_course(watched):
    begin = watched.now
    hour(watched, rows())
    key = f"watch/{REF}/windows/{iso(begin)}/comparison.json"
    client("s3").put_object(Bucket=LAKE, Key=key, Body=b'{"version": 99}')
    hour(watched, rows())

    assert "flights/delay: no drift" in newest(watched)
    assert "From window to window" not in newest(watched)


def test_a_version_trained_for_a_finding_is_held_against_it(watched):
    """The wheel's turn: a finding, its run, the version in service, and whether that helped."""
    hour(watched, moved())
    hour(watched, moved())
    ((_, detail),) = watched.events()
    event = {"id": "e-1", "detail-type": "Drift Found", "source": "tidemill"}
    watched.invoke("raise_trigger", {**event, "time": iso(watched.now), "detail": detail})
    watched.invoke("decide_trigger", queued(MODEL))
    (run,) = watched.stores.runs.of(REF)
    facts = {"run": run["run"], "package": "p", "metric": None}
    key, at = "version#2#registered", watched.now
    watched.stores.ledger.append(Entry(REF, key, at, "version", "version 2", "register", "", facts))
    serve(watched, version=2)
    hour(watched, rows())

    html = newest(watched)
    assert "Did the retraining help?" in html
    assert f"since finding {detail['finding']} of version 1" in html
    assert "Of the 1 feature that had drifted then, 1 is now as the version learned it." in html


def test_a_version_of_another_reason_answers_to_no_finding(watched):
    key, facts = "version#1#registered", {"run": "run-gone"}
    watched.stores.ledger.append(
        Entry(REF, key, watched.now, "version", "version 1", "register", "ok", facts)
    )
    hour(watched, rows())

    assert "Did the retraining help?" not in newest(watched)


def test_a_page_that_was_not_written_is_written_by_the_next_attempt(watched):
    capture(watched, rows(), at=watched.now + 600)
    watched.now += HOUR
    event = {**MODEL, "watch": "w-1", "asked": False}
    planned = watched.invoke("plan_watch", event)
    for part in planned["parts"]:
        watched.invoke("profile_traffic", {"plan": part["plan"]})
    watched.invoke("conclude_watch", {**event, "plan": planned["plan"]})
    whole = newest(watched)
    watched.invoke("conclude_watch", {**event, "plan": planned["plan"]})

    assert newest(watched) == whole
