"""Which requests change what only a snapshot keeps, judged from their head."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

_HEAD = 4096  # bytes of a body in which a query protocol names its Action
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")
_READS = (
    "Describe", "List", "Get", "BatchGet", "Search", "Query", "Scan", "Test", "Validate",
    "Lookup", "Simulate", "Head", "Decode", "Detect", "Estimate", "Filter",
)  # fmt: skip
_INVOCATION = re.compile(r"/(invocations|invoke-async|response-streaming-invocations)/?$")

# What these change is recorded on the spot, or lives in no snapshot at all.
_DATA_ACTIONS = {
    "dynamodb": {
        "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
        "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction",
    },
    "events": {"PutEvents"},
    "kms": {
        "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
        "GenerateRandom", "Sign", "Verify", "GenerateMac", "VerifyMac",
    },
    "logs": {"PutLogEvents", "CreateLogStream", "CreateLogGroup", "StartQuery"},
    "monitoring": {"PutMetricData"},
    "sns": {"Publish", "PublishBatch"},
    "sqs": {
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage",
        "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch",
        "PurgeQueue",
    },
    "states": {
        "StartExecution", "StartSyncExecution", "StopExecution", "SendTaskSuccess",
        "SendTaskFailure", "SendTaskHeartbeat", "GetActivityTask",
    },
}  # fmt: skip


@dataclass
class RequestHead:
    """
    One request as far as it tells what it does.

    Attributes:
        method: The HTTP method.
        path: The path without the query.
        headers: Lower-cased names; of a repeated header the last.
        query: The query string, parsed.
        body: The first bytes of the body, filled in while it is read.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: dict[str, list[str]]
    body: bytearray = field(default_factory=bytearray)

    @classmethod
    def of(cls, scope: dict[str, Any]) -> "RequestHead":
        """Read the head from an ASGI scope."""
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return cls(scope["method"], scope["path"], headers, query)

    def watching(self, receive: Any) -> Any:
        """Return *receive*, which lets this head see the start of the body pass by."""

        async def watched() -> Any:
            message = await receive()
            if message["type"] == "http.request" and len(self.body) < _HEAD:
                self.body += message.get("body", b"")[: _HEAD - len(self.body)]
            return message

        return watched

    @property
    def action(self) -> str:
        """The operation's name, or "" when method and path alone tell it."""
        target = self.headers.get("x-amz-target", "")
        if target:
            return target.rpartition(".")[2]
        named = _ACTION.search(bytes(self.body))
        return named.group(1).decode() if named else "".join(self.query.get("Action", ()))

    def changes_snapshots(self, service: str) -> bool:
        """Say whether a successful answer promises something that only a snapshot keeps."""
        if service == "sts":
            return False
        if service == "s3":
            return self._changes_a_bucket()
        if self.action:
            data = self.action in _DATA_ACTIONS.get(service, ())
            return not data and not self.action.startswith(_READS)
        if service == "lambda" and _INVOCATION.search(self.path):
            return False
        return self.method not in ("GET", "HEAD", "OPTIONS")

    def _changes_a_bucket(self) -> bool:
        of_a_bucket = "/" not in self.path.strip("/")
        return (
            of_a_bucket
            and self.method in ("PUT", "POST", "DELETE")
            and "delete" not in (self.query)
        )
