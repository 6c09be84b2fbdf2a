"""Tuning jobs: real training jobs, launched with values that a search chose."""

import uuid

import pytest

from tidemill_local.sagemaker.context import Limits

from .conftest import PATIENCE, Cloud, eventually
from .model_servers import refused
from .tuning_jobs import HYPERBAND, OBJECTIVE, SCORE, Tuning, choices, numbers


@pytest.fixture(scope="module")
def tuning(aws, shared_bucket, tmp_path_factory):
    limits = Limits(stop_grace_seconds=1.0, jobs=2)
    cloud = Cloud(tmp_path_factory.mktemp("tuning"), aws, limits).start()
    yield Tuning(cloud, shared_bucket)
    cloud.stop()
    assert not cloud.misfits


@pytest.fixture(scope="module")
def tuned(tuning):
    """A tuning job that has ended: Bayesian, 5 training jobs, 2 at once."""
    return tuning.run(
        numbers(1, 8),
        jobs=5,
        config={"Strategy": "Bayesian"},
        TrainingJobDefinition=tuning.definition(
            CheckpointConfig={"S3Uri": f"s3://{tuning.bucket}/checkpoints/"}
        ),
        Tags=[{"Key": "team", "Value": "blue"}],
    )


def test_the_best_of_the_training_jobs_is_found(tuning, tuned):
    name = tuned["HyperParameterTuningJobName"]
    jobs = tuning.jobs(name)

    assert tuned["HyperParameterTuningJobStatus"] == "Completed", tuned.get("FailureReason")
    assert len({job["TunedHyperParameters"]["x"] for job in jobs}) == 5
    assert [job["TrainingJobName"][: len(name) + 5] for job in jobs] == [
        f"{name}-00{number}-" for number in range(1, 6)
    ]
    best = tuned["BestTrainingJob"]
    nearest = min(abs(int(job["TunedHyperParameters"]["x"]) - 3) for job in jobs)
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Maximize",
        "MetricName": "score",
        "Value": pytest.approx(-(nearest**2)),
    }
    assert best["ObjectiveStatus"] == "Succeeded"
    assert tuned["TrainingJobStatusCounters"]["Completed"] == 5
    assert tuned["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
    details = tuning.cloud.details("HyperParameter Tuning Job", name, until="Completed")
    assert [detail["HyperParameterTuningJobStatus"] for detail in details] == [
        "InProgress",
        "Completed",
    ]
    assert details[-1]["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]


def test_a_training_job_is_one_of_the_tuning_jobs(tuning, tuned):
    best = tuned["BestTrainingJob"]

    job = tuning.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])

    assert job["TuningJobArn"] == tuned["HyperParameterTuningJobArn"]
    fixed = {"mode": "train", "_tuning_objective_metric": "score"}  # as SageMaker adds it
    assert tuned["TrainingJobDefinition"]["StaticHyperParameters"] == fixed
    assert job["HyperParameters"] == fixed | best["TunedHyperParameters"]
    tags = tuning.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "blue"}]
    own = f"s3://{tuning.bucket}/checkpoints/{best['TrainingJobName']}"
    assert job["CheckpointConfig"] == {"S3Uri": own}


def test_training_jobs_are_listed_by_objective_and_page(tuning, tuned):
    pages = tuning.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    listed = pages.paginate(
        HyperParameterTuningJobName=tuned["HyperParameterTuningJobName"],
        SortBy="FinalObjectiveMetricValue",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 2},
    )

    found = [job for page in listed for job in page["TrainingJobSummaries"]]

    values = [job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in found]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert found[0]["TrainingJobName"] == tuned["BestTrainingJob"]["TrainingJobName"]
    (summary,) = tuning.sagemaker.list_hyper_parameter_tuning_jobs(
        NameContains=tuned["HyperParameterTuningJobName"]
    )["HyperParameterTuningJobSummaries"]
    assert summary["Strategy"] == "Bayesian"
    assert summary["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 5


def test_a_grid_tries_every_combination_once(tuning):
    job = tuning.run(choices(c=["a", "bbb"]), jobs=None, config={"Strategy": "Grid"})

    tried = [j["TunedHyperParameters"] for j in tuning.jobs(job["HyperParameterTuningJobName"])]
    assert tried == [{"c": "a"}, {"c": "bbb"}]
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"c": "bbb"}


