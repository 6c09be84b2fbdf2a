"""A look at an endpoint's traffic: planned, profiled, concluded, told."""

import json

import pytest

from tidemill.adapters import watches
from tidemill.adapters.watching import Rounds, Watching
from tidemill.adapters.workflows import Workflows
from tidemill.errors import InvalidInputError, NotFoundError, OutOfRoomError
from tidemill.times import iso

from ...stack import ARNS, LAKE, REFS
from ..cloud import client
from .scenes import MODEL, NAME, REF
from .traffic import HOUR, capture, document, hour, look, rows, serve, written

FIRED = {**MODEL, "at": "2026-11-20T10:02:00Z"}
DRIFT = {"minimum_rows": 500, "windows": 2, "of": 3, "cooldown_seconds": 0, "per_week": 100}


@pytest.fixture
def watched(cloud, make_spec):
    """Return a cloud with an endpoint in service since the full hour, and a watch each hour."""
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud)
    return cloud


# ── windows and their verdicts ───────────────────────────────────────────────


def test_traffic_like_the_baseline_is_the_same(watched):
    begin = watched.now
    said = hour(watched, rows())
    assert said == {"verdict": "same", "reason": "600 rows; no feature drifted", "drifted": []}
    window = f"windows/{iso(begin)}"
    assert written(window) == [
        "/comparison.json", "/constraint_violations.json", "/profile.json.gz", "/report.html",
        "/statistics.json", "/traffic.json", "/triage.json",
    ]  # fmt: skip
    assert document(f"{window}/constraint_violations.json") == {"violations": []}
    assert document(f"{window}/statistics.json")["dataset"] == {"item_count": 600}
    assert document(f"{window}/traffic.json")["rows"] == 600
    assert len(written(f"predictions/{iso(begin)}/")) == 1
    (entry,) = watched.entries(REF, "watch")
    assert (entry["subject"], entry["verdict"]) == ("version 1", "same")


def test_what_a_window_breaks_is_written_as_model_monitor_writes_it(watched):
    begin = watched.now
    hour(watched, rows(shift=200))

    found = document(f"windows/{iso(begin)}/constraint_violations.json")["violations"]
    assert [(one["feature_name"], one["constraint_check_type"]) for one in found] == [
        ("distance", "baseline_drift_check")
    ]
    assert found[0]["description"]
    statistics = document(f"windows/{iso(begin)}/statistics.json")
    assert statistics["dataset"] == {"item_count": 600}
    named = [feature["name"] for feature in statistics["features"]]
    assert named == ["distance", "carrier", "prediction"]


def test_a_category_whose_cells_look_like_numbers_is_one_in_traffic_too(cloud, make_spec):
    codes = ("10115", "20095")  # as postal codes do, or airlines that count
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud, carriers=codes)

    assert hour(cloud, rows(carriers=codes))["verdict"] == "same"
    assert hour(cloud, rows(carriers=("10115",)))["verdict"] == "suspected"


def test_no_traffic_and_one_row_are_verdicts(watched):
    assert hour(watched, [])["verdict"] == "no_traffic"
    said = hour(watched, rows(1))
    assert (said["verdict"], said["reason"]) == (
        "too_few_rows", "1 row, too few: a window takes 500",
    )  # fmt: skip
    assert [entry["verdict"] for entry in watched.entries(REF, "watch")] == [
        "no_traffic", "too_few_rows",
    ]  # fmt: skip


def test_a_shift_in_enough_windows_is_told_once(watched):
    assert hour(watched, rows(shift=200))["verdict"] == "suspected"
    said = hour(watched, rows(shift=200))
    assert (said["verdict"], said["drifted"]) == ("found", ["distance"])
    assert hour(watched, rows(shift=200))["verdict"] == "drifted"
    (entry,) = watched.entries(REF, "finding")
    assert (entry["subject"], entry["verdict"]) == ("distance", "shift")
    assert entry["reason"].startswith("distance drifted: distance by 0.")
    assert watched.stores.watches.read(REF).unsaid == ()


def test_a_finding_is_told_on_the_bus(watched):
    hour(watched, rows(shift=200))
    hour(watched, rows(shift=200))
    ((kind, detail),) = watched.events()
    assert kind == "Drift Found"
    assert (detail["feature"], detail["retrain"]) == ("distance", True)
    assert detail["window"] == iso(watched.now - HOUR)


