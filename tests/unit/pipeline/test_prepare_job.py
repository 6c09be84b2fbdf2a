from dataclasses import replace

import pytest

from tidemill.names import LIMIT
from tidemill.pipeline.prepare_job import prepare_job, prepared_uri
from tidemill.spec.compiled import Capture

RUN_ID = "run-20261120t101112-0a1b2c3d"


@pytest.fixture
def job(spec, place):
    def build(**changes):
        arguments = {
            "stack": place["stack"],
            "run_id": RUN_ID,
            "dataset": "0123456789abcdef",
            "dataset_uri": "s3://tidemill-artifacts/datasets/flights/delay/0123/dataset.json",
            "spec_uri": "s3://tidemill-artifacts/code/flights/delay/0123/spec.json",
            "lake_bucket": place["lake_bucket"],
            "image_uri": place["image_uri"],
            "role_arn": place["role_arn"],
        }
        return prepare_job(**{"spec": spec, **arguments, **changes})

    return build


def test_the_request_has_sagemakers_shape(job, requests):
    requests.check("CreateProcessingJob", job())
    requests.check("CreateProcessingJob", job(attempt=3))


def test_the_job_is_told_where_to_write(job):
    assert job()["Environment"] == {
        "PREPARED_URI": f"s3://tidemill-lake/prepared/flights/delay/0123456789abcdef/{RUN_ID}"
    }


def test_the_job_is_told_where_the_key_of_hashed_columns_is(spec, job):
    def environment(**redact):
        capture = Capture(redact=redact)
        return job(spec=replace(spec, watch=replace(spec.watch, capture=capture)))["Environment"]

    key = "s3://tidemill-artifacts/keys/flights/delay/capture"
    assert environment(tail="hash")["HASH_KEY_URI"] == key
    assert "HASH_KEY_URI" not in environment(tail="drop")


def test_the_job_finds_dataset_and_spec_under_their_names(job):
    assert [
        (item["S3Input"]["S3DataType"], item["S3Input"]["S3Uri"], item["S3Input"]["LocalPath"])
        for item in job()["ProcessingInputs"]
    ] == [
        (
            "S3Prefix",
            "s3://tidemill-artifacts/datasets/flights/delay/0123/dataset.json",
            "/opt/ml/processing/input/dataset",
        ),
        (
            "S3Prefix",
            "s3://tidemill-artifacts/code/flights/delay/0123/spec.json",
            "/opt/ml/processing/input/spec",
        ),
    ]


@pytest.mark.parametrize(
    "wrong", [{"dataset_uri": "s3://b/0123.json"}, {"spec_uri": "s3://b/spec.json/"}]
)
def test_an_object_that_the_job_would_not_find_is_refused(job, wrong):
    with pytest.raises(ValueError, match=r"store it as …/(dataset|spec)\.json"):
        job(**wrong)


def test_a_repeated_attempt_has_its_own_name_and_prefix(job):
    jobs = [job(attempt=attempt) for attempt in range(3)]

    assert len({item["ProcessingJobName"] for item in jobs}) == 3
    assert [item["Environment"]["PREPARED_URI"].rpartition("/")[2] for item in jobs] == [
        RUN_ID,
        f"{RUN_ID}-r1",
        f"{RUN_ID}-r2",
    ]


def test_the_name_fits_with_the_longest_stack(job):
    assert len(job(stack="s" * 40)["ProcessingJobName"]) <= LIMIT


def test_compute_and_tags_come_from_the_spec(job):
    request = job()

    assert request["ProcessingResources"]["ClusterConfig"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert {"Key": "tidemill:run", "Value": RUN_ID} in request["Tags"]
    assert "ProcessingOutputConfig" not in request


def test_the_prefix_is_known_without_building_a_request(spec, job):
    assert (
        prepared_uri(spec, lake_bucket="tidemill-lake", dataset="0123456789abcdef", run_id=RUN_ID)
        == (job()["Environment"]["PREPARED_URI"])
    )
