"""Nothing that waits for a person waits unseen: dead letters, failed workflows, old messages."""

import pytest

from .template_model import load_translated, of_type, references

EXPANDED = load_translated()
QUEUES = of_type(EXPANDED, "AWS::SQS::Queue")
FUNCTIONS = of_type(EXPANDED, "AWS::Lambda::Function")
MACHINES = of_type(EXPANDED, "AWS::StepFunctions::StateMachine")
ALARMS = of_type(EXPANDED, "AWS::CloudWatch::Alarm")
TOPICS = of_type(EXPANDED, "AWS::SNS::Topic")


def dead_letter_queues():
    """Return every queue that takes what another queue, rule, schedule or function gave up on."""
    graves = {r for q in QUEUES.values() for r in references(q["Properties"].get("RedrivePolicy"))}
    for name, resource in EXPANDED["Resources"].items():
        if name not in QUEUES and name not in ALARMS:
            graves |= buried(resource["Properties"])
    return graves & QUEUES.keys()


def buried(node):
    """Return what a resource names, at any depth, as the place for what it gave up on."""
    if isinstance(node, list):
        return {name for each in node for name in buried(each)}
    if not isinstance(node, dict):
        return set()
    found = {name for each in node.values() for name in buried(each)}
    for key in ("DeadLetterConfig", "OnFailure"):
        found |= set(references(node.get(key)))
    return found


DEAD = dead_letter_queues()


def alarms_on(metric, resource):
    return [
        alarm["Properties"]
        for alarm in ALARMS.values()
        if alarm["Properties"].get("MetricName") == metric
        and any(
            resource in references(dimension["Value"])
            for dimension in alarm["Properties"].get("Dimensions", [])
        )
    ]


def asynchronous():
    """Return the functions that something invokes without waiting: rules, schedules, services."""
    called = set()
    for rule in of_type(EXPANDED, "AWS::Events::Rule").values():
        for target in rule["Properties"].get("Targets", []):
            called |= set(references(target["Arn"]))
    for schedule in of_type(EXPANDED, "AWS::Scheduler::Schedule").values():
        called |= set(references(schedule["Properties"]["Target"]["Arn"]))
    return sorted(called & FUNCTIONS.keys())


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_has_dead_letters_or_takes_them(queue):
    redrive = QUEUES[queue]["Properties"].get("RedrivePolicy")
    assert queue in DEAD or set(references(redrive)) & QUEUES.keys()


@pytest.mark.parametrize("queue", sorted(DEAD))
def test_one_dead_letter_raises_an_alarm(queue):
    (alarm,) = alarms_on("ApproximateNumberOfMessagesVisible", queue)
    assert alarm["Namespace"] == "AWS/SQS"
    assert alarm["Threshold"] == 0
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("metric", ["ExecutionsFailed", "ExecutionsTimedOut"])
def test_a_workflow_that_fails_raises_an_alarm(machine, metric):
    (alarm,) = alarms_on(metric, machine)
    assert alarm["Namespace"] == "AWS/States"


def test_uploads_that_wait_too_long_raise_an_alarm():
    assert alarms_on("ApproximateAgeOfOldestMessage", "IntakeQueue")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_the_topic_and_what_to_do(name):
    alarm = ALARMS[name]["Properties"]
    assert set(references(alarm["AlarmActions"])) & TOPICS.keys()
    assert len(alarm["AlarmDescription"]) > 30
    assert alarm["TreatMissingData"] == "notBreaching", "an idle stack is no emergency"


@pytest.mark.parametrize("function", asynchronous())
def test_an_asynchronous_call_says_how_often_it_is_tried_and_where_it_ends(function):
    (config,) = [
        config["Properties"]
        for config in of_type(EXPANDED, "AWS::Lambda::EventInvokeConfig").values()
        if function in references(config["Properties"]["FunctionName"])
    ]
    assert {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} <= config.keys()
    assert set(references(config["DestinationConfig"]["OnFailure"])) & DEAD


@pytest.mark.parametrize(
    "source",
    [
        name
        for name, mapping in of_type(EXPANDED, "AWS::Lambda::EventSourceMapping").items()
        if not set(references(mapping["Properties"]["EventSourceArn"])) & QUEUES.keys()
    ],
)
def test_a_stream_is_not_held_up_by_what_a_function_fails_on(source):
    mapping = of_type(EXPANDED, "AWS::Lambda::EventSourceMapping")[source]["Properties"]
    assert {"MaximumRetryAttempts", "MaximumRecordAgeInSeconds"} & mapping.keys()
    assert set(references(mapping["DestinationConfig"]["OnFailure"])) & DEAD
