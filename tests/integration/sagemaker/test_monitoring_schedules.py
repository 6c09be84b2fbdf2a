"""The operations on monitoring schedules and what they run, and what they refuse."""

import time

import pytest
from botocore.exceptions import ClientError

from .conftest import ROLE
from .monitored_endpoint import HOUR, NOW, Monitored, code, next_hour


@pytest.fixture
def monitored(cloud, s3, bucket):
    return Monitored(cloud, s3, bucket)


def test_now_runs_once_and_again_when_it_is_started(monitored):
    monitored.put_traffic(time.time())
    monitored.run_now()

    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName="now")
    assert described["MonitoringScheduleStatus"] == "Stopped"
    assert described["LastMonitoringExecutionSummary"]["MonitoringExecutionStatus"] == "Completed"

    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="now")
    monitored.ended("now", count=2)
    assert len(monitored.executions("now")) == 2


def test_a_stopped_schedule_does_not_run_until_it_is_started(monitored):
    hour = next_hour()
    monitored.create()
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName="hourly")

    monitored.look(hour + 10)
    assert monitored.executions("hourly") == []
    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="hourly")
    monitored.look(hour + 10)

    assert monitored.ended("hourly")["MonitoringExecutionStatus"] == "Failed"


def test_an_update_changes_what_runs(monitored):
    monitored.create()
    changed = monitored.definition(Environment={"mine": "changed"})
    monitored.sagemaker.update_monitoring_schedule(
        MonitoringScheduleName="hourly",
        MonitoringScheduleConfig={
            "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
            "MonitoringJobDefinition": changed,
        },
    )
    hour = next_hour()
    monitored.put_traffic(hour - HOUR)

    monitored.look(hour + 10)
    monitored.ended("hourly")

    assert monitored.told()[1]["environment"]["mine"] == "changed"


def test_a_deleted_schedule_is_gone_and_its_executions_are_not(monitored):
    monitored.create()
    monitored.look(next_hour() + 10)
    monitored.ended("hourly")

    monitored.sagemaker.delete_monitoring_schedule(MonitoringScheduleName="hourly")

    for ask in (
        monitored.sagemaker.describe_monitoring_schedule,
        monitored.sagemaker.stop_monitoring_schedule,
        monitored.sagemaker.start_monitoring_schedule,
        monitored.sagemaker.delete_monitoring_schedule,
    ):
        with pytest.raises(ClientError) as raised:
            ask(MonitoringScheduleName="hourly")
        assert code(raised) == "ResourceNotFound"
    assert len(monitored.executions("hourly")) == 1
    monitored.create()
    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName="hourly")
    assert "LastMonitoringExecutionSummary" not in described


def test_lists_have_pages_and_filters(monitored):
    names = [monitored.create(f"schedule-{number}") for number in range(3)]
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName=names[0])

    pages = monitored.sagemaker.get_paginator("list_monitoring_schedules").paginate(
        PaginationConfig={"PageSize": 2}
    )
    listed = [
        one["MonitoringScheduleName"]
        for page in pages
        for one in page["MonitoringScheduleSummaries"]
    ]
    assert listed == names[::-1]
    ask = monitored.sagemaker.list_monitoring_schedules
    assert len(ask(StatusEquals="Stopped")["MonitoringScheduleSummaries"]) == 1
    assert len(ask(EndpointName=monitored.endpoint)["MonitoringScheduleSummaries"]) == 3
    assert ask(EndpointName="other")["MonitoringScheduleSummaries"] == []
    assert ask(NameContains="ule-2")["MonitoringScheduleSummaries"][0]["EndpointName"]

    hour = next_hour()
    monitored.look(hour + 10)
    for name in names[1:]:
        monitored.ended(name)
    ask = monitored.sagemaker.list_monitoring_executions
    assert len(ask(EndpointName=monitored.endpoint)["MonitoringExecutionSummaries"]) == 2
    assert ask(StatusEquals="Completed")["MonitoringExecutionSummaries"] == []
    assert ask(ScheduledTimeAfter=hour)["MonitoringExecutionSummaries"] == []
    first = ask(MaxResults=1, SortBy="ScheduledTime")
    second = ask(MaxResults=1, SortBy="ScheduledTime", NextToken=first["NextToken"])
    both = first["MonitoringExecutionSummaries"] + second["MonitoringExecutionSummaries"]
    assert {one["MonitoringScheduleName"] for one in both} == set(names[1:])


