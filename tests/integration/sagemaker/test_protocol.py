"""The wire protocol: what is refused, in whose words, and what an answer holds."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.constraints import matches

from .conftest import eventually


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def post(cloud, operation, body):
    status, headers, answer = cloud.service.handle(operation, body)
    return status, headers, json.loads(answer)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b"null", b'{"a": 1}garbage']
)
def test_malformed_json_is_answered_and_the_service_lives_on(cloud, body):
    status, headers, answer = post(cloud, "ListTrainingJobs", body)

    assert status == 400
    assert answer["__type"] == "SerializationException"
    assert answer["message"]
    assert headers["x-amzn-RequestId"]
    assert post(cloud, "ListTrainingJobs", b"{}")[0] == 200


def test_an_empty_body_is_an_empty_request(cloud):
    assert post(cloud, "ListTrainingJobs", b"")[2] == {"TrainingJobSummaries": []}


def test_an_operation_that_is_not_supported_here_is_named(cloud):
    with pytest.raises(ClientError) as caught:
        cloud.sagemaker.list_notebook_instances()

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("ListNotebookInstances is a SageMaker operation that the")
    assert "CreateTrainingJob" in error["Message"]


@pytest.mark.parametrize("operation", ["MakeCoffee", "", "../../etc/passwd"])
def test_an_operation_that_does_not_exist_is_said_so(cloud, operation):
    status, _, answer = post(cloud, operation, b"{}")

    assert status == 400
    assert "is not a SageMaker operation" in answer["message"]


@pytest.mark.parametrize(
    ("request_part", "message"),
    [
        ({}, "Value null at 'processingJobName' failed to satisfy constraint: Member must not be"),
        ({"ProcessingJobName": None}, "Value null at 'processingJobName' failed to satisfy"),
        (
            {"ProcessingJobName": "a_b"},
            "at 'processingJobName' failed to satisfy constraint: Member must satisfy regular",
        ),
        (
            {"ProcessingJobName": "a" * 64},
            "Member must have length less than or equal to 63",
        ),
        ({"ProcessingJobName": "a", "Colour": "red"}, "Unknown member 'Colour' at 'request'"),
    ],
)
def test_broken_constraints_are_told_as_sagemaker_does(cloud, request_part, message):
    body = json.dumps(request_part).encode()

    status, headers, answer = post(cloud, "DescribeProcessingJob", body)

    assert status == 400
    assert answer["__type"] == headers["x-amzn-ErrorType"] == "ValidationException"
    assert message in answer["message"]
    assert " validation error" in answer["message"]


def test_every_broken_constraint_is_counted(cloud):
    request = {
        "TrainingJobName": "a_b",
        "RoleArn": "nobody",
        "OutputDataConfig": {"S3OutputPath": "ftp://x"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "VolumeSizeInGB": -1,
            "InstanceType": "ml.nothing",
        },
        "InputDataConfig": [{"ChannelName": "a b", "DataSource": {}}],
        "HyperParameters": {"k": "v" * 2501, "x" * 257: "v"},
    }

    message = post(cloud, "CreateTrainingJob", json.dumps(request).encode())[2]["message"]

    count = int(message.split()[0])
    assert message.startswith(f"{count} validation errors detected: ")
    assert message.count("failed to satisfy constraint") == count
    for path in (
        "'trainingJobName'",
        "'roleArn'",
        "'outputDataConfig.s3OutputPath'",
        "'resourceConfig.volumeSizeInGB'",
        "'resourceConfig.instanceType'",
        "'inputDataConfig.1.member.channelName'",
        "Map value must satisfy constraint: [Member must have length less than or equal to 2500",
        "Map keys must satisfy constraint: [Member must have length less than or equal to 256",
    ):
        assert path in message


@pytest.mark.parametrize(
    "request_part",
    [
        {"MaxResults": "ten"},
        {"CreationTimeAfter": "tomorrow-ish"},
        {"CreationTimeAfter": {}},
        {"NameContains": {"deep": 1}},
    ],
)
def test_a_value_of_the_wrong_type_is_a_serialization_error(cloud, request_part):
    status, _, answer = post(cloud, "ListTrainingJobs", json.dumps(request_part).encode())

    assert (status, answer["__type"]) == (400, "SerializationException")


def test_times_are_epoch_seconds_going_out_and_any_form_coming_in(cloud):
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="timed")
    answer = post(cloud, "DescribeModelPackageGroup", b'{"ModelPackageGroupName": "timed"}')[2]

    assert answer["CreationTime"] == pytest.approx(time.time(), abs=60)
    for moment, count in (("2020-01-01T00:00:00Z", 1), (4e9, 0)):
        request = json.dumps({"CreationTimeAfter": moment, "NameContains": "timed"}).encode()
        listed = post(cloud, "ListModelPackageGroups", request)[2]
        assert len(listed["ModelPackageGroupSummaryList"]) == count


def test_an_answer_holds_only_what_the_service_model_knows(cloud):
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="g")
    answer = post(cloud, "DescribeModelPackageGroup", b'{"ModelPackageGroupName": "g"}')[2]

    assert set(answer) == {
        "ModelPackageGroupName",
        "ModelPackageGroupArn",
        "CreationTime",
        "CreatedBy",
        "ModelPackageGroupStatus",
    }


def test_a_defect_is_an_internal_failure_and_the_service_lives_on(cloud, monkeypatch):
    monkeypatch.setattr(cloud.service.context.store, "rows", lambda kind: 1 / 0)

    status, _, answer = post(cloud, "ListTrainingJobs", b"{}")

    assert (status, answer["__type"]) == (500, "InternalFailure")
    monkeypatch.undo()
    assert post(cloud, "ListTrainingJobs", b"{}")[0] == 200


@pytest.mark.parametrize(
    ("pattern", "value", "satisfied"),
    [
        ("[a-z]+", "abc1", False),  # the whole value must match, not a part
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "naïve Ω 7", True),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "a;b", False),
        (r"([\p{L}]*)${1,128}", "Ω", True),
        (r"[\p{L}]*", "", True),
        (r"arn:[\p{Alnum}\-]+:x", "arn:aws-cn:x", True),
        (r"arn:[\p{Alnum}\-]+:x", "arn:äws:x", False),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a 🌊", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\x00", False),
        ("[unclosed", "anything", True),  # a pattern Python cannot read checks nothing
    ],
)
def test_javas_patterns_are_kept(pattern, value, satisfied):
    assert matches(pattern, value) is satisfied


TOKEN_OF_THE_WRONG_TYPE = base64.b64encode(b'["CreationTime", "yesterday", "x"]').decode()


def listed(cloud, **request):
    answer = cloud.sagemaker.list_processing_jobs(**{"NameContains": "job-"} | request)
    names = [job["ProcessingJobName"] for job in answer["ProcessingJobSummaries"]]
    return names, answer.get("NextToken")


@pytest.fixture(scope="module")
def jobs(cloud):
    """Five jobs, of which the third failed."""
    good, bad = cloud.image("pass"), cloud.image("raise SystemExit(1)")
    for number in range(5):
        name = f"job-{number}"
        cloud.process(bad if number == 2 else good, ProcessingJobName=name)
    for number in range(5):
        cloud.processed(f"job-{number}")
    return cloud


def test_pages_follow_each_other(jobs):
    first, token = listed(jobs, MaxResults=2)
    second, token = listed(jobs, MaxResults=2, NextToken=token)
    third, end = listed(jobs, MaxResults=2, NextToken=token)

    assert [*first, *second, *third] == [f"job-{number}" for number in range(5)]
    assert end is None


def test_what_is_created_between_two_pages_neither_repeats_nor_hides(jobs):
    first, token = listed(jobs, MaxResults=2, SortOrder="Descending")
    jobs.processed(jobs.process(jobs.image("pass"), ProcessingJobName="job-late"))

    second, _ = listed(jobs, MaxResults=10, SortOrder="Descending", NextToken=token)
    jobs.service.context.store.delete("ProcessingJob", "job-late")  # other tests know of five

    assert [*first, *second] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]


def test_lists_are_filtered_by_status_name_and_time(jobs):
    middle = jobs.sagemaker.describe_processing_job(ProcessingJobName="job-2")["CreationTime"]

    assert listed(jobs, StatusEquals="Failed")[0] == ["job-2"]
    assert listed(jobs, NameContains="JOB-4")[0] == ["job-4"]
    assert listed(jobs, CreationTimeAfter=middle)[0][-2:] == ["job-3", "job-4"]
    assert listed(jobs, CreationTimeBefore=datetime(2020, 1, 1, tzinfo=UTC))[0] == []
    assert listed(jobs, LastModifiedTimeBefore=datetime(2020, 1, 1, tzinfo=UTC))[0] == []


def test_lists_are_sorted_as_asked(jobs):
    assert listed(jobs, SortBy="Name", SortOrder="Descending")[0][0] == "job-4"
    assert listed(jobs, SortBy="Status")[0][-1] == "job-2"
    assert listed(jobs)[0] == [f"job-{number}" for number in range(5)]


@pytest.mark.parametrize(
    "token", ["nonsense", "W10=", "8J+YgA==", "bnVsbA==", TOKEN_OF_THE_WRONG_TYPE]
)
def test_a_token_of_no_list_is_refused(cloud, token):
    with pytest.raises(ClientError, match="NextToken is not one that this list gave out"):
        listed(cloud, NextToken=token)


def test_a_token_of_another_order_is_refused(jobs):
    _, token = listed(jobs, MaxResults=2, SortBy="Name")

    with pytest.raises(ClientError, match="keep SortBy and SortOrder the same"):
        listed(jobs, NextToken=token, SortBy="CreationTime")


def test_waiters_and_paginators_of_boto3_work(jobs):
    name = jobs.process(jobs.image("pass"))
    jobs.sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    pages = jobs.sagemaker.get_paginator("list_processing_jobs").paginate(
        NameContains="job-", PaginationConfig={"PageSize": 4}
    )

    assert len([job for page in pages for job in page["ProcessingJobSummaries"]]) == 5


def test_a_role_that_is_none_is_refused(cloud):
    with pytest.raises(ClientError, match="at 'roleArn' failed to satisfy constraint"):
        cloud.sagemaker.create_processing_job(
            ProcessingJobName="x",
            RoleArn="not-an-arn-of-a-role",
            AppSpecification={"ImageUri": "i"},
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                }
            },
        )


def test_a_failing_bus_ends_no_job(make_cloud):
    cloud = make_cloud()
    cloud.events = None  # appending to None raises inside emit
    name = cloud.process(cloud.image("pass"))

    eventually(
        lambda: (
            cloud.sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]
            == "Completed"
        ),
        "the job completes",
    )
