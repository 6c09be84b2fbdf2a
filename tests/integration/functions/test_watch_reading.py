"""What a look reads, once: new files, late ones, those of the version in service."""

import pytest

from tidemill.adapters import watches
from tidemill.errors import NotFoundError, OutOfRoomError
from tidemill.times import iso

from ...stack import LAKE
from ..cloud import client
from .scenes import MODEL, NAME, REF
from .traffic import HOUR, capture, document, hour, look, rows, serve, written

# ── what is read, and what not ───────────────────────────────────────────────


def test_what_was_profiled_is_not_read_again(watched):
    hour(watched, rows())
    planned = watched.invoke("plan_watch", {**MODEL, "watch": "a-9", "asked": True})
    assert planned["parts"] == []


def test_a_late_file_concludes_its_window_again(watched):
    begin = watched.now
    hour(watched, rows(300))
    assert hour(watched, rows(600))["verdict"] == "same"
    capture(watched, rows(300, seed=2, shift=300), at=begin + 1_000, name="late")
    watched.now += HOUR
    assert look(watched, "w-9", asked=False)["verdict"] == "no_traffic"
    assert document(f"windows/{iso(begin)}/comparison.json")["rows"] == 600
    held = watched.stores.watches.read(REF)
    assert [window.rows for window in held.history.windows] == [600, 600, 0]
    assert "distance" in held.history.windows[0].drifted


def test_a_scheduled_look_leaves_the_window_that_goes_on_for_the_next(watched):
    capture(watched, rows(), at=watched.now + 60)
    watched.now += 120
    assert look(watched, "w-1", asked=False)["verdict"] == "no_traffic"
    assert written("windows/") == []
    assert look(watched, "a-1")["verdict"] == "same", "a person sees it at once"
    capture(watched, rows(200, seed=3), at=watched.now + 60, name="b")
    watched.now += HOUR
    look(watched, "w-2", asked=False)
    (window,) = watched.stores.watches.read(REF).history.windows
    assert window.rows == 800


def test_traffic_of_before_the_version_came_is_not_its_own(watched):
    capture(watched, rows(600, shift=900), at=watched.now + 60)
    watched.now += 120
    serve(watched, version=2)
    capture(watched, rows(700), at=watched.now + 60, name="b")
    watched.now += HOUR
    look(watched, "w-2", asked=False)
    held = watched.stores.watches.read(REF)
    assert held.version == 2
    assert [window.rows for window in held.history.windows] == [700]


def test_a_new_version_begins_anew(watched):
    hour(watched, rows(shift=200))
    watched.now += 60
    serve(watched, version=2)
    watched.now -= 60
    assert hour(watched, rows(shift=200))["verdict"] == "suspected"


def test_a_look_of_a_version_that_was_replaced_changes_nothing(watched):
    capture(watched, rows(), at=watched.now + 60)
    watched.now += HOUR
    event = {**MODEL, "watch": "w-1", "asked": False}
    planned = watched.invoke("plan_watch", event)
    serve(watched, version=2)
    watched.now += 60
    capture(watched, rows(), at=watched.now, name="b")
    look(watched, "a-1")
    held = watched.stores.watches.read(REF)
    said = watched.invoke("conclude_watch", {**event, "plan": planned["plan"]})
    assert "version 2 came into service meanwhile" in said["reason"]
    assert watched.stores.watches.read(REF).history == held.history


def test_two_looks_that_profile_the_same_files_count_no_row_twice(watched):
    capture(watched, rows(300), at=watched.now + 60)
    watched.now += 120
    one, other = ({**MODEL, "watch": name, "asked": True} for name in ("a-1", "a-2"))
    first = watched.invoke("plan_watch", one)
    capture(watched, rows(300, seed=2), at=watched.now, name="b")
    second = watched.invoke("plan_watch", other)  # it has both files, the first only one
    for planned in (first, second):
        for part in planned["parts"]:
            watched.invoke("profile_traffic", {"plan": part["plan"]})
    assert watched.invoke("conclude_watch", {**other, "plan": second["plan"]})["verdict"] == "same"
    watched.invoke("conclude_watch", {**one, "plan": first["plan"]})
    (window,) = watched.stores.watches.read(REF).history.windows
    assert window.rows == 600