def test_a_name_is_taken_whatever_its_letters(monitored):
    monitored.create("hourly")
    with pytest.raises(ClientError) as raised:
        monitored.create("Hourly")
    assert code(raised) == "ResourceInUse"


def test_a_data_quality_job_definition_runs_by_its_name(monitored):
    held = monitored.definition()
    monitored.sagemaker.create_data_quality_job_definition(
        JobDefinitionName="quality",
        DataQualityAppSpecification={"ImageUri": monitored.telling, "Environment": {"mine": "own"}},
        DataQualityJobInput=held["MonitoringInputs"][0],
        DataQualityJobOutputConfig=held["MonitoringOutputConfig"],
        JobResources=held["MonitoringResources"],
        RoleArn=ROLE,
    )
    monitored.put_traffic(time.time())
    monitored.sagemaker.create_monitoring_schedule(
        MonitoringScheduleName="named",
        MonitoringScheduleConfig={
            "ScheduleConfig": NOW,
            "MonitoringJobDefinitionName": "quality",
            "MonitoringType": "DataQuality",
        },
    )

    execution = monitored.ended("named")

    assert execution["MonitoringExecutionStatus"] == "Completed"
    assert execution["MonitoringJobDefinitionName"] == "quality"
    assert monitored.told()[1]["environment"]["mine"] == "own"
    described = monitored.sagemaker.describe_data_quality_job_definition(
        JobDefinitionName="quality"
    )
    assert described["RoleArn"] == ROLE
    listed = monitored.sagemaker.list_data_quality_job_definitions()["JobDefinitionSummaries"]
    assert [one["MonitoringJobDefinitionName"] for one in listed] == ["quality"]

    monitored.sagemaker.delete_data_quality_job_definition(JobDefinitionName="quality")
    with pytest.raises(ClientError) as raised:
        monitored.sagemaker.describe_data_quality_job_definition(JobDefinitionName="quality")
    assert code(raised) == "ResourceNotFound"
    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName="named")
    last = monitored.ended("named", count=2)
    assert last["FailureReason"] == "The monitoring job definition quality was deleted"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"MonitoringInputs": [{}]}, "not batch transform jobs"),
        ({"BaselineConfig": {"BaseliningJobName": "x"}}, "BaseliningJobName"),
        (
            {
                "MonitoringAppSpecification": {
                    "ImageUri": "x",
                    "RecordPreprocessorSourceUri": "s3://b/x.py",
                }
            },
            "RecordPreprocessorSourceUri",
        ),
        (
            {
                "MonitoringResources": {
                    "ClusterConfig": {
                        "InstanceCount": 2,
                        "InstanceType": "ml.m5.large",
                        "VolumeSizeInGB": 1,
                    }
                }
            },
            "one instance",
        ),
        (
            {"MonitoringInputs": [{"EndpointInput": {"EndpointName": "x", "LocalPath": "/tmp/x"}}]},
            "below /opt/ml/processing",
        ),
        (
            {
                "MonitoringInputs": [
                    {"EndpointInput": {"EndpointName": "x", "LocalPath": "/opt/ml/processing/in"}}
                ]
            },
            "Could not find endpoint",
        ),
    ],
)
def test_what_could_not_run_is_refused_at_once(monitored, changes, said):
    with pytest.raises(ClientError, match=said) as raised:
        monitored.create(definition=monitored.definition(**changes))
    assert code(raised) == "ValidationException"
    assert monitored.sagemaker.list_monitoring_schedules()["MonitoringScheduleSummaries"] == []


def test_an_endpoint_that_captures_nothing_cannot_be_monitored(monitored):
    monitored.endpoint = monitored.hosting.endpoint()
    with pytest.raises(ClientError, match="does not have data capture enabled"):
        monitored.create()


def test_an_endpoint_that_was_deleted_fails_the_execution(monitored):
    monitored.create()
    monitored.sagemaker.delete_endpoint(EndpointName=monitored.endpoint)
    monitored.hosting.settled(monitored.endpoint)

    monitored.look(next_hour() + 10)

    assert "is gone" in monitored.ended("hourly")["FailureReason"]
