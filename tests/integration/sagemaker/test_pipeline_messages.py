"""Lambda and Callback steps: what they send, what they take for an answer, how they end."""

import json
import threading
import uuid

import pytest

from tidemill_local.sagemaker.pipelines import message_steps

from .conftest import ACCOUNT, client_of, eventually
from .fake_aws import FUNCTIONS
from .model_servers import refused
from .pipeline_calls import PIPELINE_EVENT, STEP_EVENT, Pipelines


@pytest.fixture
def pipelines(shared_cloud):
    return Pipelines(shared_cloud, "no-bucket-needed")


@pytest.fixture(scope="module")
def sqs(aws):
    client = client_of("sqs", aws)
    yield client
    client.close()


@pytest.fixture
def queue(sqs):
    return sqs.create_queue(QueueName=f"callbacks-{uuid.uuid4().hex[:8]}")["QueueUrl"]


@pytest.fixture
def function():
    """Register a Python function as a Lambda function; return its ARN."""

    def register(code):
        name = f"function-{uuid.uuid4().hex[:8]}"
        FUNCTIONS[name] = code
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"

    return register


@pytest.fixture
def gate():
    """An event that is set at the test's end, so that no thread waits on."""
    event = threading.Event()
    yield event
    event.set()


def received(sqs, queue):
    """Wait for a message and take it off the queue."""
    found = []

    def take():
        messages = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return bool(found)

    eventually(take, "a message in the queue")
    return found[0]


