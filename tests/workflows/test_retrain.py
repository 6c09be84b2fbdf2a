"""Every state of `retrain` is entered, and every Catch of it taken, on the real engine."""

import json

import pytest

from deployed import spec_text, table
from tidemill.adapters.baselines import baseline_of
from tidemill.spec.compile import compile_spec
from tidemill_jobs.profile import Profile

pytestmark = pytest.mark.e2e


def test_a_good_delivery_turns_the_wheel(stack):
    ref = stack.apply("good")
    stack.put(ref, "a.csv", table())

    run = stack.ended_run(ref)

    assert run["status"] == "succeeded", stack.story(ref)
    assert run["version"] == 1
    assert stack.states(run["execution"]) == [
        "OpenRun",
        "IsSmall",
        "PrepareSmall",
        "StartPipeline",
        "AwaitPipeline",
        "ReadOutcome",
        "IsApprovedByItself",
        "Approve",
        "CloseRun",
        "RunClosed",
    ]
    assert stack.entry(ref, "rollout")["verdict"] == "in service"
    likely, unlikely = stack.predict(
        ref,
        [
            {"id": "p", "x": 2.5, "z": 1, "colour": "red"},
            {"id": "q", "x": -2.5, "z": 1, "colour": "blue"},
        ],
    )
    assert likely["score"] > 0.9
    assert unlikely["score"] < 0.1
    check_baseline(stack, ref, run)


def test_a_dataset_that_a_function_has_no_room_for_is_prepared_by_a_job(stack):
    ref = stack.apply("roomy", approve="manual")
    with stack.configured("PrepareDatasetFunction", MemorySize=128):  # polars alone takes that
        stack.put(ref, "a.csv", table())
        run = stack.ended_run(ref)

    assert run["status"] == "succeeded", stack.story(ref)
    assert stack.states(run["execution"])[:5] == [
        "OpenRun", "IsSmall", "PrepareSmall", "Prepare", "StartPipeline",
    ]  # fmt: skip
    assert run["prepared"].endswith(f"/{run['run']}")
    check_baseline(stack, ref, run)


def check_baseline(stack, ref, run):
    """The version's package names a baseline that everybody can read."""
    held = stack.registry.version(f"tidemill--{ref.replace('/', '--')}", run["version"])
    package = stack.registry.describe(held["package"])
    found = baseline_of(package)
    assert package["ModelMetrics"]["ModelDataQuality"]["Statistics"]["S3Uri"] == found.statistics
    assert found.prefix.endswith(f"/{run['run']}/baseline")
    profile = Profile.loads(stack.read(found.profile))
    assert {name: column.kind for name, column in profile.columns.items()} == {
        "x": "number", "z": "number", "colour": "category", "prediction": "number",
    }  # fmt: skip
    assert profile.rows == profile.columns["x"].rows > profile.columns["prediction"].rows > 0
    statistics = json.loads(stack.read(found.statistics))
    assert statistics["dataset"]["item_count"] == profile.rows
    constraints = json.loads(stack.read(found.constraints))
    for document in (statistics, constraints):
        assert [entry["name"] for entry in document["features"]] == list(profile.columns)


def test_a_version_waits_for_a_person_when_the_spec_says_so(stack):
    ref = stack.apply("manual", approve="manual")
    stack.put(ref, "a.csv", table())

    run = stack.ended_run(ref)

    assert run["status"] == "succeeded", stack.story(ref)
    assert "Approve" not in stack.states(run["execution"])
    assert stack.endpoint(ref) is None
    stack.invoke(
        "JudgeVersionFunctionName",
        {
            "project": "tests",
            "model": "manual",
            "version": 1,
            "verdict": "approve",
            "why": "looked at it",
        },
    )
    assert stack.entry(ref, "rollout")["verdict"] == "in service"


def test_a_gate_that_refuses_says_the_metric(stack):
    ref = stack.apply("gate", evaluate__minimum=0.9999)
    stack.put(ref, "a.csv", table())

    run = stack.ended_run(ref)

    assert run["status"] == "refused"
    assert "auc" in run["reason"]
    assert "0.9999" in run["reason"]
    assert stack.endpoint(ref) is None


def test_a_run_without_uploads_is_refused_and_says_how_to_send_some(stack):
    ref = stack.apply("empty")
    stack.start(ref)

    run = stack.ended_run(ref)

    assert run["status"] == "refused"
    assert f"tidemill upload {ref}" in run["reason"]
    assert stack.states(run["execution"]) == [
        "OpenRun", "CloseFailedRun", "IsRefused", "RunRefused",
    ]  # fmt: skip
    assert stack.execution_status(run["execution"]) == "SUCCEEDED"  # faults only raise the alarm


def test_a_target_with_one_class_is_refused_and_the_files_stay(stack):
    ref = stack.apply("one-class")
    rows = table().splitlines()
    stack.put(ref, "a.csv", "\n".join([rows[0], *(row[:-1] + "1" for row in rows[1:])]) + "\n")

    run = stack.ended_run(ref)

    assert run["status"] == "refused"
    assert "in every row" in run["reason"]
    assert stack.execution_status(run["execution"]) == "SUCCEEDED"
    assert stack.entry(ref, "upload")["verdict"] == "accept"


