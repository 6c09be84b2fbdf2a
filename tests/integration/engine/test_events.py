"""What S3, alarms and schedules tell, and what happens when nobody can be told."""

import json
import time
from datetime import UTC, datetime, timedelta

from local_cloud import ROLE, create_function, create_queue, receive, subscribe, wait_until

GONE = "arn:aws:{}:us-east-1:000000000000:{}"


def create_lake(cloud, name):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return s3


def test_an_upload_s_event_names_the_version(cloud):
    s3 = create_lake(cloud, "lake-events")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["lake-events"]}}}
    url, _ = subscribe(cloud, "uploads", pattern)

    first = s3.put_object(Bucket="lake-events", Key="raw/a b.csv", Body=b"12345")
    second = s3.put_object(Bucket="lake-events", Key="raw/a b.csv", Body=b"1")

    details = [json.loads(each["Body"])["detail"] for each in receive(cloud, url, 2)]
    by_version = {detail["object"]["version-id"]: detail for detail in details}
    assert set(by_version) == {first["VersionId"], second["VersionId"]}
    told = by_version[first["VersionId"]]
    assert told["object"]["key"] == "raw/a b.csv"
    assert told["object"]["size"] == 5
    assert told["object"]["etag"] == first["ETag"].strip('"')
    assert told["reason"] == "PutObject"
    sequence = [by_version[put["VersionId"]]["object"]["sequencer"] for put in (first, second)]
    assert sequence == sorted(sequence)


def test_anything_but_takes_a_list_of_prefixes(cloud):
    s3 = create_lake(cloud, "lake-guard")
    ours = {"key": [{"anything-but": {"prefix": ["prepared/", "watch/"]}}]}
    pattern = {"detail": {"bucket": {"name": ["lake-guard"]}, "object": ours}}
    url, _ = subscribe(cloud, "guarded", pattern)

    for key in ("prepared/x", "watch/y", "raw/z"):
        s3.put_object(Bucket="lake-guard", Key=key, Body=b"")

    assert json.loads(receive(cloud, url)[0]["Body"])["detail"]["object"]["key"] == "raw/z"
    time.sleep(0.3)
    left = cloud.client("sqs").receive_message(QueueUrl=url)
    assert "Messages" not in left


def alarm(name, **changes):
    return {
        "AlarmName": name, "Namespace": "Tidemill", "MetricName": "Drift", "Statistic": "Maximum",
        "Period": 60, "EvaluationPeriods": 1, "Threshold": 0.2,
        "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "Model", "Value": name}],
    } | changes  # fmt: skip


def measure(cloud, model, value):
    cloud.client("cloudwatch").put_metric_data(Namespace="Tidemill", MetricData=[{
        "MetricName": "Drift", "Value": value, "Dimensions": [{"Name": "Model", "Value": model}],
    }])  # fmt: skip


def test_an_alarm_tells_its_change_of_state(cloud):
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["churn"]}}
    url, _ = subscribe(cloud, "alarms", pattern)
    cloud.client("cloudwatch").put_metric_alarm(**alarm("churn"))

    measure(cloud, "churn", 0.4)

    event = json.loads(receive(cloud, url)[0]["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    metric = event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric["dimensions"] == {"Model": "churn"}
    assert event["resources"][0].endswith(":alarm:churn")


def state_of(cloud, name):
    found = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])
    return found["MetricAlarms"][0]["StateValue"]


def test_an_alarm_looks_at_its_own_dimensions_only(cloud):
    cloud.client("cloudwatch").put_metric_alarm(**alarm("quiet"))

    measure(cloud, "loud", 0.9)
    measure(cloud, "quiet", 0.1)

    assert state_of(cloud, "quiet") == "OK"


def test_two_of_three_periods_make_an_alarm(cloud):
    settings = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2, "Period": 10}
    cloud.client("cloudwatch").put_metric_alarm(**alarm("two-of-three", **settings))
    now = datetime.now(UTC)
    states = []

    for seconds_ago, value in ((25, 0.9), (15, 0.1), (1, 0.9)):
        cloud.client("cloudwatch").put_metric_data(Namespace="Tidemill", MetricData=[{
            "MetricName": "Drift", "Value": value,
            "Timestamp": now - timedelta(seconds=seconds_ago),
            "Dimensions": [{"Name": "Model", "Value": "two-of-three"}],
        }])  # fmt: skip
        states.append(state_of(cloud, "two-of-three"))

    assert states == ["OK", "OK", "ALARM"]


def test_missing_data_is_noticed(cloud):
    cloud.client("cloudwatch").put_metric_alarm(
        **alarm("silent", TreatMissingData="breaching", Period=10)
    )

    wait_until(lambda: state_of(cloud, "silent") == "ALARM", 20)


def test_a_target_that_is_gone_is_told_to_the_dead_letter_queue(cloud):
    for service, resource, code in (
        ("lambda", "function:gone", "NO_RESOURCE"),
        ("states", "stateMachine:gone", "NO_RESOURCE"),
        ("sqs", "gone", "NO_RESOURCE"),
    ):
        url, arn = create_queue(cloud, f"dead-{service}")
        events = cloud.client("events")
        name = f"gone-{service}"
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        target = {
            "Id": "gone", "Arn": GONE.format(service, resource),
            "DeadLetterConfig": {"Arn": arn}, "RetryPolicy": {"MaximumRetryAttempts": 1},
        }  # fmt: skip
        events.put_targets(Rule=name, Targets=[target])

        events.put_events(Entries=[{"Source": name, "DetailType": "T", "Detail": '{"n": 1}'}])

        letter = receive(cloud, url)[0]
        assert json.loads(letter["Body"])["detail"] == {"n": 1}
        attributes = {
            name: each["StringValue"] for name, each in letter["MessageAttributes"].items()
        }
        assert attributes["ERROR_CODE"] == code
        assert attributes["TARGET_ARN"] == target["Arn"]
        assert attributes["RULE_ARN"].endswith(f"rule/{name}")


def test_a_function_behind_a_rule_is_retried(cloud):
    url, arn = create_queue(cloud, "rule-failures")
    function = create_function(
        cloud, "rule-target", "def handler(e, c):\n    raise ValueError('x')"
    )
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName="rule-target", MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )  # fmt: skip
    events = cloud.client("events")
    events.put_rule(Name="to-function", EventPattern='{"source": ["to-function"]}')
    events.put_targets(Rule="to-function", Targets=[{"Id": "f", "Arn": function}])

    events.put_events(Entries=[{"Source": "to-function", "DetailType": "T", "Detail": '{"n": 2}'}])

    letter = json.loads(receive(cloud, url)[0]["Body"])
    assert letter["requestPayload"]["detail"] == {"n": 2}


def test_a_schedule_fires_within_a_second_and_once(own_cloud):
    url, arn = create_queue(own_cloud, "scheduled")
    moment = datetime.now(UTC) + timedelta(seconds=2)
    own_cloud.client("scheduler").create_schedule(
        Name="once", ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": ROLE, "Input": '{"model": "delays"}'},
    )  # fmt: skip

    message = receive(own_cloud, url)[0]
    late = time.time() - moment.replace(microsecond=0).timestamp()
    own_cloud.kill()
    own_cloud.start()
    time.sleep(1.5)

    assert json.loads(message["Body"]) == {"model": "delays"}
    assert late < 1.5
    assert "Messages" not in own_cloud.client("sqs").receive_message(QueueUrl=url)
