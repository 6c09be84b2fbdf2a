"""The analyzer, as a MonitoringSchedule starts it: captured lines and a baseline in, files out."""

import json
import random

import polars as pl
import pytest

from tidemill_jobs.__main__ import run
from tidemill_jobs.capture.layout import line, object_key, payload
from tidemill_jobs.container import Container
from tidemill_jobs.drift import DriftSettings, compare
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text
from tidemill_jobs.monitor.reading import profile_of
from tidemill_jobs.profile import Profiler

NOON = 1_795_608_000.0  # 2026-11-25T12:00:00Z
HOUR = 3_600


def rows(count, *, seed=1, far=0.0, carriers=("AA", "UA"), gaps=0.0):
    chance = random.Random(seed)
    return [
        {
            "distance": None if chance.random() < gaps else round(chance.gauss(500 + far, 100), 1),
            "carrier": chance.choice(carriers),
            "prediction": round(chance.random(), 4),
        }
        for _ in range(count)
    ]


def profiled(given):
    profiler = Profiler({"distance": "number", "carrier": "category", "prediction": "number"})
    profiler.add(pl.DataFrame(given, infer_schema_length=None))
    return profiler.profile()


def captured(given, *, at=NOON, first=0):
    lines = []
    for number, row in enumerate(given, first):
        asked = f"{'' if row['distance'] is None else row['distance']},{row['carrier']}"
        both = {
            "endpointInput": payload("text/csv", "INPUT", "CSV", asked),
            "endpointOutput": payload("text/csv", "OUTPUT", "CSV", str(row["prediction"])),
        }
        lines.append(line(both, event_id=f"event-{number}", time=at + number % HOUR))
    return "".join(lines)