def test_a_broken_upstream_is_for_people_and_starts_nothing(watched):
    hour(watched, rows(gaps=0.7))
    said = hour(watched, rows(gaps=0.7, seed=2))
    assert (said["verdict"], said["drifted"]) == ("found", ["distance"])
    ((kind, detail),) = watched.events()
    assert (kind, detail["feature"]) == ("Upstream Broken", "distance")
    (entry,) = watched.entries(REF, "finding")
    assert entry["verdict"] == "broken_upstream"
    assert entry["reason"].endswith("the upstream looks broken")
    window = f"windows/{iso(watched.now - HOUR)}"
    assert document(f"{window}/triage.json")["kind"] == "broken_upstream"
    (violation,) = document(f"{window}/constraint_violations.json")["violations"]
    assert violation["constraint_check_type"] == "completeness_check"


def test_once_the_upstream_is_mended_a_shift_behind_it_is_told(watched):
    carriers = ("AA", "UA", "DL", "DL")
    for seed in (1, 2):
        hour(watched, rows(gaps=0.7, seed=seed, carriers=carriers))
    hour(watched, rows(seed=3, carriers=carriers))
    told = [(entry["subject"], entry["verdict"]) for entry in watched.entries(REF, "finding")]
    assert told == [("distance", "broken_upstream"), ("carrier", "shift")]


def test_hashes_are_not_compared_with_values(cloud, make_spec):
    redact = {"distance": "hash"}
    cloud.apply(make_spec(watch={"drift": DRIFT, "capture": {"percent": 100, "redact": redact}}))
    serve(cloud)
    for _ in range(2):
        hashed = [{**row, "distance": f"h{n:016x}"} for n, row in enumerate(rows())]
        assert hour(cloud, hashed)["verdict"] == "same"


def test_metrics_are_put_as_model_monitor_names_them(watched):
    hour(watched, rows(shift=200))
    (put,) = [request for _, operation, request in watched.calls if operation == "PutMetricData"]
    assert put["Namespace"] == "aws/sagemaker/Endpoints/data-metrics"
    names = {datum["MetricName"] for datum in put["MetricData"]}
    assert {
        "rows", "drifted_features", "baseline_drift_max", "feature_baseline_drift_distance",
        "feature_data_distance", "feature_non_null_carrier", "feature_baseline_drift_prediction",
    } <= names  # fmt: skip
    assert put["MetricData"][0]["Dimensions"] == [
        {"Name": "Endpoint", "Value": NAME},
        {"Name": "MonitoringSchedule", "Value": f"{NAME}--watch"},
    ]


def test_a_version_without_a_baseline_is_said(cloud, make_spec):
    cloud.apply(make_spec(watch={"drift": DRIFT}))
    serve(cloud, baseline=False)
    said = hour(cloud, rows())
    assert said["verdict"] == "no_baseline"
    assert "version 1 was registered before versions had a baseline" in said["reason"]
    assert written("windows/") != [], "it is profiled all the same"


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


# ── what starts a look ───────────────────────────────────────────────────────


def put_in_force(cloud, spec):
    cloud.invoke("apply_model", {"spec": json.loads(spec.to_json()), "digest": spec.digest})
    return cloud.facts()["schedules"]


def test_an_apply_makes_the_schedule_of_the_watch_and_changes_it(cloud, make_spec):
    (made,) = put_in_force(cloud, make_spec())
    assert made["Name"] == f"{NAME}--watch"
    assert made["ScheduleExpression"] == "rate(60 minutes)"
    assert made["StartDate"].timestamp() == cloud.now + HOUR + 120, "a little after the next window"
    target = made["Target"]
    assert target["Arn"] == ARNS["StartWatchFunction"]
    assert json.loads(target["Input"]) == {**MODEL, "at": "<aws.scheduler.scheduled-time>"}
    cloud.now += 1_800
    put_in_force(cloud, make_spec(delivery__quiet_seconds=9))
    assert not [call for call in cloud.calls if call[1] == "UpdateSchedule"]
    (changed,) = put_in_force(cloud, make_spec(watch={"every_seconds": 86_400}))
    assert changed["ScheduleExpression"] == "rate(1440 minutes)"
    assert put_in_force(cloud, make_spec(watch={"every_seconds": 0})) == []