def test_a_warm_start_knows_what_its_parent_found(tuning, tuned):
    parent = {"HyperParameterTuningJobName": tuned["HyperParameterTuningJobName"]}
    job = tuning.run(
        numbers(1, 8),
        jobs=1,
        config={"Strategy": "Bayesian"},
        WarmStartConfig={
            "ParentHyperParameterTuningJobs": [parent],
            "WarmStartType": "IdenticalDataAndAlgorithm",
        },
    )

    (mine,) = tuning.jobs(job["HyperParameterTuningJobName"])
    theirs = [
        each["TunedHyperParameters"]
        for each in tuning.jobs(name=parent["HyperParameterTuningJobName"])
    ]
    assert mine["TunedHyperParameters"] not in theirs
    assert job["BestTrainingJob"]["TrainingJobName"] == mine["TrainingJobName"]
    value = "FinalHyperParameterTuningJobObjectiveMetric"
    best = max([mine, tuned["BestTrainingJob"]], key=lambda found: found[value]["Value"])
    assert job["OverallBestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]


def test_several_definitions_take_turns_and_are_compared(tuning):
    def definition(name, low):
        return tuning.definition(
            DefinitionName=name, TuningObjective=OBJECTIVE, HyperParameterRanges=numbers(low, low)
        )

    near, far = definition("near", 3), definition("far", 9)
    far["HyperParameterTuningResourceConfig"] = far.pop("ResourceConfig")  # as the SDK writes it
    config = {
        "Strategy": "Random",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
    }
    name = f"several-{uuid.uuid4().hex[:8]}"
    tuning.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=config,
        TrainingJobDefinitions=[far, near],
    )

    job = tuning.ended(name)

    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "near"
    places = [definition["ResourceConfig"] for definition in job["TrainingJobDefinitions"]]
    assert places == [near["ResourceConfig"]] * 2
    assert [j["TrainingJobDefinitionName"] for j in tuning.jobs(name)] == ["far", "near"]


def test_a_target_that_is_reached_ends_it(tuning):
    job = tuning.run(
        numbers(3, 3) | choices(c=["", "aaaaaa"]),
        jobs=2,
        at_once=1,
        config={"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": -36.5}},
    )

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(tuning.jobs(job["HyperParameterTuningJobName"])) == 1


def test_a_training_job_that_does_worse_than_earlier_ones_is_stopped(tuning):
    image = tuning.cloud.image("""
        import json, os, pathlib, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        given = json.loads((base / "input/config/hyperparameters.json").read_text())
        for epoch in range(3):
            print(f"score={len(given['c']) + epoch};", flush=True)
            while given["c"] == "" and epoch == 1:
                time.sleep(0.1)
    """)
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}

    job = tuning.run(
        choices(c=["aa", "aaa", "aaaa", ""]),
        jobs=None,
        at_once=1,
        config={"Strategy": "Grid", "TrainingJobEarlyStoppingType": "Auto"},
        TrainingJobDefinition=tuning.definition(
            AlgorithmSpecification=algorithm | {"MetricDefinitions": [SCORE]}
        ),
    )

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    *_, worst = tuning.jobs(job["HyperParameterTuningJobName"])
    assert worst["TrainingJobStatus"] == "Stopped"
    assert worst["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 1
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"c": "aaaa"}
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_hyperband_gives_up_what_does_worse_and_what_goes_on_for_too_long(tuning):
    image = tuning.cloud.image("""
        import json, os, pathlib, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        given = json.loads((base / "input/config/hyperparameters.json").read_text())
        epochs = {"aaaa": 3, "aa": 600, "aaaaa": 600}[given["c"]]
        for epoch in range(epochs):
            print(f"score={len(given['c'])};", flush=True)
            if epochs == 600:
                time.sleep(0.1)
    """)
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}

    job = tuning.run(
        choices(c=["aa", "aaaaa", "aaaa"]),
        jobs=3,
        at_once=1,
        config={"Strategy": "Hyperband", "StrategyConfig": HYPERBAND, "RandomSeed": 0},
        TrainingJobDefinition=tuning.definition(
            AlgorithmSpecification=algorithm | {"MetricDefinitions": [SCORE]}
        ),
    )

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    found = {
        each["TunedHyperParameters"]["c"]: each["TrainingJobStatus"]
        for each in tuning.jobs(job["HyperParameterTuningJobName"], SortBy="CreationTime")
    }
    assert found == {"aaaa": "Completed", "aa": "Stopped", "aaaaa": "Stopped"}
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"c": "aaaa"}


