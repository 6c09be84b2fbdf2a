"""
What CloudFormation gets: rules, targets and event sources as SAM writes them out.

cfn-lint checks `AWS::Serverless::*` only loosely, so it reads the expanded template too.
"""

import pytest

from .template_model import lint, load_translated, of_type, references

MOST_RESOURCES = 500  # CloudFormation's own limit
IGNORED = {
    # rule: why it does not apply
}
QUEUE_FACTOR = 6
"""AWS's advice: a batch that throttling sends back must not come up again while it is tried."""

DEFAULT_BATCH = 10

EXPANDED = load_translated()


def targets():
    """Return every target of every rule and schedule by `rule/target`."""
    rules = of_type(EXPANDED, "AWS::Events::Rule")
    found = {
        f"{name}/{target['Id']}": target
        for name, rule in rules.items()
        for target in rule["Properties"].get("Targets", [])
    }
    for name, schedule in of_type(EXPANDED, "AWS::Scheduler::Schedule").items():
        found[name] = schedule["Properties"]["Target"]
    return found


TARGETS = targets()
SOURCES = of_type(EXPANDED, "AWS::Lambda::EventSourceMapping")
QUEUES = of_type(EXPANDED, "AWS::SQS::Queue")


def one(names, kinds):
    """Return the one name that is a resource of these kinds."""
    (found,) = set(names) & kinds.keys()
    return found


def test_there_are_targets_and_event_sources():
    assert TARGETS
    assert SOURCES


def test_cfn_lint_accepts_the_source(template):
    assert lint(template, tuple(IGNORED)) == []


def test_cfn_lint_accepts_the_expansion(translated):
    assert lint(translated, tuple(IGNORED)) == []


def test_it_stays_within_one_stack(translated):
    assert len(translated["Resources"]) <= MOST_RESOURCES


@pytest.mark.parametrize("target", TARGETS)
def test_an_event_that_cannot_be_delivered_is_kept(target):
    queue = TARGETS[target].get("DeadLetterConfig", {}).get("Arn")
    assert set(references(queue)) & QUEUES.keys(), "no DeadLetterConfig"
    retry = TARGETS[target].get("RetryPolicy", {})
    assert {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} & retry.keys(), "no RetryPolicy"


@pytest.mark.parametrize("target", TARGETS)
def test_an_event_that_a_function_fails_on_is_kept(target, translated):
    """EventBridge's own queue does not see it: Lambda has taken the event by then."""
    functions = of_type(translated, "AWS::Lambda::Function")
    called = set(references(TARGETS[target]["Arn"])) & functions.keys()
    for name in called:
        queue = functions[name]["Properties"].get("DeadLetterConfig", {}).get("TargetArn")
        configs = [
            config["Properties"]
            for config in of_type(translated, "AWS::Lambda::EventInvokeConfig").values()
            if name in references(config["Properties"]["FunctionName"])
        ]
        failure = [config.get("DestinationConfig", {}).get("OnFailure") for config in configs]
        assert queue or any(failure), f"{name} has no destination for what it fails on"


@pytest.mark.parametrize("source", SOURCES)
def test_a_queue_outwaits_its_function_and_sets_poison_aside(source, translated):
    mapping = SOURCES[source]["Properties"]
    if not set(references(mapping["EventSourceArn"])) & QUEUES.keys():
        pytest.skip("a stream, not a queue")
    queue = QUEUES[one(references(mapping["EventSourceArn"]), QUEUES)]["Properties"]
    functions = of_type(translated, "AWS::Lambda::Function")
    function = functions[one(references(mapping["FunctionName"]), functions)]["Properties"]

    waits = QUEUE_FACTOR * function["Timeout"] + mapping.get("MaximumBatchingWindowInSeconds", 0)
    assert queue.get("VisibilityTimeout", 30) >= waits
    assert set(references(queue.get("RedrivePolicy"))) & QUEUES.keys(), "no RedrivePolicy"
    if mapping.get("BatchSize", DEFAULT_BATCH) > 1:  # else one bad message brings back good ones
        assert mapping.get("FunctionResponseTypes") == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("name", QUEUES)
def test_a_dead_letter_queue_keeps_letters_as_long_as_it_can(name):
    """A letter keeps the age it had, so a shorter time than the queue's own would lose it."""
    dead = {
        letter
        for queue in QUEUES.values()
        for letter in references(queue["Properties"].get("RedrivePolicy"))
    } | {r for t in TARGETS.values() for r in references(t.get("DeadLetterConfig"))}
    if name in dead:
        assert QUEUES[name]["Properties"].get("MessageRetentionPeriod") == 14 * 24 * 3600
