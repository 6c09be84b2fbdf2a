"""Dead letters, failed workflows and log lines raise the alarms that the template has on them."""

import json

import pytest

from local_cloud import (
    create_function,
    create_queue,
    create_state_machine,
    receive,
    run_state_machine,
)

SECONDS = 60.0


@pytest.fixture
def alarm(cloud):
    """Create an alarm like the template's; return how to wait until its topic has told a queue."""

    def create(name, namespace, metric, dimensions, statistic):
        sns = cloud.client("sns")
        inbox, arn = create_queue(cloud, f"{name}-inbox")
        topic = sns.create_topic(Name=f"{name}-topic")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            Statistic=statistic,
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
        )

        def told():
            (letter,) = receive(cloud, inbox, seconds=SECONDS)
            return json.loads(json.loads(letter["Body"])["Message"])

        return told

    return create


def test_a_poisoned_message_ends_as_an_alarm(cloud, alarm):
    _, grave = create_queue(cloud, "poison-dead")
    told = alarm(
        "poisoned", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
        {"QueueName": "poison-dead"}, "Maximum",
    )  # fmt: skip
    redrive = {"deadLetterTargetArn": grave, "maxReceiveCount": 2}
    queue, source = create_queue(cloud, "poison")
    cloud.client("sqs").set_queue_attributes(
        QueueUrl=queue,
        Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)},
    )
    create_function(cloud, "chokes", "def handler(event, context):\n    raise ValueError('no')")
    cloud.client("lambda").create_event_source_mapping(
        FunctionName="chokes", EventSourceArn=source, BatchSize=1
    )
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="poison")

    message = told()

    assert message["AlarmName"] == "poisoned"
    assert message["NewStateValue"] == "ALARM"


def test_a_failed_execution_ends_as_an_alarm(cloud, alarm):
    machine = create_state_machine(
        cloud,
        "fails",
        {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "No", "Cause": "no"}}},
    )
    told = alarm("failed", "AWS/States", "ExecutionsFailed", {"StateMachineArn": machine}, "Sum")

    assert run_state_machine(cloud, machine)["status"] == "FAILED"
    assert told()["NewStateValue"] == "ALARM"


def test_a_metric_in_a_log_line_is_a_metric(cloud, alarm):
    code = """
import json, time
def handler(event, context):
    print("a line of text about CloudWatchMetrics")
    seen = [{"Name": "Seen", "Unit": "Count"}]
    metrics = {"Namespace": "Test", "Dimensions": [["stack"]], "Metrics": seen}
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metrics]}}
    print(json.dumps({**line, "stack": "one", "Seen": [2, 3]}))
"""
    create_function(cloud, "measures", code)
    told = alarm("measured", "Test", "Seen", {"stack": "one"}, "Sum")
    cloud.client("lambda").invoke(FunctionName="measures", Payload=b"{}")

    assert "5" in told()["NewStateReason"]