def said(pipelines, value):
    """Return a Fail step, whose words show what an expression stands for."""
    joined = {"Std:Join": {"On": " ", "Values": value}}
    return {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": joined}}


def output(step, name):
    return {"Get": f"Steps.{step}.OutputParameters['{name}']"}


def test_function_gets_the_arguments_and_its_outputs_have_types(pipelines, function):
    events = []

    def code(event):
        events.append(event)
        return {"rows": 12, "share": 0.5, "ok": True, "text": "words", "count": "7", "more": {}}

    kinds = {
        "rows": "Integer",
        "share": "Float",
        "ok": "Boolean",
        "text": "String",
        "count": "Integer",
    }
    step = pipelines.function(
        "Count",
        function(code),
        kinds,
        {"run": {"Get": "Parameters.RunId"}, "nested": {"list": [1, None, True]}},
    )
    conditions = [
        {"Type": "Equals", "LeftValue": output("Count", name), "RightValue": value}
        for name, value in {"rows": 12, "ok": True, "text": "words", "count": 7}.items()
    ]
    say = said(pipelines, [output("Count", name) for name in kinds])
    arn = pipelines.start(
        pipelines.create(step, pipelines.condition("Gate", *conditions, yes=[say]))
    )
    pipelines.ended(arn)

    assert events == [{"run": "r1", "nested": {"list": [1, None, True]}}]
    steps = pipelines.steps(arn)
    assert steps["Say"]["FailureReason"] == "12 0.5 true words 7"
    texts = {"rows": "12", "share": "0.5", "ok": "true", "text": "words", "count": "7"}
    parameters = [{"Name": name, "Value": value} for name, value in texts.items()]
    assert steps["Count"]["Metadata"] == {
        "Lambda": {"Arn": step["FunctionArn"], "OutputParameters": parameters}
    }
    told = [e for e in pipelines.events(STEP_EVENT, arn) if e["stepName"] == "Count"]
    assert [e["currentStepStatus"] for e in told] == ["Starting", "Executing", "Succeeded"]
    assert told[-1]["stepType"] == "Lambda"
    assert told[-1]["metadata"]["lambda"]["arn"] == step["FunctionArn"]
    assert told[-1]["metadata"]["lambda"]["outputParameters"][0] == {"name": "rows", "value": "12"}


def raising(_):
    raise ValueError("no such table")


@pytest.mark.parametrize(
    ("code", "outputs", "says"),
    [
        (raising, {}, "failed. ValueError: no such table"),
        (lambda _: {}, {"n": "Integer"}, "Output parameter [n] is missing; given: none."),
        (lambda _: {"n": "many"}, {"n": "Integer"}, "[many], which is not of type Integer"),
        (lambda _: {"n": 1.5}, {"n": "Integer"}, "[1.5], which is not of type Integer"),
        (lambda _: {"n": 1}, {"n": "Boolean"}, "[1], which is not of type Boolean"),
        (lambda _: {"n": [1]}, {"n": "String"}, "must be a string, number or boolean"),
        (lambda _: "text", {"n": "String"}, "must answer an object"),
        (lambda _: b"{", {"n": "String"}, "answered what is not JSON"),
        (lambda _: {"n": "x" * 1025}, {"n": "String"}, "longer than 1024"),
    ],
)
def test_function_that_fails_its_step(pipelines, function, code, outputs, says):
    arn = pipelines.start(pipelines.create(pipelines.function("Call", function(code), outputs)))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    step = pipelines.steps(arn)["Call"]
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"].startswith("ClientError: ")
    assert says in step["FailureReason"]


def test_function_that_does_not_exist_fails_its_step(pipelines):
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:nobody"
    run = pipelines.start(pipelines.create(pipelines.function("Call", arn)))
    pipelines.ended(run)

    reason = pipelines.steps(run)["Call"]["FailureReason"]
    assert "Failed to invoke the Lambda function" in reason
    assert "Function not found: nobody" in reason


def test_function_that_does_not_answer_in_time_fails_its_step(
    make_cloud, function, gate, monkeypatch
):
    monkeypatch.setattr(message_steps, "LAMBDA_SECONDS", 0.2)
    pipelines = Pipelines(make_cloud(), "no-bucket-needed")
    step = pipelines.function("Call", function(lambda _: gate.wait() and {}))
    arn = pipelines.start(pipelines.create(step))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert "did not answer within 0.2 s" in pipelines.steps(arn)["Call"]["FailureReason"]


def test_execution_that_stops_waits_for_its_function(pipelines, function, gate):
    called = []

    def code(event):
        called.append(event)
        gate.wait()
        return {}

    name = pipelines.create(
        pipelines.function("Call", function(code)),
        pipelines.function("Later", function(called.append), DependsOn=["Call"]),
    )
    arn = pipelines.start(name)
    eventually(lambda: called, "the function is invoked")

    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    gate.set()

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert pipelines.statuses(arn) == {"Call": "Succeeded"}


def test_callback_sends_its_message_and_takes_the_answer(pipelines, sqs, queue):
    kinds = {"score": "Float", "note": "String"}
    step = pipelines.callback("Ask", queue, kinds, {"run": {"Get": "Parameters.RunId"}})
    say = said(pipelines, [output("Ask", "score"), output("Ask", "note")])
    arn = pipelines.start(pipelines.create(step, say))

    message = received(sqs, queue)

    token = message["token"]
    assert message == {
        "token": token,
        "pipelineExecutionArn": arn,
        "arguments": {"run": "r1"},
        "status": "Executing",
    }
    asked = pipelines.steps(arn)["Ask"]
    assert asked["StepStatus"] == "Executing"
    assert asked["Metadata"] == {"Callback": {"CallbackToken": token, "SqsQueueUrl": queue}}
    answer = pipelines.sagemaker.send_pipeline_execution_step_success
    for given, says in (
        ({"score": "high", "note": "x"}, "[high], which is not of type Float"),
        ({"score": "0.5"}, "Output parameter [note] is missing"),
        ({"score": "0.5", "note": "x", "other": "1"}, "unknown: other"),
    ):
        parameters = [{"Name": name, "Value": value} for name, value in given.items()]
        refused(answer, says, CallbackToken=token, OutputParameters=parameters)
    parameters = [{"Name": "score", "Value": "0.5"}, {"Name": "note", "Value": "fine"}]
    given = {
        "CallbackToken": token,
        "OutputParameters": parameters,
        "ClientRequestToken": "t" * 32,
    }
    assert answer(**given)["PipelineExecutionArn"] == arn
    assert answer(**given)["PipelineExecutionArn"] == arn
    refused(
        pipelines.sagemaker.send_pipeline_execution_step_failure,
        "has been answered: Succeeded",
        code="ConflictException",
        CallbackToken=token,
    )
    pipelines.ended(arn)
    steps = pipelines.steps(arn)
    assert steps["Say"]["FailureReason"] == "0.5 fine"
    assert steps["Ask"]["Metadata"]["Callback"]["OutputParameters"] == parameters
    (last,) = [
        e
        for e in pipelines.events(STEP_EVENT, arn)
        if (e["stepName"], e["currentStepStatus"]) == ("Ask", "Succeeded")
    ]
    assert last["metadata"]["callback"]["callbackToken"] == token


def test_callback_may_be_answered_with_a_failure(pipelines, sqs, queue):
    arn = pipelines.start(pipelines.create(pipelines.callback("Ask", queue)))
    token = received(sqs, queue)["token"]

    pipelines.sagemaker.send_pipeline_execution_step_failure(
        CallbackToken=token, FailureReason="nobody is in"
    )

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert pipelines.steps(arn)["Ask"]["FailureReason"] == "nobody is in"


def test_execution_that_stops_tells_the_queue_and_waits_for_the_answer(pipelines, sqs, queue):
    name = pipelines.create(pipelines.callback("Ask", queue, arguments={"a": 1}))
    arn = pipelines.start(name)
    first = received(sqs, queue)

    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)

    assert received(sqs, queue) == first | {"status": "Stopping"}
    described = pipelines.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Stopping"
    assert pipelines.statuses(arn) == {"Ask": "Stopping"}
    pipelines.sagemaker.send_pipeline_execution_step_success(CallbackToken=first["token"])
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert pipelines.statuses(arn) == {"Ask": "Stopped"}
    changes = [e["currentPipelineExecutionStatus"] for e in pipelines.events(PIPELINE_EVENT, arn)]
    assert changes == ["Executing", "Stopping", "Stopped"]


def test_queue_that_does_not_exist_fails_the_step(pipelines, aws):
    step = pipelines.callback("Ask", f"{aws}/{ACCOUNT}/nobody")
    arn = pipelines.start(pipelines.create(step))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert "Failed to send a message" in pipelines.steps(arn)["Ask"]["FailureReason"]


def test_token_that_nobody_has(pipelines):
    for call in (
        pipelines.sagemaker.send_pipeline_execution_step_success,
        pipelines.sagemaker.send_pipeline_execution_step_failure,
    ):
        refused(call, "does not exist", code="ResourceNotFound", CallbackToken="a" * 10)


def test_deleted_pipeline_takes_its_tokens_along(pipelines, sqs, queue):
    name = pipelines.create(pipelines.callback("Ask", queue))
    arn = pipelines.start(name)
    token = received(sqs, queue)["token"]
    pipelines.sagemaker.send_pipeline_execution_step_success(CallbackToken=token)
    pipelines.ended(arn)

    pipelines.sagemaker.delete_pipeline(PipelineName=name)

    refused(
        pipelines.sagemaker.send_pipeline_execution_step_success,
        "does not exist",
        code="ResourceNotFound",
        CallbackToken=token,
    )