def test_a_deleted_model_s_watch_is_forgotten(watched):
    hour(watched, rows(shift=200))
    watched.invoke("delete_model", {**MODEL, "why": "not used"})
    assert watched.stores.state.get(REF, "watch") is None


# ── the sweep ────────────────────────────────────────────────────────────────


@pytest.fixture
def watching(watched):
    machine = Workflows(client("stepfunctions"), REFS["Watch"])
    return Watching(watched.stores, machine)


def test_the_sweep_leaves_alone_what_is_in_order(watched, watching):
    watched.invoke("start_watch", FIRED)
    assert watching.sweep(watched.now + 900) == Rounds()
    assert len(watched.workflows.of("watch")) == 1


def test_the_sweep_starts_a_look_that_was_missed(watched, watching):
    hour(watched, rows())
    assert watching.sweep(watched.now + HOUR + 899) == Rounds()
    late = watched.now + HOUR + 900
    assert watching.sweep(late) == Rounds(mended=1)
    assert watching.sweep(late + 300) == Rounds(), "it goes on"


def test_the_sweep_records_a_look_that_died_and_tries_again(watched, watching):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "ABORTED", cause="a test")
    assert watching.sweep(watched.now) == Rounds(mended=1)
    (entry,) = watched.entries(REF, "watch")
    assert (entry["verdict"], entry["reason"]) == ("failed", "stopped by hand: a test")
    assert watching.sweep(watched.now + 59) == Rounds()
    assert watching.sweep(watched.now + 60) == Rounds(mended=1)
    assert set(watched.workflows.of("watch")) == {name, f"{name}-r1"}


def test_the_sweep_starts_what_was_only_noted(watched, watching):
    watched.invoke("request_watch", {**MODEL, "id": "0a"})
    (arn,) = watched.workflows.executions
    noted = watched.workflows.executions.pop(arn)
    assert watching.sweep(watched.now + 59) == Rounds()
    assert watching.sweep(watched.now + 61) == Rounds(mended=1)
    assert watched.workflows.executions[arn]["input"] == noted["input"]


def test_the_sweep_forgets_a_look_that_was_noted_after_its_end(watched, watching):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "SUCCEEDED")
    assert watching.sweep(watched.now) == Rounds(mended=1)
    assert watched.stores.watches.read(REF).begun == {}


def test_the_sweep_counts_watches_that_stopped_and_endpoints_that_nobody_asks(watched, watching):
    for _ in range(3):
        hour(watched, [])
    assert watching.sweep(watched.now) == Rounds(silent=1)
    assert watching.sweep(watched.now + 2 * HOUR + 1_800).stopped == 1
    hour(watched, rows())
    assert watching.sweep(watched.now) == Rounds()


def test_what_one_watch_breaks_does_not_keep_the_others(watched, watching, make_spec, monkeypatch):
    watched.apply(make_spec(model="cancel"))
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "ABORTED")
    read = watched.stores.watches.read

    def broken(ref):
        if ref == "flights/cancel":
            raise ConnectionError("no")
        return read(ref)

    monkeypatch.setattr(watched.stores.watches, "read", broken)
    with pytest.raises(ExceptionGroup, match="1 watches could not be swept"):
        watching.sweep(watched.now)
    assert len(watched.entries(REF, "watch")) == 1


def test_an_execution_that_could_not_say_how_it_ended_is_settled(watched, sample):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    watched.workflows.end("watch", name, "TIMED_OUT")
    event = sample("check_aborted")
    event["detail"] |= {
        "stateMachineArn": REFS["Watch"],
        "name": name,
        "status": "TIMED_OUT",
        "input": json.dumps({**MODEL, "watch": name, "asked": False}),
    }
    watched.invoke("settle_execution", event)
    (entry,) = watched.entries(REF, "watch")
    assert entry["reason"] == "the workflow did not end within its time limit"


def test_a_schedule_starts_the_look_of_its_window_once(watched):
    for _ in range(2):
        watched.invoke("start_watch", FIRED)
    name = "flights--delay--w-20261120t100000"
    assert watched.workflows.of("watch") == {name: {**MODEL, "watch": name, "asked": False}}
    assert set(watched.stores.watches.read(REF).begun) == {name}


