"""Quality of a model in service: joined, judged, told; whatever order things come in."""

import dataclasses
import json

import pytest

from tidemill.adapters import qualities
from tidemill.domain.drift import Told
from tidemill.errors import NotFoundError
from tidemill.times import iso

from ...stack import ARTIFACTS, LAKE
from ..cloud import NOW, client
from . import traffic
from .quality_scenes import EVALUATION, HOUR, SINCE, predict, records, serve, tell
from .quality_scenes import watched as with_floor
from .scenes import MODEL, NAME, REF


@pytest.fixture
def watched(make_spec):
    """Return a maker of specs with a floor; a field of `watch` may be another."""
    return lambda **changes: with_floor(make_spec(), **changes)


def judge(cloud, **how):
    return cloud.invoke("judge_quality", MODEL, **how)


def kept(name="summary.json"):
    body = client("s3").get_object(Bucket=LAKE, Key=f"watch/{REF}/quality/{name}")["Body"].read()
    return json.loads(body)


def metrics(cloud):
    return [
        (one["MetricName"], one["Value"])
        for _, operation, request in cloud.calls
        if operation == "PutMetricData"
        for one in request["MetricData"]
    ]


def test_a_model_that_is_good_enough(cloud, watched):
    serve(cloud, watched())
    predict(0)
    predict(1, rows=5)
    tell(cloud, 0, right=4)
    answer = judge(cloud)
    assert answer == {
        "verdict": "reached",
        "reason": "accuracy is 1 on 4 rows, not below the floor of 0.7",
    }
    summary = kept()
    counts = summary["counts"]
    assert (counts["predictions"], counts["joined"], counts["waiting"]) == (9, 4, 5)
    assert summary["evaluated"] == 0.93
    assert summary["decision"]["verdict"] == "reached"
    (point,) = summary["points"]
    assert (point["start"], point["value"]) == (SINCE, 1.0)
    assert metrics(cloud) == [("accuracy", 1.0)]
    (put,) = [r for _, operation, r in cloud.calls if operation == "PutMetricData"]
    assert put["Namespace"] == "aws/sagemaker/Endpoints/model-metrics"
    assert put["MetricData"][0]["Dimensions"] == [
        {"Name": "Endpoint", "Value": NAME},
        {"Name": "MonitoringSchedule", "Value": f"{NAME}--watch"},
    ]
    (entry,) = cloud.entries(REF, "quality")
    assert (entry["verdict"], entry["subject"]) == ("reached", "version 3")


def test_model_monitors_files_lie_beside_each_point(cloud, watched):
    serve(cloud, watched())
    predict(0)
    tell(cloud, 0, right=1)
    judge(cloud)
    statistics = kept(f"{iso(SINCE)}/statistics.json")
    assert statistics["binary_classification_metrics"]["accuracy"]["value"] == 0.25
    limits = kept(f"{iso(SINCE)}/constraints.json")["binary_classification_constraints"]
    assert limits["accuracy"] == {"threshold": 0.7, "comparison_operator": "LessThanThreshold"}
    (violation,) = kept(f"{iso(SINCE)}/constraint_violations.json")["violations"]
    assert violation["metric_name"] == "accuracy"


def test_below_the_floor_often_enough_is_found_and_told_once(cloud, watched):
    serve(cloud, watched())
    for hour in (0, 1):
        predict(hour)
    tell(cloud, 0, right=1)
    assert judge(cloud)["verdict"] == "suspected"
    assert not cloud.events()
    tell(cloud, 1, right=2)
    answer = judge(cloud)
    assert answer["verdict"] == "found"
    assert answer["reason"].endswith("below it in 2 of the last 2 points")
    ((kind, event),) = cloud.events()
    assert kind == "Drift Found"
    assert (event["feature"], event["window"]) == ("quality", iso(SINCE + HOUR))
    assert (event["reason"], event["retrain"]) == (answer["reason"], True)
    (finding,) = cloud.entries(REF, "finding")
    assert finding["entry"] == f"finding#{event['finding']}"

    predict(2)
    tell(cloud, 2, right=0)
    assert judge(cloud)["verdict"] == "below"
    assert not cloud.events()
    assert len(cloud.entries(REF, "finding")) == 1
    assert [e["verdict"] for e in cloud.entries(REF, "quality")] == ["suspected", "below"]


