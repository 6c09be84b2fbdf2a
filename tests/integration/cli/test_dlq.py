"""`dlq`: looking takes nothing away, sending again loses nothing."""

import json
import time

import boto3
import pytest

from tidemill_cli.dead_letters import DeadLetters

from .conftest import deployed, physical

DEAD = "IntakeDeadLetters"
SWEEP = (
    f"arn:aws:lambda:{deployed.REGION}:{deployed.ACCOUNT}:function:"
    f"{physical('SweepFunction', 'AWS::Serverless::Function')}"
)


class Queues:
    """The stack's queues, as tests fill them and look into them."""

    def __init__(self, names):
        self._sqs = boto3.client("sqs")
        self._urls = {name: self._sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}

    def serve(self, source, dead):
        policy = {"deadLetterTargetArn": deployed.queue_arn(dead), "maxReceiveCount": 5}
        self._sqs.set_queue_attributes(
            QueueUrl=self._urls[source], Attributes={"RedrivePolicy": json.dumps(policy)}
        )

    def put(self, name, body, **attributes):
        text = body if isinstance(body, str) else json.dumps(body)
        given = {key: {"DataType": "String", "StringValue": v} for key, v in attributes.items()}
        return self._sqs.send_message(
            QueueUrl=self._urls[name], MessageBody=text, MessageAttributes=given
        )["MessageId"]

    def bodies(self, name):
        found = []
        while batch := self._sqs.receive_message(
            QueueUrl=self._urls[name], MaxNumberOfMessages=10
        ).get("Messages"):
            found += [message["Body"] for message in batch]
        return sorted(found)


@pytest.fixture
def queues(cloud, template, stack):
    resources = template["Resources"]
    queues = Queues([n for n, body in resources.items() if body["Type"] == "AWS::SQS::Queue"])
    for name, body in resources.items():
        policy = body.get("Properties", {}).get("RedrivePolicy")
        if policy:
            target = policy["deadLetterTargetArn"]["Fn::GetAtt"]
            dead = target[0] if isinstance(target, list) else target.partition(".")[0]
            queues.serve(name, dead)
    # As CloudFormation lists it: SAM's type is a function once it is deployed.
    stack.resources = tuple(
        type(item)(item.logical, item.physical, "AWS::Lambda::Function", item.status)
        if item.type == "AWS::Serverless::Function"
        else item
        for item in stack.resources
    )
    return queues


@pytest.fixture
def by_hand(cloud):
    """As on an engine that does not know StartMessageMoveTask."""
    for _ in range(3):
        cloud.refuse("sqs", "StartMessageMoveTask", "InvalidAction")


def test_every_dead_letter_queue_of_the_template_is_shown(document, documented, queues, template):
    rows = document("dlq", "show")

    assert {row["queue"] for row in rows} == {
        name for name in template["Resources"] if name.endswith("DeadLetters")
    }
    assert tuple(rows[0]) == documented("dlq show")
    assert (rows[0]["queue"], rows[0]["source"], rows[0]["waiting"]) == (DEAD, "IntakeQueue", 0)


def test_what_waits_is_shown_and_stays(run, document, documented, queues):
    for number in range(12):
        queues.put(DEAD, {"n": number})

    for _ in range(2):
        (row,) = document("dlq", "show", DEAD, "--most", "11")
        assert (row["waiting"], len(row["messages"])) == (12, 11)
    assert tuple(row["messages"][0]) == documented("dlq show", "messages")
    assert row["since"] == min(message["sent"] for message in row["messages"])
    assert "`tidemill dlq redrive`" in run("dlq", "show").stderr
    assert len(queues.bodies(DEAD)) == 12


def test_a_long_body_is_shortened_for_people_only(run, document, queues):
    queues.put(DEAD, "x" * 500)

    assert "x" * 300 + "…" in run("dlq", "show").stdout
    assert document("dlq", "show", DEAD)[0]["messages"][0]["body"] == "x" * 500


def test_it_says_why_where_the_sender_wrote_it(document, queues):
    queues.put(
        "EventDeadLetters", {"detail": {}}, ERROR_CODE="NO_RESOURCE", ERROR_MESSAGE="no such queue"
    )
    called = {
        "requestContext": {"functionArn": SWEEP, "condition": "RetriesExhausted"},
        "requestPayload": {},
        "responsePayload": {"errorType": "RuntimeError", "errorMessage": "the sweep failed"},
    }
    queues.put("EventDeadLetters", called)

    (row,) = document("dlq", "show", "eventdeadletters")

    assert {message["why"] for message in row["messages"]} == {
        "NO_RESOURCE: no such queue",
        "RuntimeError: the sweep failed",
    }


def test_it_says_why_where_a_function_logged_it(run, queues):
    message = queues.put(DEAD, "not ours")
    group = physical("Logs", "AWS::Logs::LogGroup")
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    line = {
        "level": "ERROR",
        "message": "upload_not_judged",
        "message_id": message,
        "exception": "Traceback\n  File app.py\nValueError: no bucket in it",
    }
    at = int(time.time() * 1000) + 50
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": at, "message": json.dumps(line)}],
    )

    assert "why   ValueError: no bucket in it" in run("dlq", "show", "IntakeQueue").stdout