def test_without_an_endpoint_or_a_watch_nothing_starts(cloud, make_spec):
    cloud.invoke("start_watch", FIRED)
    cloud.apply(make_spec())
    cloud.invoke("start_watch", FIRED)
    serve(cloud)
    cloud.apply(make_spec(watch={"every_seconds": 0}))
    cloud.invoke("start_watch", FIRED)
    assert cloud.workflows.of("watch") == {}


def test_a_person_s_look_is_started_once_per_request(watched):
    for _ in range(2):
        answer = watched.invoke("request_watch", {**MODEL, "id": "0a1b"})
    assert answer == {"watch": "flights--delay--a-0a1b"}
    ((_, document),) = watched.workflows.of("watch").items()
    assert document["asked"] is True


def test_a_person_is_told_why_there_is_nothing_to_look_at(cloud, make_spec):
    with pytest.raises(NotFoundError, match="there is no model"):
        cloud.invoke("request_watch", MODEL)
    cloud.apply(make_spec())
    with pytest.raises(InvalidInputError, match="no version of flights/delay is in service"):
        cloud.invoke("request_watch", MODEL)
    serve(cloud)
    cloud.apply(make_spec(watch={"capture": {"percent": 0}}))
    with pytest.raises(InvalidInputError, match=r"watch\.capture\.percent is 0"):
        cloud.invoke("request_watch", MODEL)


# ── failing and dying ────────────────────────────────────────────────────────


def failed(cloud, watch):
    failure = {"state": "PlanWatch", "error": "KeyError", "cause": '{"errorMessage": "no"}'}
    event = {**MODEL, "watch": watch, "asked": False, "failure": failure}
    return cloud.invoke("close_watch", event)


def test_a_failure_is_recorded_once_and_tried_again_before_its_time(watched):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    assert failed(watched, name) == {"reason": "PlanWatch: no"}
    failed(watched, name)
    (entry,) = watched.entries(REF, "watch")
    assert (entry["verdict"], entry["reason"]) == ("failed", "PlanWatch: no")
    held = watched.stores.watches.read(REF)
    assert (held.stands, held.failures, held.again_at) == ("failed", 1, watched.now + 60)


def test_a_failure_after_the_windows_were_concluded_is_recorded_too(watched):
    watched.invoke("start_watch", FIRED)
    (name,) = watched.workflows.of("watch")
    look(watched, name, asked=False)
    failed(watched, name)
    failed(watched, name)
    verdicts = [entry["verdict"] for entry in watched.entries(REF, "watch")]
    assert sorted(verdicts) == ["failed", "no_traffic"]
    held = watched.stores.watches.read(REF)
    assert (held.stands, held.failures) == ("failed", 1)


def test_an_endpoint_s_look_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        hour(cloud, rows(shift=200))
        capture(cloud, rows(shift=200), at=cloud.now + 60)
        cloud.now += HOUR
        event = {**MODEL, "watch": "w-2", "asked": False}
        planned = cloud.invoke("plan_watch", event)
        for part in planned["parts"]:
            cloud.invoke("profile_traffic", {"plan": part["plan"]})
        return {**event, "plan": planned["plan"]}

    survives("conclude_watch", prepare, same_answer=False)


@pytest.mark.parametrize("name", ["start_watch", "request_watch", "close_watch"])
def test_starting_and_closing_may_die_anywhere(survives, make_spec, name):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        if name != "close_watch":
            return {**FIRED, "id": "0a"}
        cloud.invoke("start_watch", FIRED)
        (watch,) = cloud.workflows.of("watch")
        failure = {"state": "PlanWatch", "error": "KeyError"}
        return {**MODEL, "watch": watch, "asked": False, "failure": failure}

    survives(name, prepare)


@pytest.mark.parametrize("name", ["plan_watch", "profile_traffic"])
def test_reading_may_die_anywhere(survives, make_spec, name):
    def prepare(cloud):
        cloud.apply(make_spec(watch={"drift": DRIFT}))
        serve(cloud)
        capture(cloud, rows(200), at=cloud.now + 60)
        event = {**MODEL, "watch": "a-1", "asked": True}
        if name == "plan_watch":
            return event
        return {"plan": cloud.invoke("plan_watch", event)["parts"][0]["plan"]}

    survives(name, prepare)