def test_the_finding_raises_a_trigger(cloud, watched):
    serve(cloud, watched())
    for hour in (0, 1):
        predict(hour)
        tell(cloud, hour, right=0)
    judge(cloud)
    ((kind, event),) = cloud.events()
    event = {"detail-type": kind, "time": iso(cloud.now), "detail": event}
    cloud.invoke("raise_trigger", event)
    (trigger,) = cloud.entries(REF, "trigger")
    assert trigger["reason"].startswith("drift was found: accuracy is 0")


def test_findings_that_are_for_people_say_so(cloud, watched):
    settings = dataclasses.replace(watched().watch.drift, retrain=False)
    serve(cloud, watched(drift=settings))
    for hour in (0, 1):
        predict(hour)
        tell(cloud, hour, right=0)
    judge(cloud)
    ((_, event),) = cloud.events()
    assert event["retrain"] is False


def test_a_finding_about_drift_holds_it_back_for_the_cooldown(cloud, watched):
    serve(cloud, watched())
    told = Told("f-1", "shift", cloud.now - HOUR, SINCE, ("distance",))
    cloud.stores.watches.change(REF, lambda held: (dataclasses.replace(held, told=(told,)), []))
    for hour in (0, 1):
        predict(hour)
        tell(cloud, hour, right=0)
    assert judge(cloud)["verdict"] == "held"
    assert not cloud.events()
    cloud.now += 6 * HOUR
    assert judge(cloud)["verdict"] == "found", "nothing new came, but its time did"
    assert len(cloud.events()) == 1


def test_truth_that_is_late_twice_and_corrected(cloud, watched):
    serve(cloud, watched())
    tell(cloud, 0, right=0, time=iso(SINCE))  # before its prediction was looked at
    assert judge(cloud)["verdict"] == "no_truth"
    assert kept()["counts"]["unknown"] == 4
    predict(0)
    assert judge(cloud)["verdict"] == "suspected"
    tell(cloud, 0, right=0, time=iso(SINCE))
    tell(cloud, 0, right=3, time=iso(SINCE + HOUR))
    assert judge(cloud)["verdict"] == "reached"
    counts = kept()["counts"]
    assert (counts["joined"], counts["unknown"], counts["corrected"]) == (4, 0, 6)
    (point,) = kept()["points"]
    assert point["value"] == 0.75


def test_truth_of_a_month_ago_still_counts_and_older_does_not(cloud, watched):
    serve(cloud, watched(), since=NOW - 90 * 86_400)
    month, quarter = -31 * 24, -60 * 24
    for hour in (month, quarter):
        predict(hour)
        tell(cloud, hour, right=4)
    judge(cloud)
    counts = kept()["counts"]
    assert (counts["joined"], counts["unknown"]) == (4, 4)


def test_parts_that_cover_the_same_traffic_count_it_once(cloud, watched):
    serve(cloud, watched())
    predict(0, part="p1")
    predict(0, part="p2")
    tell(cloud, 0, right=4)
    judge(cloud)
    counts = kept()["counts"]
    assert (counts["predictions"], counts["repeated"]) == (4, 4)


def test_what_has_not_changed_is_not_joined_again(cloud, watched):
    serve(cloud, watched())
    predict(0)
    tell(cloud, 0, right=4)
    first = judge(cloud)
    summary = kept()
    assert judge(cloud) == first
    got = [r["Key"] for _, operation, r in cloud.calls if operation == "GetObject"]
    assert got == [f"watch/{REF}/quality/summary.json"]
    assert not metrics(cloud)
    assert kept() == summary


