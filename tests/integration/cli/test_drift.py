"""`drift`: what the watch found, told to people and to scripts; and what `why` makes of it."""

from pathlib import Path

import click
import pytest

from tidemill.times import iso

from ..functions.traffic import HOUR, hour, moved, rows, serve
from .conftest import REF

DRIFT = {"minimum_rows": 500, "windows": 2, "of": 3, "cooldown_seconds": 3 * 86_400, "per_week": 2}


@pytest.fixture
def watched(cloud, make_spec):
    """An endpoint that is in service, and watched each hour, since the full hour a day ago."""
    cloud.now = cloud.now // HOUR * HOUR - 24 * HOUR
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud)
    return cloud


@pytest.fixture
def hours(watched):
    """Have hours pass with that traffic in each."""

    def act(*traffic):
        for some in traffic:
            hour(watched, some)

    return act


@pytest.fixture
def opened(monkeypatch):
    """The pages that a browser was asked for."""
    pages = []
    monkeypatch.setattr(click, "launch", lambda page: pages.append(page) or 0)
    return pages


def test_traffic_like_the_baseline_has_no_drift(run, hours):
    hours(rows())

    answer = run("drift", REF)

    assert answer.exit_code == 0
    assert answer.stdout.startswith("flights/delay version 1: no drift\n  600 rows; no feature")
    assert "the same" in answer.stdout
    assert "the report: s3://" in answer.stderr
    assert "tidemill drift flights/delay --open" in answer.stderr


def test_a_finding_is_told_with_its_windows_and_features(run, hours):
    hours(rows(), rows(10), [], moved(), moved())

    printed = run("drift", REF).stdout

    assert "flights/delay version 1: drift was found" in printed
    assert "shift told" in printed
    assert "the next shift is told from" in printed, "a cooldown"
    told = [line.split("  ", 1)[1].strip() for line in printed.splitlines() if "  " in line]
    windows = [line for line in told if line.split("  ")[0] in ("600", "10", "0")]
    assert "drifted: distance 0." in windows[0], "the newest first"
    assert [line.split("  ", 1)[1].strip() for line in windows[2:]] == [
        "no traffic", "too few rows: it takes 500", "the same",
    ]  # fmt: skip
    features = printed[printed.index("FEATURE") :].splitlines()
    assert features[1].split()[:2] == ["distance", "drifted"], "the farthest first"
    assert "0.1" in features[1]


def test_drift_as_json(document, documented, watched, hours):
    hours(rows(), moved(), moved())

    told = document("drift", REF)

    assert tuple(told) == documented("drift")
    assert tuple(told["windows"][0]) == documented("drift", "windows")
    assert tuple(told["findings"][0]) == documented("drift", "findings")
    assert (told["verdict"], told["version"], told["stands"]) == ("found", 1, "looked")
    assert [one["counts"] for one in told["windows"]] == [True, True, True]
    assert told["features"][0]["feature"] == "distance"
    assert set(told["held"]) == {"shift"}
    assert told["held"]["shift"]["until"] == iso(watched.now + 72 * HOUR)
    assert told["report"] == told["comparison"].replace("comparison.json", "report.html")
    assert told["opened"] is None


def test_a_missing_share_that_changed_is_in_the_table(run, hours):
    hours(rows(gaps=0.4))

    printed = run("drift", REF).stdout

    assert "0% → " in printed


def test_the_report_is_opened_as_a_copy(run, document, hours, opened):
    hours(moved())

    answer = run("drift", REF, "--open")

    (page,) = opened
    assert f"opening {page}" in answer.stderr
    assert "flights/delay: perhaps drift" in Path(page).read_text()
    assert document("drift", REF, "--open")["opened"] == opened[1]


def test_the_newest_report_is_found_behind_windows_without_traffic(document, watched, hours):
    begin = watched.now
    hours(rows(), [], [])

    told = document("drift", REF)

    assert told["verdict"] == "no_traffic"
    assert f"/windows/{iso(begin)}/report.html" in told["report"]


def test_without_a_report_there_is_none_to_open(run, hours, opened):
    hours([])

    answer = run("drift", REF, "--open")

    assert answer.exit_code == 1
    assert "there is no report of flights/delay yet" in answer.stderr
    assert opened == []
    assert "no traffic" in run("drift", REF).stdout


def test_a_watch_that_never_looked_is_said(run, watched):
    answer = run("drift", REF)

    assert answer.exit_code == 1
    assert "nobody has looked at flights/delay's traffic yet" in answer.stderr
    assert "tidemill watch flights/delay" in answer.stderr


def test_a_model_that_is_not_there_is_malformed(run, cloud):
    assert run("drift", "flights/none").exit_code == 2


def test_a_look_that_failed_is_said(run, watched, hours):
    hours(rows())
    name = watched.invoke("request_watch", {"project": "flights", "model": "delay", "id": "0a"})
    failure = {"state": "PlanWatch", "error": "KeyError", "cause": '{"errorMessage": "no"}'}
    event = {"project": "flights", "model": "delay", "asked": True, "failure": failure}
    watched.invoke("close_watch", {**event, "watch": name["watch"]})

    assert "the last look failed; tried again" in run("drift", REF).stdout


def test_why_tells_a_finding_once_and_what_is_held_back(run, document, hours, watched):
    hours(moved(), moved(), rows(), moved(), moved())

    story = run("why", REF).stdout

    assert story.count("was found to have drifted") == 1
    assert "The traffic of version 1 has drifted: " not in story, "the finding says it"
    assert "→ tidemill drift flights/delay --open" in story
    last = document("why", REF)[-1]
    assert (last["kind"], last["verdict"], last["now"]) == ("watch", "held", True)
    assert last["until"] is not None
    assert "has drifted, which is not told yet" in story.splitlines()[-2]


def test_why_names_what_is_broken_until_it_is_mended(run, document, hours):
    hours(rows(gaps=0.5), rows(gaps=0.5))

    last = document("why", REF)[-1]

    assert (last["verdict"], last["now"]) == ("broken_upstream", True)
    assert "nothing is trained on it until that is mended" in last["reason"]
    assert "looks broken upstream: distance: " in run("why", REF).stdout
    hours(rows(), rows())
    assert document("why", REF)[-1]["verdict"] != "broken_upstream"