def test_a_ragged_file_is_left_out_and_named_and_the_rest_goes_on(stack):
    ref = stack.apply("ragged")
    rows = table(6000, seed=3, first=1000).splitlines()
    rows[5000] += ",surplus"  # beyond what admission reads
    stack.put(ref, "good.csv", table())
    stack.put(ref, "ragged.csv", "\n".join(rows) + "\n")

    run = stack.ended_run(ref)

    assert run["status"] == "succeeded", stack.story(ref)
    entry = stack.entry(ref, "upload", verdict="quarantine")
    assert entry["subject"].endswith("ragged.csv")
    assert "5000" in entry["reason"].replace(",", "") or "5001" in entry["reason"].replace(",", "")


def test_a_training_that_raises_fails_the_run_with_its_reason(stack):
    spec = compile_spec(spec_text("raises"), "model.yaml")
    spec.train.hyperparameters["tree_method"] = "nonsense"  # as an older CLI may have let through
    ref = stack.put_in_force(spec)
    stack.put(ref, "a.csv", table())

    run = stack.ended_run(ref)

    assert run["status"] == "failed"
    assert "Train" in run["reason"]


def test_a_missing_pipeline_fails_the_run_and_frees_the_model(stack):
    ref = stack.apply("no-pipeline")
    stack.cloud.client("sagemaker").delete_pipeline(
        PipelineName="tidemill--tests--no-pipeline", ClientRequestToken="x" * 32
    )
    stack.put(ref, "a.csv", table())

    run = stack.ended_run(ref)

    assert run["status"] == "failed"
    assert "StartPipeline" in run["reason"]
    stack.apply("no-pipeline")
    stack.start(ref)
    assert stack.ended_run(ref, number=2)["status"] == "succeeded", stack.story(ref)


def test_a_pipeline_stopped_by_hand_ends_the_run(stack):
    ref = stack.apply("stopped-pipeline", train__hyperparameters={"num_round": 3000})
    stack.put(ref, "a.csv", table(3000))
    sagemaker = stack.cloud.client("sagemaker")
    arn = stack.until_run(ref, "pipeline")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="s" * 32)

    run = stack.ended_run(ref)

    assert run["status"] == "failed"
    assert "stopped" in run["reason"]


@pytest.mark.parametrize(
    ("state", "function"),
    [
        ("AwaitPipeline", "ParkFunction"),
        ("ReadOutcome", "ReadOutcomeFunction"),
        ("Approve", "JudgeVersionFunction"),
    ],
)
def test_a_function_that_fails_ends_the_run_on_the_recorded_path(stack, state, function):
    ref = stack.apply(f"broken-{state.lower()}")
    with stack.broken(function):
        stack.put(ref, "a.csv", table())
        run = stack.ended_run(ref)

    assert run["status"] == "failed"
    assert run["reason"].startswith(f"{state}: ")
    assert stack.states(run["execution"])[-3:] == ["CloseFailedRun", "IsRefused", "RunFailed"]
    assert stack.execution_status(run["execution"]) == "FAILED"


def test_a_run_that_cannot_even_be_closed_is_settled_by_its_event(stack):
    ref = stack.apply("unclosable-run")
    with stack.broken("CloseRunFunction"):
        stack.start(ref)
        run = stack.ended_run(ref)

    assert run["status"] == "failed"
    assert stack.stores.leases.read(ref, "run").holder == ""


def test_a_stopped_run_stops_its_pipeline_and_frees_the_model(stack):
    ref = stack.apply("stopped", train__hyperparameters={"num_round": 3000})
    stack.put(ref, "a.csv", table(3000))
    pipeline = stack.until_run(ref, "pipeline")
    execution = stack.runs(ref)[0]["execution"]
    stack.cloud.client("stepfunctions").stop_execution(
        executionArn=execution, error="Enough", cause="a person had seen enough"
    )

    run = stack.ended_run(ref)

    assert run["status"] == "stopped"
    assert "a person had seen enough" in run["reason"]
    described = stack.cloud.client("sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=pipeline
    )
    assert described["PipelineExecutionStatus"] in ("Stopping", "Stopped")


def test_triggers_that_come_during_a_run_are_deferred_and_share_the_next(stack):
    ref = stack.apply("deferred")
    stack.put(ref, "a.csv", table())
    first = stack.entry(ref, "trigger", verdict="start")
    stack.start(ref, "first reason")
    stack.start(ref, "second reason")

    assert stack.ended_run(ref, number=2)["status"] == "succeeded", stack.story(ref)

    deferred = stack.entry(ref, "trigger", verdict="defer", count=2)
    assert first["facts"]["run"] in deferred["reason"]
    assert stack.entry(ref, "trigger", verdict="coalesce")["subject"] == "manual"
    assert len(stack.runs(ref)) == 2


def test_a_run_keeps_the_versions_it_began_with(stack):
    ref = stack.apply("overwritten", approve="manual")
    before = stack.put(ref, "a.csv", table())
    stack.until_run(ref, "dataset")
    stack.put(ref, "a.csv", table(800, seed=9))

    run = stack.ended_run(ref)

    body = stack.cloud.client("s3").get_object(
        Bucket=stack.outputs["ArtifactBucket"],
        Key=f"datasets/{ref}/{run['dataset']}/dataset.json",
    )["Body"]
    listed = json.loads(body.read())["objects"]
    assert [item["version_id"] for item in listed] == [before]
    assert stack.ended_run(ref, number=2)["dataset"] != run["dataset"]