def test_a_queue_that_is_not_there_is_malformed(run, queues):
    answer = run("dlq", "show", "Intake")

    assert answer.exit_code == 2
    assert "no dead-letter queue Intake; the stack's: IntakeDeadLetters" in answer.stderr


def test_redriving_wants_consent(run, queues):
    queues.put(DEAD, "a")

    answer = run("dlq", "redrive")

    assert answer.exit_code == 2
    assert "sends 1 message again; add --yes" in answer.stderr
    assert queues.bodies(DEAD) == ["a"]


def test_messages_go_back_to_their_queue(document, documented, queues, by_hand):
    for number in range(25):
        queues.put(DEAD, str(number))

    (row,) = document("dlq", "redrive", "--yes")

    assert tuple(row) == documented("dlq redrive")
    assert (row["queue"], row["to"], row["moved"], row["kept"]) == (DEAD, ["IntakeQueue"], 25, 0)
    assert queues.bodies("IntakeQueue") == sorted(map(str, range(25)))
    assert queues.bodies(DEAD) == []


def test_a_message_is_deleted_only_after_it_was_sent(run, cloud, queues, by_hand):
    queues.put(DEAD, "a")
    cloud.refuse("sqs", "SendMessage", "AWS.SimpleQueueService.QueueDoesNotExist", message="gone")

    answer = run("dlq", "redrive", "--yes")

    assert answer.exit_code == 1
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=deployed.queue_url(DEAD),
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    assert sum(map(int, attributes.values())) == 1


def test_events_go_to_their_rules_target_and_calls_to_their_function(
    run, queues, functions, monkeypatch
):
    called = []
    monkeypatch.setattr(functions, "invoke", lambda **request: called.append(request))
    event = {"detail-type": "Object Created"}
    queues.put("EventDeadLetters", event, TARGET_ARN=deployed.queue_arn("IntakeQueue"))
    envelope = {"requestContext": {"functionArn": f"{SWEEP}:$LATEST"}, "requestPayload": {"a": 1}}
    queues.put("EventDeadLetters", envelope)
    queues.put("EventDeadLetters", "scheduled", TARGET_ARN=SWEEP)

    answer = run("dlq", "redrive", "EventDeadLetters", "--yes")

    assert answer.exit_code == 0, answer.output
    assert [json.loads(body) for body in queues.bodies("IntakeQueue")] == [event]
    assert {request["Payload"] for request in called} == {b'{"a": 1}', b"scheduled"}
    assert {request["InvocationType"] for request in called} == {"Event"}
    assert queues.bodies("EventDeadLetters") == []


def test_what_is_not_this_stacks_stays(run, queues):
    queues.put("EventDeadLetters", "a")
    queues.put("EventDeadLetters", "b", TARGET_ARN="arn:aws:sqs:us-east-1:1:elsewhere")

    answer = run("dlq", "redrive", "--yes")

    assert answer.exit_code == 1
    assert "EventDeadLetters: moved 0" in answer.stdout
    assert "EventDeadLetters: 2 stay: " in answer.stderr
    assert queues.bodies("EventDeadLetters") == ["a", "b"]


def test_sqs_moves_them_itself_where_it_can(stack, queues, monkeypatch):
    queues.put(DEAD, "a")
    progress = iter(("RUNNING", "COMPLETED"))
    sqs = stack.clients.sqs
    monkeypatch.setattr(
        sqs, "start_message_move_task", lambda **_: {"TaskHandle": "t"}, raising=False
    )
    monkeypatch.setattr(
        sqs,
        "list_message_move_tasks",
        lambda **_: {
            "Results": [
                {
                    "TaskHandle": "t",
                    "Status": next(progress),
                    "ApproximateNumberOfMessagesMoved": 1,
                }
            ]
        },
    )
    letters = DeadLetters(stack, sleep=lambda _: None)
    (queue,) = [queue for queue in letters.queues() if queue.name == DEAD]

    done = letters.redrive(queue)

    assert (done.to, done.moved, done.kept, done.going) == (("IntakeQueue",), 1, 0, False)


def test_nothing_to_redrive_is_said(run, queues):
    answer = run("dlq", "redrive")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "nothing waits" in answer.stderr


def test_a_batch_of_a_stream_is_not_called_again_with_its_name(run, queues, functions, monkeypatch):
    called = []
    monkeypatch.setattr(functions, "invoke", lambda **request: called.append(request))
    letter = {
        "requestContext": {"functionArn": SWEEP, "condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {"shardId": "shardId-1", "batchSize": 3},
    }
    queues.put("LedgerDeadLetters", letter)

    answer = run("dlq", "redrive", "LedgerDeadLetters", "--yes")

    assert answer.exit_code == 1
    assert "1 stay: it names a batch of a stream and does not hold it" in answer.stderr
    assert called == []
    assert len(queues.bodies("LedgerDeadLetters")) == 1
