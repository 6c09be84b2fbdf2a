"""Executions behave as on AWS where ministack's own do not."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from local_cloud import (
    create_function,
    create_queue,
    create_state_machine,
    finished,
    receive,
    run_state_machine,
    subscribe,
    wait_until,
)

WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
RAISE = """
class DriftError(Exception):
    pass
def handler(event, context):
    raise DriftError("psi")
"""
LAMBDA = "arn:aws:states:::lambda:invoke"


def test_an_error_is_caught_by_its_class_name(cloud):
    arn = create_function(cloud, "raises", RAISE)
    definition = {
        "StartAt": "Run",
        "States": {
            "Run": {
                "Type": "Task",
                "Resource": LAMBDA,
                "Arguments": {"FunctionName": arn, "Payload": {}},
                "Catch": [{
                    "ErrorEquals": ["DriftError"],
                    "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                    "Next": "Caught",
                }],
                "Next": "Missed",
            },
            "Caught": {"Type": "Succeed"},
            "Missed": {"Type": "Fail"},
        },
    }  # fmt: skip

    execution = run_state_machine(cloud, create_state_machine(cloud, "catches", definition))

    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"]) == "psi"


def test_starting_twice_while_running_is_starting_once(cloud):
    client = cloud.client("stepfunctions")
    arn = create_state_machine(cloud, "start-once", WAIT)

    first = client.start_execution(stateMachineArn=arn, name="run-1", input='{"a": 1}')
    again = client.start_execution(stateMachineArn=arn, name="run-1", input='{"a":1}')
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=arn, name="run-1", input='{"a": 2}')
    client.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=arn, name="run-1", input='{"a": 1}')

    assert again["executionArn"] == first["executionArn"]
    assert again["startDate"] == first["startDate"]


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_each_end_is_told_to_rules(cloud, end):
    states = {
        "SUCCEEDED": {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}},
        "FAILED": {
            "StartAt": "F",
            "States": {"F": {"Type": "Fail", "Error": "Bad", "Cause": "very"}},
        },
        "TIMED_OUT": WAIT | {"TimeoutSeconds": 1},
        "ABORTED": WAIT,
    }
    arn = create_state_machine(cloud, f"ends-{end}", states[end])
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [arn], "status": [end]},
    }
    url, _ = subscribe(cloud, f"ends-{end}", pattern)
    client = cloud.client("stepfunctions")

    started = client.start_execution(stateMachineArn=arn, input='{"run": 1}')["executionArn"]
    if end == "ABORTED":
        client.stop_execution(executionArn=started)
    execution = finished(cloud, started)

    assert execution["status"] == end
    detail = json.loads(receive(cloud, url)[0]["Body"])["detail"]
    assert detail["executionArn"] == started
    assert detail["input"] == '{"run": 1}'
    assert isinstance(detail["stopDate"], int)
    if end == "FAILED":
        assert (detail["error"], detail["cause"]) == ("Bad", "very")


def callback(function, **fields):
    return {
        "Type": "Task",
        "Resource": f"{LAMBDA}.waitForTaskToken",
        "Arguments": {
            "FunctionName": function,
            "Payload": {"token": "{% $states.context.Task.Token %}"},
        },
        "End": True,
    } | fields


def only(state):
    return {"StartAt": "Only", "States": {"Only": state}}


def test_a_callback_whose_function_fails_does_not_wait(cloud):
    arn = create_function(cloud, "callback-raises", RAISE)
    machine = create_state_machine(cloud, "callback-fails", only(callback(arn)))

    execution = run_state_machine(cloud, machine, seconds=10)

    assert execution["error"] == "DriftError"


def park(cloud, name):
    """A function that passes its token on to a queue."""
    url, _ = create_queue(cloud, name)
    code = f"""
import boto3
sqs = boto3.client("sqs")
def handler(event, context):
    sqs.send_message(QueueUrl={url!r}, MessageBody=event["token"])
"""
    return create_function(cloud, name, code), url


def test_a_token_is_answered(cloud):
    arn, url = park(cloud, "parks")
    client = cloud.client("stepfunctions")
    machine = create_state_machine(cloud, "callback", only(callback(arn)))
    started = client.start_execution(stateMachineArn=machine)["executionArn"]
    token = receive(cloud, url)[0]["Body"]

    client.send_task_success(taskToken=token, output='{"answer": 42}')

    assert json.loads(finished(cloud, started)["output"]) == {"answer": 42}
    with pytest.raises(ClientError, match="TaskDoesNotExist"):
        client.send_task_success(taskToken=token, output="{}")


@pytest.mark.parametrize(
    ("limit", "error"),
    [({"TimeoutSeconds": 1}, "States.Timeout"),
     ({"TimeoutSeconds": 60, "HeartbeatSeconds": 1}, "States.HeartbeatTimeout")],
)  # fmt: skip
def test_a_token_that_nobody_answers_times_out(cloud, limit, error):
    name = f"unanswered-{len(limit)}"
    arn, _ = park(cloud, name)
    machine = create_state_machine(cloud, name, only(callback(arn, **limit)))

    execution = run_state_machine(cloud, machine, seconds=15)

    assert execution["error"] == error


def test_stopping_frees_the_token(cloud):
    arn, url = park(cloud, "freed")
    client = cloud.client("stepfunctions")
    machine = create_state_machine(cloud, "freed", only(callback(arn)))
    started = client.start_execution(stateMachineArn=machine)["executionArn"]
    token = receive(cloud, url)[0]["Body"]

    client.stop_execution(executionArn=started)

    def refused():
        try:
            client.send_task_success(taskToken=token, output="{}")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    assert wait_until(refused) == "TaskDoesNotExist"


def test_a_parallel_state_speaks_jsonata(cloud):
    branch = {
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "Output": "{% $states.input.n * 2 %}", "End": True}},
    }
    definition = {
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Arguments": {"n": "{% $states.input.start + 1 %}"},
                "Branches": [branch, branch],
                "Output": "{% $sum($states.result) %}",
                "Assign": {"kept": "{% $states.result[0] %}"},
                "Next": "Show",
            },
            "Show": {
                "Type": "Pass",
                "Output": {"sum": "{% $states.input %}", "kept": "{% $kept %}"},
                "End": True,
            },
        },
    }

    execution = run_state_machine(
        cloud, create_state_machine(cloud, "parallel", definition), {"start": 1}
    )

    assert json.loads(execution["output"]) == {"sum": 8, "kept": 4}


def test_one_failed_branch_ends_the_others(cloud):
    definition = only({
        "Type": "Parallel",
        "Branches": [WAIT, {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "First"}}}],
        "End": True,
    })  # fmt: skip
    started = time.monotonic()

    execution = run_state_machine(cloud, create_state_machine(cloud, "one-fails", definition))

    assert execution["error"] == "First"
    assert time.monotonic() - started < 10


def test_the_context_has_role_and_redrives(cloud):
    output = (
        "{% $states.context.Execution.RoleArn & ' ' & $states.context.Execution.RedriveCount %}"
    )
    definition = only({"Type": "Pass", "Output": output, "End": True})

    execution = run_state_machine(cloud, create_state_machine(cloud, "context", definition))

    assert json.loads(execution["output"]).endswith("role/anything 0")