@pytest.mark.parametrize(
    ("mode", "counter", "why"),
    [
        ("fail", "NonRetryableError", "No training job succeeded after 2 attempts."),
        ("silent", "Completed", "No objective metrics found after running 2 training jobs."),
    ],
)
def test_a_tuning_job_fails_with_all_of_its_training_jobs(tuning, mode, counter, why):
    definition = tuning.definition(StaticHyperParameters={"mode": mode})

    job = tuning.run(jobs=2, TrainingJobDefinition=definition)

    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(why)
    assert job["TrainingJobStatusCounters"][counter] == 2
    assert job["ObjectiveStatusCounters"]["Failed"] == 2
    assert "BestTrainingJob" not in job


def test_training_jobs_that_cannot_be_created_fail_it(tuning):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{tuning.bucket}/nothing"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}

    job = tuning.run(TrainingJobDefinition=tuning.definition(InputDataConfig=[channel]))

    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "No S3 objects found under S3 URL" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"]["InProgress"] == 0
    assert tuning.jobs(job["HyperParameterTuningJobName"]) == []


def test_a_stopped_tuning_job_stops_its_training_jobs(tuning):
    name = tuning.start(
        numbers(1, 9),
        jobs=9,
        at_once=1,
        TrainingJobDefinition=tuning.definition(StaticHyperParameters={"mode": "wait"}),
    )
    started = "SecondaryStatus"
    eventually(lambda: tuning.jobs(name), "a training job is launched")
    (first,) = tuning.jobs(name)
    store = tuning.cloud.service.context.store
    store.wait_for(
        "TrainingJob", first["TrainingJobName"], lambda b: b[started] == "Training", PATIENCE
    )

    tuning.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    job = tuning.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == len(tuning.jobs(name)) == 1
    refused(
        tuning.sagemaker.stop_hyper_parameter_tuning_job,
        "The request was rejected because the hyperparameter tuning job is in status Stopped",
        HyperParameterTuningJobName=name,
    )


def test_a_tuning_job_goes_on_after_a_crash(make_cloud, bucket, tmp_path):
    limits = Limits(stop_grace_seconds=1.0, jobs=1)
    first = Tuning(make_cloud(limits, tmp_path / "state"), bucket)
    flag = tmp_path / "go"
    image = first.cloud.image(f"""
        import json, os, pathlib, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        while not pathlib.Path({str(flag)!r}).exists():
            time.sleep(0.02)
        given = json.loads((base / "input/config/hyperparameters.json").read_text())
        print("score=" + given["x"] + ";")
    """)
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    definition = first.definition(AlgorithmSpecification=algorithm | {"MetricDefinitions": [SCORE]})
    name = first.start(numbers(1, 9), jobs=2, at_once=1, TrainingJobDefinition=definition)
    eventually(lambda: first.jobs(name), "a training job is launched")
    (before,) = first.jobs(name)
    first.cloud.service.context.store.wait_for(
        "TrainingJob", before["TrainingJobName"], lambda b: "TrainingStartTime" in b, PATIENCE
    )
    first.cloud.service.stop()

    flag.touch()
    second = Tuning(make_cloud(limits, tmp_path / "state"), bucket)
    job = second.ended(name)

    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 1,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    jobs = second.jobs(name)
    again = [j for j in jobs if j["TunedHyperParameters"] == before["TunedHyperParameters"]]
    assert [j["TrainingJobStatus"] for j in again] == ["Failed", "Completed"]
