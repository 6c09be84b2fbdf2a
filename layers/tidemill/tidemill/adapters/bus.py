"""Domain events on the bus `tidemill`, and hints on queues. Anyone may subscribe."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tidemill.adapters.measures import count
from tidemill.contracts.domain_events import (
    DomainEvent,
    DriftFound,
    RunFailed,
    RunSucceeded,
    TriggerDecided,
    UpstreamBroken,
)

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

SOURCE = "tidemill"
LONGEST_DELAY_SECONDS = 900
_MOST_MESSAGES = 10


class Bus:
    """Puts events; their shapes are `events/schemas/`. A retried caller may put one twice."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def put(self, event: DomainEvent) -> None:
        """
        Put one event.

        Raises:
            ConnectionError: The bus refused it; the caller's retry sends it again.
        """
        answer = self._client.put_events(
            Entries=[
                {
                    "Source": SOURCE,
                    "DetailType": event.detail_type,
                    "Detail": json.dumps(event.to_detail()),
                    "EventBusName": self._name,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise ConnectionError(
                f"the bus {self._name} refused {event.detail_type}: {answer['Entries']}"
            )
        self._measure(event)

    def _measure(self, event: DomainEvent) -> None:
        """What subscribers hear of is counted where they do; the bus has the stack's name."""
        match event:
            case TriggerDecided():
                count("Triggers", 1, stack=self._name, verdict=event.verdict)
            case RunSucceeded() | RunFailed():
                count("RunsEnded", 1, stack=self._name, status=event.status)
            case DriftFound() | UpstreamBroken():
                count("Findings", 1, stack=self._name)
            case _:
                pass


class Queue:
    """One SQS queue of JSON messages."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send_all(self, messages: Sequence[dict[str, Any]]) -> None:
        """
        Send many, ten a request.

        Raises:
            ConnectionError: The queue refused some; the caller's retry sends them again.
        """
        for first in range(0, len(messages), _MOST_MESSAGES):
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "MessageBody": json.dumps(message)}
                    for number, message in enumerate(messages[first : first + _MOST_MESSAGES])
                ],
            )
            if answer.get("Failed"):
                raise ConnectionError(f"{self._url} refused {answer['Failed']}")

    def waiting(self) -> int:
        """Return about how many messages are in the queue, those being handled included."""
        names: list[Any] = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def send(self, message: dict[str, Any], delay_seconds: float = 0) -> None:
        """Send *message*; it arrives after at most 900 s, whatever delay was asked."""
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps(message),
            DelaySeconds=min(LONGEST_DELAY_SECONDS, max(0, math.ceil(delay_seconds))),
        )