class Job:
    """A processing job's file system, as SageMaker makes it for a schedule's execution."""

    def __init__(self, root):
        self.base = root / "opt" / "ml"
        self.data = self.base / "processing"
        self.environment = {
            "dataset_format": '{"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput"]}}',
            "dataset_source": str(self.data / "input" / "endpoint"),
            "output_path": str(self.data / "output"),
            "start_time": "2026-11-25T12:00:00Z",
            "end_time": "2026-11-25T13:00:00Z",
            "publish_cloudwatch_metrics": "Enabled",
            "sagemaker_endpoint_name": "late-flights",
            "sagemaker_monitoring_schedule_name": "hourly",
        }

    def baseline(self, profile, monitoring=None, **changes):
        """Put a baseline where the schedule's job finds it."""
        asked = constraints(profile, monitoring or monitoring_config(DriftSettings()))
        for feature in asked["features"]:
            feature.update(changes.get(feature["name"], {}))
        self.put("baseline_statistics", "baseline/stats/statistics.json", statistics(profile))
        self.put("baseline_constraints", "baseline/constraints/constraints.json", asked)

    def put(self, variable, place, document):
        path = self.data / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_text(document))
        self.environment[variable] = str(path)

    def capture(self, text, *, at=NOON, unique="a"):
        key = object_key("x", "late-flights", "AllTraffic", at, unique)
        path = self.data / "input" / "endpoint" / key.removeprefix("x/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self):
        return run(Container(self.base, self.environment), ["analyze"])

    @property
    def message(self):
        return (self.base / "output" / "message").read_text()

    def output(self, name):
        return json.loads((self.data / "output" / name).read_text())

    @property
    def violations(self):
        found = self.output("constraint_violations.json")["violations"]
        return {(one["feature_name"], one["constraint_check_type"]) for one in found}

    @property
    def metrics(self):
        path = self.base / "output" / "metrics" / "cloudwatch" / "tidemill.jsonl"
        return [json.loads(one) for one in path.read_text().splitlines()]


@pytest.fixture
def job(tmp_path):
    """A job with the baseline of 5,000 rows."""
    job = Job(tmp_path)
    job.baseline(profiled(rows(5_000, seed=99)))
    return job


def test_traffic_that_is_as_it_was_has_no_violations(job):
    job.capture(captured(rows(1_000)))

    assert job.run() == 0
    assert job.message == "Completed: Job completed successfully with no violations."
    assert job.violations == set()
    assert job.output("statistics.json")["dataset"] == {"item_count": 1_000}
    assert [one["name"] for one in job.output("constraints.json")["features"]] == [
        "distance",
        "carrier",
        "prediction",
    ]


def test_traffic_that_drifted_has_a_violation_for_each_constraint_it_breaks(job):
    job.capture(captured(rows(1_000, far=80, carriers=("AA", "ZZ"), gaps=0.3)))

    assert job.run() == 0, "violations are no failure"
    assert job.violations == {
        ("distance", "baseline_drift_check"),
        ("distance", "completeness_check"),
        ("carrier", "baseline_drift_check"),
        ("carrier", "categorical_values_check"),
    }
    assert job.message == ("CompletedWithViolations: Job completed successfully with 4 violations.")
    assert job.output("triage.json")["kind"] in ("shift", "broken_upstream")


def test_lines_that_cannot_be_read_are_counted_and_said(job):
    broken = 'no json\n{"captureData": 1}\n'
    job.capture(captured(rows(1_000)) + broken)

    assert job.run() == 0
    assert job.message == (
        "Completed: Job completed successfully with no violations. 2 lines could not be read "
        "(not_json, other_layout)."
    )
    assert job.output("traffic.json")["unreadable"].keys() == {"not_json", "other_layout"}


def test_traffic_that_cannot_be_read_at_all_is_no_failure(job):
    job.capture("no json\n")

    assert job.run() == 0
    assert job.message.startswith("Completed: ")
    assert "0 rows are too few" in job.message
    assert job.violations == set()


def test_what_lies_in_another_hour_is_not_of_the_period(job):
    job.capture(captured(rows(1_000)))
    before = captured(rows(1_000, far=400), at=NOON - HOUR, first=5_000)
    job.capture(before, at=NOON - HOUR, unique="b")

    assert job.run() == 0
    assert job.output("statistics.json")["dataset"] == {"item_count": 1_000}


def test_a_period_that_is_no_whole_hour_has_the_rows_of_its_times(job):
    job.environment |= {"start_time": "2026-11-25T12:10:00Z", "end_time": "2026-11-25T12:20:00Z"}
    job.capture(captured(rows(3_600)))

    assert job.run() == 0
    assert job.output("statistics.json")["dataset"] == {"item_count": 600}


def test_few_rows_are_said_to_be_too_few(job):
    job.environment["tidemill_minimum_rows"] = "100"
    job.capture(captured(rows(99, far=400)))

    assert job.run() == 0
    assert job.violations == set()
    assert "99 rows are too few for a verdict" in job.message


def test_without_a_baseline_there_are_statistics_only(tmp_path):
    job = Job(tmp_path)
    job.capture(captured(rows(10)))

    assert job.run() == 1
    assert "baseline" in job.message, "nothing says what the columns are"


def test_metrics_are_lines_for_cloudwatch(job):
    job.capture(captured(rows(1_000, far=80)))

    assert job.run() == 0
    named = {one["MetricName"]: one for one in job.metrics}
    assert named["rows"] == {
        "MetricName": "rows",
        "Value": 1_000.0,
        "Timestamp": "2026-11-25T12:00:00Z",
        "Dimensions": [
            {"Name": "Endpoint", "Value": "late-flights"},
            {"Name": "MonitoringSchedule", "Value": "hourly"},
        ],
    }
    assert named["feature_baseline_drift_distance"]["Value"] > 0.1
    assert named["feature_data_distance"]["StatisticValues"]["SampleCount"] == 1_000


@pytest.mark.parametrize(
    "environment", [{"publish_cloudwatch_metrics": "Disabled"}, {"tidemill_metrics": "none"}]
)
def test_metrics_that_nobody_asked_for_are_not_written(job, environment):
    job.environment |= environment
    job.capture(captured(rows(1_000)))

    assert job.run() == 0
    assert not (job.base / "output" / "metrics").exists()


def test_constraints_that_an_owner_changed_count(tmp_path):
    monitoring = monitoring_config(DriftSettings())
    monitoring["distribution_constraints"]["comparison_threshold"] = 0.9
    monitoring["domain_content_threshold"] = 0.0
    job = Job(tmp_path)
    job.baseline(profiled(rows(5_000, seed=99)), monitoring, distance={"completeness": 0.6})
    job.capture(captured(rows(1_000, far=80, carriers=("AA", "ZZ"), gaps=0.3)))

    assert job.run() == 0
    assert job.violations == set()


@pytest.mark.parametrize(
    ("switch", "left"),
    [({"evaluate_constraints": "Disabled"}, set()), ({"emit_metrics": "Disabled"}, None)],
)
def test_what_the_constraints_switch_off_is_off(tmp_path, switch, left):
    job = Job(tmp_path)
    job.baseline(profiled(rows(5_000, seed=99)), monitoring_config(DriftSettings()) | switch)
    job.capture(captured(rows(1_000, far=300)))

    assert job.run() == 0
    if left is not None:
        assert job.violations == left
    else:
        assert not (job.base / "output" / "metrics").exists()
        assert job.violations


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset_format": '{"csv": {"header": true}}'}, "sagemakerCaptureJson"),
        ({"dataset_format": "{"}, "no JSON"),
        ({"analysis_type": "MODEL_QUALITY"}, "data quality, not MODEL_QUALITY"),
        ({"start_time": "noon"}, "environment cannot be read"),
        ({"tidemill_minimum_rows": "many"}, "environment cannot be read"),
        ({"output_path": ""}, "output_path is not set"),
    ],
)
def test_what_the_image_does_not_do_it_says(job, changes, said):
    job.environment |= changes

    assert job.run() == 1
    assert said in job.message


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("baseline_statistics", "no json"),
        ("baseline_statistics", '{"features": [{"name": "distance"}]}'),
        ("baseline_constraints", "[]"),
        ("baseline_constraints", '{"features": [{"completeness": 1}]}'),
        ("baseline_constraints", '{"monitoring_config": {"datatype_check_threshold": "high"}}'),
    ],
)
def test_a_damaged_baseline_fails_the_job_with_a_sentence(job, tmp_path, variable, text):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    job.environment[variable] = str(path)
    job.capture(captured(rows(10)))

    assert job.run() == 1
    assert "baseline" in job.message or "constraints.json" in job.message


