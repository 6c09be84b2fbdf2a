"""
The stack's dead-letter queues: what waits in them and why, and how it is sent again.

Looking takes nothing away: a message that was read is visible again at once, or after
`PEEK_SECONDS` if this process dies in between. Sending again is at least once: a message is
deleted only after it was sent, and every receiver in the stack takes repetitions.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from tidemill_cli.stack import Stack

PEEK_SECONDS = 20
#: Longer than a send and a delete take; then the message is visible again.
MOVE_SECONDS = 60
_BATCH = 10
#: What Lambda writes of a batch that it took from a stream and gave up.
_STREAM_BATCH = frozenset({"DDBStreamBatchInfo", "KinesisBatchInfo"})
_QUEUE, _FUNCTION = "AWS::SQS::Queue", "AWS::Lambda::Function"
#: How an engine says that it has no StartMessageMoveTask.
_UNKNOWN_ACTION = frozenset(
    {
        *("InvalidAction", "UnknownOperation", "UnknownOperationException", "NotImplemented"),
        *("AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation", "501", "404"),
    }
)


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """One queue. *source* is the queue whose messages end here; None: events and calls do."""

    name: str
    url: str
    arn: str
    waiting: int
    taken: int  # received by somebody and not deleted yet: visible again later
    source: str | None
    source_url: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. *sent_at* is in seconds since 1970; *target* is where its sender meant it."""

    id: str
    body: str
    sent_at: float
    received: int
    why: str | None
    target: str | None
    receipt: str


@dataclass(frozen=True, slots=True)
class Redrive:
    """What became of a queue's messages. *to* names where they went."""

    queue: str
    to: tuple[str, ...]
    moved: int
    kept: int
    reason: str | None = None  # why some were kept
    going: bool = False  # SQS still moves the rest by itself


