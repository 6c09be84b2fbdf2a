"""Training that begins anew: spot jobs whose instances go, and what RetryStrategy tries again."""

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.jobs import training
from tidemill_local.sagemaker.misfortune import Faults

from .conftest import eventually
from .job_requests import archive, keys

# Two steps, each of which leaves a checkpoint; the first run does not get beyond the first.
RESUMING = """
    import os, pathlib, time
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    done = sorted(path.name for path in (base / "checkpoints").iterdir())
    (base / "checkpoints" / f"step-{len(done)}").write_text("x")
    if not done:
        time.sleep(600)
    (base / "model" / "began").write_text(",".join(done))
"""
WAITING = {"MaxRuntimeInSeconds": 6000, "MaxWaitTimeInSeconds": 6000}


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def steps(job):
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def start_spot(cloud, bucket, code, condition=WAITING, **request):
    return cloud.train(
        cloud.image(code),
        bucket=bucket,
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints"},
        StoppingCondition=condition,
        **request,
    )


def test_an_interrupted_spot_job_goes_on_from_its_checkpoints(cloud, s3, bucket):
    name = start_spot(cloud, bucket, RESUMING)
    eventually(lambda: keys(s3, bucket, "checkpoints/") == ["step-0"], "the checkpoint, live")
    store = cloud.service.context.store
    store.update("TrainingJob", name, _TrainedSeconds=1000.0)  # as if it had gone on for long

    assert training.interrupt(cloud.service.context, name)

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert model == {"began": "step-0"}
    assert steps(job) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert job["TrainingTimeInSeconds"] >= 1000
    assert job["BillableTimeInSeconds"] == round(0.3 * job["TrainingTimeInSeconds"])
    told = [detail["SecondaryStatus"] for detail in cloud.details("Training Job", name)]
    assert told.count("Interrupted") == 1


def test_a_spot_job_that_finds_no_capacity_in_time_is_stopped(cloud, s3, bucket):
    condition = {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 5}
    name = start_spot(cloud, bucket, "import time; time.sleep(600)", condition)
    eventually(
        lambda: (
            training.interrupt(cloud.service.context, name, seconds=600)
            or cloud.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            != "InProgress"
        ),
        "it trains",
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxWaitTimeExceeded"


def test_a_fault_interrupts_a_spot_job(cloud, s3, bucket):
    cloud.service.context.part(Faults).add(
        "spot-interruption", count=1, name="rehearsed", seconds=0.1
    )

    name = start_spot(cloud, bucket, RESUMING, TrainingJobName="rehearsed")

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert steps(job).count("Interrupted") == 1


def test_only_a_spot_job_that_trains_can_be_interrupted(cloud, bucket):
    name = cloud.train(cloud.image("import time; time.sleep(600)"), bucket=bucket)

    assert not training.interrupt(cloud.service.context, name)
    assert not training.interrupt(cloud.service.context, "nobody")
    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    assert cloud.trained(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("request_part", "why"),
    [
        (
            {"StoppingCondition": {"MaxWaitTimeInSeconds": 60}},
            "only supported when EnableManagedSpotTraining is set to true",
        ),
        ({"EnableManagedSpotTraining": True}, "It must be present and be greater than or equal"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            "It must be present and be greater than or equal",
        ),
    ],
)
def test_waiting_is_for_spot_jobs_and_no_shorter_than_running(cloud, bucket, request_part, why):
    with pytest.raises(ClientError, match=f"Invalid MaxWaitTimeInSeconds. .*{why}"):
        cloud.train("x", bucket=bucket, **request_part)


@pytest.mark.parametrize(("errors", "status"), [(1, "Completed"), (2, "Failed")])
def test_an_internal_error_is_tried_again_as_often_as_asked(cloud, bucket, errors, status):
    faults = cloud.service.context.part(Faults)
    faults.add("job-error", count=errors, name=f"again-{errors}")

    job = cloud.trained(
        cloud.train(
            cloud.image("pass"),
            bucket=bucket,
            TrainingJobName=f"again-{errors}",
            RetryStrategy={"MaximumRetryAttempts": 1},
        )
    )

    assert job["TrainingJobStatus"] == status
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 1}


def test_a_spot_job_goes_on_when_the_service_comes_back(make_cloud, s3, bucket, tmp_path):
    first = make_cloud(root=tmp_path / "state")
    name = start_spot(first, bucket, RESUMING)
    retried = first.train(
        first.image("import time; time.sleep(600)"),
        bucket=bucket,
        RetryStrategy={"MaximumRetryAttempts": 1},
    )
    eventually(lambda: keys(s3, bucket, "checkpoints/") == ["step-0"], "the checkpoint, live")
    first.service.stop()

    second = make_cloud(root=tmp_path / "state")

    job = second.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "Interrupted" in steps(job)
    again = second.sagemaker.describe_training_job(TrainingJobName=retried)
    assert again["TrainingJobStatus"] == "InProgress"
    second.sagemaker.stop_training_job(TrainingJobName=retried)
