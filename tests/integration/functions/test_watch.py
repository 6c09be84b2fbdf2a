"""A look at an endpoint's traffic: windows, verdicts, and what is told of them."""

from tidemill.times import iso

from .scenes import NAME, REF
from .traffic import DRIFT, HOUR, document, hour, rows, serve, written


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
        "too_few_rows", "1 row; a window takes 500",
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
