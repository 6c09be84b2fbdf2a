"""`watch.backend: sagemaker`: a MonitoringSchedule reads the traffic, the watch decides as ever."""

import json
from pathlib import Path

import pytest

from tidemill.errors import InvalidInputError
from tidemill.times import iso
from tidemill_jobs.__main__ import run
from tidemill_jobs.container import Container
from tidemill_jobs.drift import DriftSettings
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text
from tidemill_jobs.profile import Profile

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, NAME, REF
from .traffic import BASELINE, HOUR, capture, document, look, moved, profile, rows, serve, written

DRIFT = {"minimum_rows": 500, "windows": 2, "of": 3, "cooldown_seconds": 0, "per_week": 100}
BY_SAGEMAKER = {"backend": "sagemaker", "every_seconds": 3600, "drift": DRIFT}
SCHEDULE = f"{NAME}--watch"
EVENT = json.loads((Path(__file__).parents[3] / "events" / "monitored.json").read_text())


def put_in_force(cloud, spec):
    cloud.now += 1
    event = {"spec": json.loads(spec.to_json()), "digest": spec.digest}
    return cloud.invoke("apply_model", event)


def close(cloud, version, *, execution="delay-v2-1"):
    package = cloud.sagemaker.add_version(
        NAME, version, "Approved",
        DriftCheckBaselines={
            "ModelDataQuality": {
                name: {"S3Uri": f"s3://{ARTIFACTS}/v{version}/{name.lower()}.json"}
                for name in ("Statistics", "Constraints")
            }
        },
    )  # fmt: skip
    return {
        **MODEL, "version": version, "package": package, "why": "good", "execution": execution,
        "config": f"c{version}", "action": "create",
    }  # fmt: skip


def plan():
    return document("monitor/plan.json")


def scheduler(cloud):
    return [one["Name"] for one in cloud.facts()["schedules"]]


@pytest.fixture
def monitored(cloud, make_spec):
    """Return a cloud with an endpoint in service whose traffic SageMaker's schedule reads."""
    serve(cloud)
    put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))
    cloud.now -= 1
    return cloud


# ── the schedule ─────────────────────────────────────────────────────────────


def test_an_apply_makes_the_schedule_of_what_is_in_service(monitored):
    made = monitored.sagemaker.monitors[SCHEDULE]["MonitoringScheduleConfig"]
    assert made["ScheduleConfig"] == {"ScheduleExpression": "cron(0 * ? * * *)"}
    held = made["MonitoringJobDefinition"]
    assert held["MonitoringInputs"][0]["EndpointInput"]["EndpointName"] == NAME
    assert held["BaselineConfig"] == {
        f"{name}Resource": {"S3Uri": f"s3://{ARTIFACTS}/{BASELINE}/{name.lower()}.json"}
        for name in ("Statistics", "Constraints")
    }
    assert held["Environment"]["tidemill_plan"] == f"s3://{LAKE}/watch/{REF}/monitor/plan.json"
    assert all(len(value) <= 256 for value in held["Environment"].values())
    assert held["StoppingCondition"] == {"MaxRuntimeInSeconds": 3_600}
    assert scheduler(monitored) == [], "the watch has no clock of its own"
    assert (plan()["champion"]["version"], plan()["every"]) == (1, 3_600)


def test_applying_again_changes_nothing_and_another_every_does(monitored, make_spec):
    put_in_force(monitored, make_spec(watch=BY_SAGEMAKER))
    assert not [call for call in monitored.calls if call[1] == "UpdateMonitoringSchedule"]
    put_in_force(monitored, make_spec(watch={**BY_SAGEMAKER, "every_seconds": 6 * 3_600}))
    made = monitored.sagemaker.monitors[SCHEDULE]["MonitoringScheduleConfig"]
    assert made["ScheduleConfig"] == {"ScheduleExpression": "cron(0 0/6 ? * * *)"}
    put_in_force(monitored, make_spec(watch={**BY_SAGEMAKER, "every_seconds": 86_400}))
    made = monitored.sagemaker.monitors[SCHEDULE]["MonitoringScheduleConfig"]
    assert made["ScheduleConfig"] == {"ScheduleExpression": "cron(0 0 ? * * *)"}


def test_going_back_to_tidemill_deletes_it_and_makes_our_schedule(monitored, make_spec):
    put_in_force(monitored, make_spec(watch={**BY_SAGEMAKER, "backend": "tidemill"}))
    assert monitored.sagemaker.monitors == {}
    assert scheduler(monitored) == [SCHEDULE]
    put_in_force(monitored, make_spec(watch=BY_SAGEMAKER))
    assert list(monitored.sagemaker.monitors) == [SCHEDULE]
    assert scheduler(monitored) == []


def test_a_model_that_tidemill_watches_asks_nothing_of_model_monitor(cloud, make_spec):
    serve(cloud)
    put_in_force(cloud, make_spec())
    cloud.invoke("close_rollout", close(cloud, 2))
    assert not [call for call in cloud.calls if "Monitoring" in call[1]]