@pytest.mark.parametrize("far", [0, 15, 40])
@pytest.mark.parametrize("carriers", [("AA", "UA"), ("AA", "UA", "ZZ")])
def test_a_baseline_read_back_finds_what_the_profile_itself_finds(far, carriers):
    known, current = (
        profiled(rows(20_000, seed=5)),
        profiled(rows(4_000, far=far, carriers=carriers)),
    )
    read = profile_of(to_text(statistics(known)))

    for settings in (DriftSettings(), DriftSettings(distance="simple", categorical="ChiSquared")):
        one, other = (compare(side, current, settings) for side in (known, read))
        assert [(f.feature, f.verdict) for f in other.features] == [
            (f.feature, f.verdict) for f in one.features
        ]
        for was, now in zip(one.features, other.features, strict=True):
            assert now.distance == pytest.approx(was.distance, abs=0.002)


def test_what_is_no_number_comes_back_as_what_it_was():
    chance = random.Random(3)
    frame = {
        "paid": [chance.random() < 0.3 for _ in range(5_000)],
        "city": [f"city {min(int(chance.expovariate(0.01)), 4_000)}" for _ in range(5_000)],
        "name": [f"name {number}" for number in range(5_000)],
        "empty": [None] * 5_000,
        "code": [str(chance.randint(1, 9)) for _ in range(5_000)],
        "day": [f"2026-11-{chance.randint(1, 30):02}" for _ in range(5_000)],
    }
    profiler = Profiler(kinds={"code": "category"})
    profiler.add(pl.DataFrame(frame))
    known = profiler.profile()
    read = profile_of(to_text(statistics(known)))

    same = compare(read, known, DriftSettings())
    assert {one.feature: one.verdict for one in same.features} == {
        one.feature: one.verdict for one in compare(known, known, DriftSettings()).features
    }
    for name in ("paid", "city", "code", "day"):
        assert read.columns[name].kinds == known.columns[name].kinds
        assert read.columns[name].kind == known.columns[name].kind
