"""The job that does one part of a plan which is too much for a Lambda."""

import pytest

from tidemill.names import LIMIT
from tidemill.pipeline.plan_job import GIB, ROOM_GB, plan_job

DELIVERY = "d-20261120t101112-0a1b2c"
PLAN = f"s3://tidemill-artifacts/checks/flights/delay/plans/{DELIVERY}/1/40/plan.json"


@pytest.fixture
def job(spec, place):
    def build(command="check", **changes):
        arguments = {
            "stack": place["stack"],
            "name": f"{DELIVERY}-1-40",
            "plan_uri": PLAN,
            "largest_bytes": 1000,
            "image_uri": place["image_uri"],
            "role_arn": place["role_arn"],
        }
        return plan_job(spec, command, **{**arguments, **changes})

    return build


def test_the_request_has_sagemakers_shape(job, requests):
    requests.check("CreateProcessingJob", job())


@pytest.mark.parametrize("command", ["check", "watch"])
def test_the_job_finds_its_plan_and_runs_what_is_asked(job, command):
    request = job(command)
    (given,) = request["ProcessingInputs"]
    assert given["S3Input"]["S3Uri"] == PLAN
    assert given["S3Input"]["LocalPath"] == "/opt/ml/processing/input/plan"
    assert request["AppSpecification"]["ContainerEntrypoint"][-2:] == ["tidemill_jobs", command]
    assert f"--{command}--" in request["ProcessingJobName"]


@pytest.mark.parametrize("wrong", ["s3://b/1.json", "s3://b/plan.json/", "s3://b/my-plan.json"])
def test_a_plan_that_the_job_would_not_find_is_refused(job, wrong):
    with pytest.raises(ValueError, match=r"store it as …/plan\.json"):
        job(plan_uri=wrong)


def test_parts_and_attempts_have_names_of_their_own_that_fit(job):
    names = {
        job(stack="s" * 40, name=f"{DELIVERY}-{attempt}-{part}")["ProcessingJobName"]
        for attempt in (1, 2)
        for part in (0, 40)
    }
    assert len(names) == 4
    assert all(len(name) <= LIMIT for name in names)


def test_the_disk_holds_the_largest_file_unpacked(job, spec):
    def volume(size):
        cluster = job(largest_bytes=size)["ProcessingResources"]["ClusterConfig"]
        return cluster["VolumeSizeInGB"]

    stated = spec.train.compute.volume_gb
    assert volume(0) == stated
    assert volume((stated - ROOM_GB) * GIB) == stated
    assert volume((stated - ROOM_GB) * GIB + 1) == stated + 1
    assert volume(200 * GIB) == 200 + ROOM_GB


def test_time_and_tags_come_from_the_spec(job):
    request = job()
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert {"Key": "tidemill:model", "Value": "delay"} in request["Tags"]
    assert "ProcessingOutputConfig" not in request, "facts are written by name, where all look"