def test_a_new_version_begins_anew(cloud, watched):
    serve(cloud, watched())
    predict(0)
    tell(cloud, 0, right=0)
    judge(cloud)
    serve(cloud, watched(), version=4, since=SINCE + 2 * HOUR)
    assert judge(cloud)["verdict"] == "no_truth"
    predict(2)
    tell(cloud, 2, right=4)
    assert judge(cloud)["verdict"] == "reached"
    assert kept()["champion"] == 4


def test_without_a_floor_the_evaluations_metric_is_told(cloud, watched, monkeypatch):
    monkeypatch.setattr(qualities, "UNJUDGED_ROWS", 4)
    serve(cloud, watched(quality=None))
    predict(0, rows=6)
    tell(cloud, 0, right=3, rows=6)
    answer = judge(cloud)
    assert answer["verdict"] == "no_floor"
    assert "auc is 0.5" in answer["reason"]
    assert not metrics(cloud), "they cost money"


@pytest.mark.parametrize(("reported", "count"), [("none", 0), ("worst", 1), ("all", 17)])
def test_metrics_cost_money_so_few_are_put(cloud, watched, reported, count):
    serve(cloud, watched(metrics=reported))
    predict(0)
    tell(cloud, 0, right=3)
    judge(cloud)
    assert len(metrics(cloud)) == count


def test_too_many_parts_are_not_joined_at_once(cloud, watched, monkeypatch):
    serve(cloud, watched())
    for hour in range(3):
        predict(hour)
    tell(cloud, 2, right=4)
    one = client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"watch/{REF}/predictions/")
    monkeypatch.setattr(qualities, "MOST_PART_BYTES", one["Contents"][0]["Size"] + 2_000)
    assert judge(cloud)["verdict"] == "reached", "the newest are joined"
    assert kept()["parts_left_out"] > 0


def test_a_model_without_a_version_in_service(cloud, watched):
    cloud.apply(watched())
    assert judge(cloud)["verdict"] == "no_truth"
    with pytest.raises(NotFoundError):
        cloud.invoke("judge_quality", {"project": "no", "model": "such"})


def test_captured_traffic_meets_its_truth(cloud, watched):
    """From the lines that an endpoint's capture wrote, to what `tidemill quality` shows."""
    begin = cloud.now
    cloud.apply(watched())
    traffic.serve(cloud, baseline=False)
    evaluation = {**EVALUATION, "classes": [False, True]}
    client("s3").put_object(
        Bucket=ARTIFACTS, Key="pipelines/e1/evaluation.json", Body=json.dumps(evaluation)
    )
    some = traffic.rows(250)
    traffic.capture(cloud, some, at=begin + 600)
    traffic.capture(cloud, some[:100], at=begin + 600, name="again")
    cloud.now += HOUR
    traffic.look(cloud, "w-1", asked=False)
    judge(cloud)
    assert (kept()["counts"]["predictions"], kept()["counts"]["waiting"]) == (350, 350)

    lines = [
        f"a-{begin + 600}-{n - n % 100},{n % 100},{int((row['score'] >= 0.5) == (n % 5 > 0))}"
        for n, row in enumerate(some)
    ]
    uploaded = cloud.upload(f"truth/{REF}/a.csv", "\n".join(["id,row,late", *lines]).encode())
    cloud.now += 24 * HOUR
    cloud.invoke("record_truth", records(uploaded.to_event()))
    assert judge(cloud)["verdict"] == "reached"
    (point,) = kept()["points"]
    assert (point["rows"], point["value"]) == (250, 0.8)
    assert (point["start"], point["end"]) == (begin, begin + HOUR)
    counts = kept()["counts"]
    assert (counts["waiting"], counts["unknown"], counts["no_row"]) == (100, 0, 0)


def test_it_may_die_anywhere(survives, watched):
    def found(cloud):
        serve(cloud, watched())
        for hour in (0, 1):
            predict(hour)
            tell(cloud, hour, right=0)
        return MODEL

    survives("judge_quality", found, same_answer=False)