class DeadLetters:
    """All dead-letter queues of one stack."""

    def __init__(
        self,
        stack: Stack,
        *,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = 60.0,
    ) -> None:
        self._stack = stack
        self._sqs = stack.clients.sqs
        self._sleep = sleep
        self._patience = patience

    def queues(self) -> list[DeadLetterQueue]:
        """Return them in the template's order, each with how much waits in it."""
        sources = {
            json.loads(held["RedrivePolicy"])["deadLetterTargetArn"]: (name, url)
            for name, url, held in self._attributes
            if held.get("RedrivePolicy")
        }
        return [
            DeadLetterQueue(
                name=name,
                url=url,
                arn=held["QueueArn"],
                waiting=int(held["ApproximateNumberOfMessages"]),
                taken=int(held["ApproximateNumberOfMessagesNotVisible"]),
                source=sources.get(held["QueueArn"], (None, None))[0],
                source_url=sources.get(held["QueueArn"], (None, None))[1],
            )
            for name, url, held in self._attributes
            if held["QueueArn"] in sources or "DeadLetters" in name
        ]

    def peek(self, queue: DeadLetterQueue, most: int) -> list[Letter]:
        """Return up to *most* messages, oldest first; they stay where they are."""
        found: dict[str, Letter] = {}
        try:
            while len(found) < min(most, queue.waiting):
                batch = self._receive(queue, PEEK_SECONDS)
                if not batch:
                    break
                found |= {letter.id: letter for letter in batch}
        finally:
            self._give_back(queue, [letter.receipt for letter in found.values()])
        oldest = sorted(found.values(), key=lambda letter: letter.sent_at)[:most]
        return [
            letter if letter.why else replace(letter, why=self._logged(letter)) for letter in oldest
        ]

    def redrive(self, queue: DeadLetterQueue) -> Redrive:
        """Send what waits in *queue* to where it came from, once."""
        if queue.source_url is not None:
            task = self._start_task(queue)
            if task is not None:
                return self._await_task(queue, task)
        return self._move(queue)

    @cached_property
    def _attributes(self) -> list[tuple[str, str, dict[str, str]]]:
        """Name, URL and attributes of each of the stack's queues."""
        return [
            (item.logical, item.physical, self._asked(item.physical))
            for item in self._stack.resources
            if item.type == _QUEUE and item.physical
        ]

    def _asked(self, url: str) -> dict[str, str]:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "QueueArn",
                "RedrivePolicy",
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )
        return {str(name): value for name, value in answer["Attributes"].items()}

    # ── looking ──────────────────────────────────────────────────────────────

    def _receive(self, queue: DeadLetterQueue, seconds: int) -> list[Letter]:
        answer = self._sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=seconds,
            WaitTimeSeconds=1,  # asks all of SQS's servers, where 0 asks some
            MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def _give_back(self, queue: DeadLetterQueue, receipts: list[str]) -> None:
        for first in range(0, len(receipts), _BATCH):
            self._sqs.change_message_visibility_batch(
                QueueUrl=queue.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for number, receipt in enumerate(receipts[first : first + _BATCH])
                ],
            )

    def _logged(self, letter: Letter) -> str | None:
        """Return what a function logged of the message when it failed on it, if it did."""
        group = self._stack.resource("Logs")
        if not group:
            return None
        try:
            events = self._stack.clients.logs.filter_log_events(
                logGroupName=group,
                filterPattern=f'"{letter.id}"',
                startTime=round(letter.sent_at * 1000),
                limit=100,
            )["events"]
        except ClientError:
            return None  # expired, or not for this person's eyes: the reason stays unknown
        for event in reversed(events):
            said = _logged_error(event["message"])
            if said:
                return said
        return None

    # ── sending again ────────────────────────────────────────────────────────

    def _start_task(self, queue: DeadLetterQueue) -> str | None:
        """Have SQS move the messages; return the task, or None where there is no such thing."""
        try:
            return self._sqs.start_message_move_task(SourceArn=queue.arn)["TaskHandle"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _UNKNOWN_ACTION:
                return None
            raise

    def _await_task(self, queue: DeadLetterQueue, task: str) -> Redrive:
        found: Mapping[str, Any] = {}
        waited = 0.0
        while waited <= self._patience:
            tasks = self._sqs.list_message_move_tasks(SourceArn=queue.arn)["Results"]
            found = next((item for item in tasks if item.get("TaskHandle") in (task, None)), {})
            if found.get("Status") != "RUNNING":
                break
            self._sleep(1.0)
            waited += 1.0
        moved = int(found.get("ApproximateNumberOfMessagesMoved", 0))
        going = found.get("Status") == "RUNNING"
        kept = 0 if going else max(0, queue.waiting - moved)
        reason = found.get("FailureReason") if kept else None
        return Redrive(queue.name, (str(queue.source),), moved, kept, reason, going)

    def _move(self, queue: DeadLetterQueue) -> Redrive:
        """Receive, send, delete, one by one; stop after as many as waited at the beginning."""
        moved = 0
        kept: dict[str, tuple[str, str]] = {}
        to: dict[str, None] = {}
        while moved + len(kept) < queue.waiting:
            fresh = [
                letter for letter in self._receive(queue, MOVE_SECONDS) if letter.id not in kept
            ]
            if not fresh:
                break
            for letter in fresh:
                name, send = self._way(queue, letter)
                if send is None:
                    kept[letter.id] = (letter.receipt, name)
                    continue
                send()
                self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
                moved += 1
                to[name] = None
        self._give_back(queue, [receipt for receipt, _ in kept.values()])
        reason = next(iter({said: None for _, said in kept.values()}), None)
        return Redrive(queue.name, tuple(to), moved, len(kept), reason)

    def _way(
        self, queue: DeadLetterQueue, letter: Letter
    ) -> tuple[str, Callable[[], object] | None]:
        """Return where a message goes and how; or the reason why it goes nowhere."""
        if queue.source is not None and queue.source_url is not None:
            return queue.source, self._sender(queue.source_url, letter.body)
        if _STREAM_BATCH & _document(letter.body).keys():
            return (
                "it names a batch of a stream and does not hold it; the sweep makes up for it",
                None,
            )
        name = (letter.target or "").rpartition(":")[2]
        for logical, url, held in self._attributes:
            if held["QueueArn"] == letter.target:
                return logical, self._sender(url, letter.body)
        for item in self._stack.resources:
            function = (letter.target or "").partition(":function:")[2].partition(":")[0]
            if item.type == _FUNCTION and item.physical == function and function:
                return item.logical, self._caller(str(letter.target), _payload(letter.body))
        if letter.target is None:
            return "the message does not say where it was to go", None
        return f"{name} is nothing of this stack", None

    def _sender(self, url: str, body: str) -> Callable[[], object]:
        return lambda: self._sqs.send_message(QueueUrl=url, MessageBody=body)

    def _caller(self, function: str, payload: str) -> Callable[[], object]:
        return lambda: self._stack.clients.functions.invoke(
            FunctionName=function, InvocationType="Event", Payload=payload.encode()
        )


def _letter(message: Mapping[str, Any]) -> Letter:
    attributes = {
        name: str(value.get("StringValue", ""))
        for name, value in message.get("MessageAttributes", {}).items()
    }
    system = message.get("Attributes", {})
    envelope = _document(message["Body"])
    call = envelope.get("requestContext") or {}
    return Letter(
        id=message["MessageId"],
        body=message["Body"],
        sent_at=int(system.get("SentTimestamp", 0)) / 1000,
        received=int(system.get("ApproximateReceiveCount", 1)) - 1,
        why=_why(attributes, envelope),
        target=attributes.get("TARGET_ARN") or call.get("functionArn"),
        receipt=message["ReceiptHandle"],
    )


def _why(attributes: Mapping[str, str], envelope: Mapping[str, Any]) -> str | None:
    """Return what EventBridge, Scheduler or Lambda wrote on the message, if one of them did."""
    said = ": ".join(_some(attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE")))
    if said:
        return said
    answer = envelope.get("responsePayload")
    if isinstance(answer, Mapping):
        said = ": ".join(_some(answer.get("errorType"), answer.get("errorMessage")))
    return said or (envelope.get("requestContext") or {}).get("condition")


def _payload(body: str) -> str:
    """Return what a function was called with: Lambda wraps it, EventBridge does not."""
    envelope = _document(body)
    if "requestPayload" in envelope and "requestContext" in envelope:
        return json.dumps(envelope["requestPayload"])
    return body


def _logged_error(text: str) -> str | None:
    document = _document(text)
    if document.get("level") not in ("ERROR", "CRITICAL"):
        return None
    trace = str(document.get("exception") or "").strip().splitlines()
    return trace[-1] if trace else str(document.get("message", ""))


def _some(*words: Any) -> Iterator[str]:
    return (str(word) for word in words if word)


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