def test_it_comes_with_the_first_version_and_follows_the_next(cloud, make_spec):
    put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))
    assert cloud.sagemaker.monitors == {}
    for version in (2, 3):
        cloud.now += 60
        event = close(cloud, version, execution=f"delay-v{version}-1")
        assert cloud.invoke("close_rollout", event)["verdict"] == "in service"
        held = cloud.sagemaker.monitors[SCHEDULE]["MonitoringScheduleConfig"]
        resource = held["MonitoringJobDefinition"]["BaselineConfig"]["StatisticsResource"]
        assert resource == {"S3Uri": f"s3://{ARTIFACTS}/v{version}/statistics.json"}
        assert plan()["champion"] == {"version": version, "since": cloud.now}


def test_a_version_without_a_baseline_has_no_schedule_and_the_apply_says_so(cloud, make_spec):
    serve(cloud, baseline=False)
    (warning,) = put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))["warnings"]
    assert "registered before versions had a baseline" in warning
    assert cloud.sagemaker.monitors == {}


REFUSAL = {"message": "Model Monitor is not available to new customers"}


def test_an_account_without_model_monitor_is_told_at_apply(cloud, make_spec):
    serve(cloud)
    cloud.refuse("sagemaker", "CreateMonitoringSchedule", "ValidationException", **REFUSAL)
    answer = put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))
    assert answer["changed"]
    (warning,) = answer["warnings"]
    assert "not available to new customers" in warning
    assert "backend: tidemill" in warning


def test_and_a_version_comes_into_service_all_the_same(cloud, make_spec):
    put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))
    cloud.refuse("sagemaker", "CreateMonitoringSchedule", "ValidationException", **REFUSAL)
    assert cloud.invoke("close_rollout", close(cloud, 2))["verdict"] == "in service"
    assert cloud.stores.champions.find(REF)["version"] == 2
    (entry,) = cloud.entries(REF, "watch")
    assert (entry["verdict"], entry["subject"]) == ("failed", "version 2")
    assert "not available to new customers" in entry["reason"]


def test_a_deleted_model_has_no_schedule(monitored):
    answer = monitored.invoke("delete_model", {**MODEL, "why": "not used"})
    assert f"schedule {SCHEDULE}" in answer["deleted"]
    assert monitored.sagemaker.monitors == {}


def test_a_schedule_that_somebody_deleted_is_gone_and_made_again(monitored, make_spec):
    monitored.sagemaker.monitors.clear()
    put_in_force(monitored, make_spec(watch=BY_SAGEMAKER))
    assert list(monitored.sagemaker.monitors) == [SCHEDULE]
    monitored.sagemaker.monitors.clear()
    monitored.invoke("delete_model", {**MODEL, "why": "not used"})


def test_it_may_die_anywhere(survives, make_spec):
    spec = make_spec(watch=BY_SAGEMAKER)

    def at_rollout(cloud):
        put_in_force(cloud, spec)
        cloud.stores.leases.acquire(REF, "rollout", holder="delay-v2-1", now=cloud.now, seconds=100)
        return close(cloud, 2)

    def at_apply(cloud):
        serve(cloud)
        return {"spec": json.loads(spec.to_json()), "digest": spec.digest}

    def back(cloud):
        serve(cloud)
        put_in_force(cloud, spec)
        before = make_spec(watch={**BY_SAGEMAKER, "backend": "tidemill"})
        return {"spec": json.loads(before.to_json()), "digest": before.digest}

    survives("close_rollout", at_rollout)
    survives("apply_model", at_apply, same_answer=False)
    survives("apply_model", back, same_answer=False)


# ── what its jobs read ───────────────────────────────────────────────────────


