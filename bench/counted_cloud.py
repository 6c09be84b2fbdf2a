"""
The local cloud, counting what functions ask of SQS and DynamoDB: `--port N --state DIR`.

One hook wraps the application, another lets batches be as large as on AWS. Only calls that say
they come from Lambda (botocore puts `exec-env/AWS_Lambda_…` into its User-Agent) are counted, so
looking on does not count.
`GET /_bench/calls` answers {"dynamodb.PutItem": 3, …}, with transactions' items counted apart.
"""

# ruff: noqa: SLF001  # hooks change what ministack keeps to itself

import argparse
import importlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from tidemill_local import environment
from tidemill_local.state_directory import StateDirectory

CALLS_PATH = "/_bench/calls"
SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "AWSEvents": "events"}
LAMBDA = b"exec-env/AWS_Lambda"
_TYPES = frozenset(("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS"))


class CountCalls:
    """A hook that counts; see `tidemill_local.engine.hooks.Hook`."""

    __name__ = "count_calls"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def check(self) -> None:
        """Nothing of ministack's is changed."""

    def apply(self, surroundings: Any) -> None:
        """Stand in front of the application."""
        application = surroundings.application

        async def counting(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
            elif scope["path"] == CALLS_PATH:
                await _send_json(send, dict(self.calls))
            else:
                await application(scope, *self._watching(scope, receive, send))

        surroundings.application = counting

    def _watching(self, scope: dict[str, Any], receive: Any, send: Any) -> tuple[Any, Any]:
        headers = {name.lower(): value for name, value in scope["headers"]}
        api, _, action = headers.get(b"x-amz-target", b"").decode().rpartition(".")
        if LAMBDA not in headers.get(b"user-agent", b""):
            return receive, send
        if b"/s3/aws4_request" in headers.get(b"authorization", b""):
            self.calls[f"s3.{_s3_kind(scope)}"] += 1
        if api not in SERVICES:
            return receive, send
        body, answered = bytearray(), 0

        async def watched() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._count(SERVICES[api], action, json.loads(bytes(body)))
            return message

        async def told(message: Any) -> None:
            nonlocal answered
            answered += len(message.get("body", b""))
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and action == "Query":
                more = more_half_read_units(json.loads(bytes(body)), answered)
                self.calls["dynamodb half read units"] += more
            await send(message)

        return watched, told

    def _count(self, service: str, action: str, request: dict[str, Any]) -> None:
        name = f"{service}.{action}"
        self.calls[name] += 1
        if items := request.get("TransactItems"):
            self.calls[f"{name} items"] += len(items)
        if service == "dynamodb":
            self.calls["dynamodb write units"] += write_units(action, request)
            self.calls["dynamodb half read units"] += half_read_units(action, request)
        if entries := request.get("Entries"):
            self.calls[f"{name} messages"] += len(entries)


class WholeBatches:
    """A hook: functions get as many messages at once as their mapping says, not ten at most."""

    __name__ = "whole_batches"

    def check(self) -> None:
        """Require what reads a queue for a function, and what that uses."""
        hooks: Any = importlib.import_module("tidemill_local.engine.hooks")
        sqs = importlib.import_module("ministack.services.sqs")
        hooks.expect(sqs, "_receive_messages_for_esm", "(queue_url, max_number)")
        hooks.expect(sqs, "_collect_msgs", "(q, max_n, vis_timeout)")

    def apply(self, _: Any) -> None:
        """Read as many as are asked for."""
        sqs: Any = importlib.import_module("ministack.services.sqs")

        def receive(queue_url: str, max_number: int) -> Any:
            with sqs._queues_lock:
                queue = sqs._get_q(queue_url)
                hidden = int(queue["attributes"].get("VisibilityTimeout", "30"))
                sqs._expire_retained(queue)
                sqs._dlq_sweep(queue)
                return sqs._collect_msgs(queue, int(max_number or 1), hidden)

        sqs._receive_messages_for_esm = receive


def _s3_kind(scope: dict[str, Any]) -> str:
    listing = b"list-type" in scope["query_string"] or b"versions" in scope["query_string"]
    return "GET" if scope["method"] in ("GET", "HEAD") and not listing else "PUT"


def write_units(action: str, request: dict[str, Any]) -> int:
    """
    Return the write units that a request is billed for: 1 KB each, twice in a transaction.

    An item of the ledger is written to its index too. What an update finds is not seen here; the
    items that are updated are smaller than 1 KB.
    """
    if action == "BatchWriteItem":
        puts = [put["PutRequest"] for asked in request["RequestItems"].values() for put in asked]
        return sum(write_units("PutItem", put) for put in puts)
    writes = request.get("TransactItems", [])
    if writes:
        return sum(write_units("", body) + _base(body) for item in writes for body in item.values())
    if action and action not in ("PutItem", "UpdateItem", "DeleteItem"):
        return 0
    return _base(request) + (_base(request) if "at" in request.get("Item", {}) else 0)


def _base(write: dict[str, Any]) -> int:
    item = json.dumps(_plain(write.get("Item", {})), default=_bytes)
    return max(1, -(-len(item.encode()) // 1024))


def _bytes(value: bytes) -> str:
    """Stand for bytes that are not on their way yet; on it they are base64, somewhat more."""
    return "x" * len(value)


def _plain(node: Any) -> Any:
    """Return an item without the names of its types, which are not billed."""
    if isinstance(node, dict) and len(node) == 1 and next(iter(node)) in _TYPES:
        return _plain(next(iter(node.values())))
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list) else node


def half_read_units(action: str, request: dict[str, Any]) -> int:
    """Return the read units, in halves, as if nothing read at once were larger than 4 KB."""
    if action == "BatchGetItem":
        asked = request["RequestItems"].values()
        return sum(len(each["Keys"]) * (2 if each.get("ConsistentRead") else 1) for each in asked)
    if action in ("GetItem", "Query"):
        return 2 if request.get("ConsistentRead") else 1
    return 0


def more_half_read_units(request: dict[str, Any], answered: int) -> int:
    """
    Return what a query of more than 4 KB is billed besides, in halves.

    By the answer's length, which names each attribute's type: somewhat more than is billed.
    """
    return (answered - 1) // 4096 * (2 if request.get("ConsistentRead") else 1) if answered else 0


async def _send_json(send: Any, document: dict[str, int]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    chosen = parser.parse_args()
    state = StateDirectory(chosen.state)
    state.create()
    with state.owned(chosen.port) as owner:
        environment.enter(environment.engine_environment(state, chosen.port, os.environ))
        # Imported now, not above: ministack reads the environment while it is imported.
        hooks: Any = importlib.import_module("tidemill_local.engine.hooks")
        server = importlib.import_module("tidemill_local.engine.server")
        load = hooks.load
        hooks.load = lambda: [*load(), WholeBatches(), CountCalls()]
        server.Engine(state, owner).run()


if __name__ == "__main__":
    main()