def test_an_event_that_is_captured_again_in_a_later_file_counts_once(watched):
    begin = watched.now
    same = rows(600)
    capture(watched, same, at=begin + 60, name="a", events="e")
    watched.now += 120
    look(watched, "a-1")
    capture(watched, [*same, *rows(100, seed=2)], at=begin + 180, name="b", events="e")
    watched.now = begin + HOUR
    assert look(watched, "w-1", asked=False)["verdict"] == "same"
    (window,) = watched.stores.watches.read(REF).history.windows
    assert window.rows == 700
    traffic = document(f"windows/{iso(begin)}/traffic.json")
    assert traffic["unreadable"]["duplicate"]["lines"] == 6
    assert traffic["counted_twice"] == 0


def test_a_look_that_another_overtakes_concludes_anew(watched, monkeypatch):
    """Both have seen drift in the same windows; one finding is told."""
    hour(watched, rows(shift=200))
    capture(watched, rows(shift=200), at=watched.now + 60)
    watched.now += HOUR
    event = {**MODEL, "watch": "w-2", "asked": False}
    planned = watched.invoke("plan_watch", event)
    for part in planned["parts"]:
        watched.invoke("profile_traffic", {"plan": part["plan"]})
    write = watches.write_unless_changed

    def overtaken(*arguments, **named):
        monkeypatch.setattr(watches, "write_unless_changed", write)
        with watched.somebody_else():
            other = {**event, "watch": "a-1", "asked": True, "plan": planned["plan"]}
            watched.invoke("conclude_watch", other)
        return write(*arguments, **named)

    monkeypatch.setattr(watches, "write_unless_changed", overtaken)
    said = watched.invoke("conclude_watch", {**event, "plan": planned["plan"]})
    assert said["verdict"] == "drifted", "the other one has told it"
    assert len(watched.entries(REF, "finding")) == 1


def test_lines_that_cannot_be_read_are_counted_and_named(watched):
    begin = watched.now
    capture(watched, [], at=begin + 60, body=b'{"captureData": {}\nnonsense\n')
    said = hour(watched, rows(600))
    assert said["verdict"] == "same"
    traffic = document(f"windows/{iso(begin)}/traffic.json")
    assert sum(one["lines"] for one in traffic["unreadable"].values()) == 2


def test_a_window_whose_files_hold_no_row_has_no_traffic(watched):
    capture(watched, [], at=watched.now + 60, body=b"nonsense\n")
    assert hour(watched, [])["verdict"] == "no_traffic"


# ── parts ────────────────────────────────────────────────────────────────────


def test_a_part_for_which_time_is_short_goes_on_elsewhere(watched):
    capture(watched, rows(), at=watched.now + 60)
    planned = watched.invoke("plan_watch", {**MODEL, "watch": "a-1", "asked": True})
    (part,) = planned["parts"]
    assert part["small"]
    assert part["job"]["ProcessingJobName"].startswith(f"{NAME}--watch--a-1")
    watched.millis_left = 10_000
    with pytest.raises(OutOfRoomError, match="1 of 1 windows are left"):
        watched.invoke("profile_traffic", {"plan": part["plan"]})


def test_a_file_that_was_deleted_has_no_rows(watched):
    key = capture(watched, rows(), at=watched.now + 60)
    planned = watched.invoke("plan_watch", {**MODEL, "watch": "a-1", "asked": True})
    for version in client("s3").list_object_versions(Bucket=LAKE, Prefix=key)["Versions"]:
        client("s3").delete_object(Bucket=LAKE, Key=key, VersionId=version["VersionId"])
    watched.invoke("profile_traffic", {"plan": planned["parts"][0]["plan"]})
    event = {**MODEL, "watch": "a-1", "asked": True, "plan": planned["plan"]}
    assert watched.invoke("conclude_watch", event)["verdict"] == "no_traffic"


def test_plans_that_are_gone_are_said(watched):
    gone = f"s3://{LAKE}/watch/{REF}/plans/x/plan.json"
    with pytest.raises(NotFoundError, match="plans anew"):
        watched.invoke("profile_traffic", {"plan": gone})
    event = {**MODEL, "watch": "a-1", "asked": True, "plan": gone}
    with pytest.raises(NotFoundError, match="watch again"):
        watched.invoke("conclude_watch", event)


def test_a_model_without_a_version_in_service_has_no_traffic(cloud, spec):
    cloud.apply(spec)
    with pytest.raises(NotFoundError, match="no version of flights/delay is in service"):
        cloud.invoke("plan_watch", {**MODEL, "watch": "a-1", "asked": True})