def analyze(cloud, tmp_path, start):
    """Run the analyzer as the schedule's job of an hour does; return its exit message."""
    base = tmp_path / f"{start:.0f}" / "opt" / "ml"
    source, reports = base / "processing/input/endpoint", base / "processing/output/reports"
    files = client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"capture/{REF}/")["Contents"]
    for item in files:
        path = source / item["Key"].removeprefix(f"capture/{REF}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client("s3").get_object(Bucket=LAKE, Key=item["Key"])["Body"].read())
    known = Profile.loads(profile(rows(5_000, seed=99)))
    asked = constraints(known, monitoring_config(DriftSettings()))
    for name, text in (("statistics", statistics(known)), ("constraints", asked)):
        (base / f"{name}.json").write_text(to_text(text))
    held = cloud.sagemaker.monitors[SCHEDULE]["MonitoringScheduleConfig"]
    container = Container(
        base,
        {
            **held["MonitoringJobDefinition"]["Environment"],
            "dataset_source": str(source),
            "output_path": str(reports),
            "baseline_statistics": str(base / "statistics.json"),
            "baseline_constraints": str(base / "constraints.json"),
            "start_time": iso(start),
            "end_time": iso(start + HOUR),
            "publish_cloudwatch_metrics": "Enabled",
            "sagemaker_endpoint_name": NAME,
            "sagemaker_monitoring_schedule_name": SCHEDULE,
        },
    )
    assert run(container, ["analyze"]) == 0, (base / "output" / "message").read_text()
    assert (reports / "monitored.json").exists()
    return (base / "output" / "message").read_text()


def hour(cloud, tmp_path, some):
    """Have an hour pass with that traffic; the schedule's job, then the look that follows it."""
    start = cloud.now
    capture(cloud, some, at=start + 600)
    cloud.now += HOUR + 300
    said = analyze(cloud, tmp_path, start)
    planned = cloud.invoke("plan_watch", {**MODEL, "watch": f"w-{start}", "asked": False})
    assert planned["parts"] == [], "what the job has read is not read again"
    cloud.now -= 300
    event = {**MODEL, "watch": f"w-{start}", "asked": False, "plan": planned["plan"]}
    return said, cloud.invoke("conclude_watch", event)


def test_what_the_job_read_is_decided_as_ever(monitored, tmp_path):
    begin = monitored.now
    said, looked = hour(monitored, tmp_path, rows())
    assert said == "Completed: Job completed successfully with no violations."
    assert looked == {"verdict": "same", "reason": "600 rows; no feature drifted", "drifted": []}
    assert len(written(f"predictions/{iso(begin)}/")) == 1, "truth can be joined with them"

    said, looked = hour(monitored, tmp_path, moved())
    assert said.startswith("CompletedWithViolations: ")
    assert looked["verdict"] == "suspected"
    _, looked = hour(monitored, tmp_path, moved(seed=2))

    assert (looked["verdict"], looked["drifted"]) == ("found", ["distance"])
    ((kind, detail),) = monitored.events()
    assert (kind, detail["feature"]) == ("Drift Found", "distance")
    (entry,) = monitored.entries(REF, "finding")
    assert entry["verdict"] == "shift"
    assert "/report.html" in written(f"windows/{iso(begin + HOUR)}")


def test_a_partial_is_what_the_watch_itself_would_have_written(monitored, tmp_path, make_cloud):
    begin = monitored.now
    hour(monitored, tmp_path, rows())
    ours = document(f"windows/{iso(begin)}/comparison.json")
    (name,) = [one for one in written(f"partials/{iso(begin)}/") if one.endswith(".json")]
    partial = document(f"partials/{iso(begin)}/{name}")
    client("s3").delete_object(Bucket=LAKE, Key=f"watch/{REF}/partials/{iso(begin)}/{name}")
    client("s3").delete_object(
        Bucket=LAKE,
        Key=f"watch/{REF}/partials/{iso(begin)}/{name.removesuffix('.json')}.profile.json.gz",
    )

    look(monitored, "a-1")

    assert document(f"windows/{iso(begin)}/comparison.json") == ours
    assert document(f"partials/{iso(begin)}/{name}") == partial


def test_a_period_in_which_the_version_came_is_left_to_the_look(cloud, make_spec, tmp_path):
    start = cloud.now
    serve(cloud, since=start + 900)
    put_in_force(cloud, make_spec(watch=BY_SAGEMAKER))
    capture(cloud, moved(), at=start + 600, name="before")
    capture(cloud, rows(), at=start + 1_200, name="after")
    cloud.now += HOUR

    analyze(cloud, tmp_path, start)

    assert written("partials/") == []
    assert look(cloud, "w-1", asked=False)["verdict"] == "same"


def test_a_file_that_grew_meanwhile_is_left_to_the_look(monitored, tmp_path, monkeypatch):
    start = monitored.now
    key = capture(monitored, rows(), at=start + 600)
    monitored.now += HOUR
    put_back = client("s3").get_object(Bucket=LAKE, Key=key)["Body"].read()
    read = Path.rglob

    def grows(path, pattern):
        client("s3").put_object(Bucket=LAKE, Key=key, Body=put_back + b"\n")
        return read(path, pattern)

    monkeypatch.setattr(Path, "rglob", grows)
    analyze(monitored, tmp_path, start)

    assert written("partials/") == []


# ── what starts the look ─────────────────────────────────────────────────────


def test_what_a_job_left_starts_the_look(monitored):
    monitored.invoke("start_watch", EVENT)
    (name,) = monitored.workflows.executions
    monitored.invoke("start_watch", EVENT)
    assert list(monitored.workflows.executions) == [name]


@pytest.mark.parametrize("key", ["watch/a/monitored.json", "raw/a/b/monitor/monitored.json"])
def test_another_object_of_that_name_is_refused(monitored, key):
    event = json.loads(json.dumps(EVENT))
    event["detail"]["object"]["key"] = key
    with pytest.raises(InvalidInputError, match="no report of a monitoring schedule"):
        monitored.invoke("start_watch", event)


def test_an_hour_that_no_job_reported_is_looked_at_by_the_sweep(monitored):
    """SageMaker starts no job for an hour without traffic; nor does one that fails report."""
    start = monitored.now
    capture(monitored, rows(), at=start + 600)
    monitored.now = start + HOUR + 1_200
    monitored.invoke("sweep", {})
    assert not monitored.workflows.executions, "its job may still come"
    monitored.now = start + HOUR + 2_800
    monitored.invoke("sweep", {})
    (name,) = monitored.workflows.executions
    assert look(monitored, name, asked=False)["verdict"] == "same"
