"""
Asynchronous endpoints: requests that lie in S3, answers that come there, topics that tell of both.

What InvokeEndpointAsync has acknowledged is a record, and is answered even after kill -9: a
request that was under way is asked again.
"""

import base64
import json
import logging
import threading
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker import clients
from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.hosting.deployments import DEPLOYED
from tidemill_local.sagemaker.hosting.fleets import Fleet
from tidemill_local.sagemaker.hosting.invocation import (
    ATTRIBUTES,
    CONTENT_TYPE,
    INFERENCE_ID,
    Answer,
    Invocation,
    quotation,
)
from tidemill_local.sagemaker.hosting.refusals import InvocationError, ModelError
from tidemill_local.sagemaker.hosting.router import Router
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 128_000
MAX_INPUT_BYTES = 1024**3
_KIND = "AsyncInvocation"
_PER_INSTANCE = 4  # SageMaker chooses by itself; so do we
_THREADS = 16
_TTL_SECONDS = 21_600
_TIMEOUT_SECONDS = 900
_LOOK_SECONDS = 0.5  # at requests that no instance could take so far
_WITHOUT_QUEUE = frozenset({"Creating", "Failed", "Deleting"})
_PREFIX = "x-amzn-sagemaker-"


def invoke_async(context: Context, endpoint: str, given: dict[str, str], body: bytes) -> Answer:
    """
    Take a request to be answered later.

    Args:
        context: The service's.
        endpoint: Its name.
        given: The request's headers, their names lower-cased.
        body: An inline input, when there is no InputLocation.

    Raises:
        ServiceError: ValidationError.
    """
    config = _config(context, endpoint)
    location = given.get(_PREFIX + "inputlocation", "")
    _check(location, body)
    output = config["OutputConfig"]
    number, inference = str(uuid.uuid4()), given.get(INFERENCE_ID.lower()) or str(uuid.uuid4())
    folder = "/".join(
        part.strip("/")
        for part in (output["S3OutputPath"], given.get(_PREFIX + "s3outputpathextension", ""))
        if part.strip("/")
    )
    output_key = f"{folder}/{given.get(_PREFIX + 'filename') or number + '.out'}"
    record: dict[str, Any] = {
        "endpoint": endpoint,
        "inferenceId": inference,
        "input": location,
        "body": None if location else base64.b64encode(body).decode(),
        "output": output_key,
        "failure": None,
        "contentType": given.get(_PREFIX + "content-type", CONTENT_TYPE),
        "accept": given.get(_PREFIX + "accept"),
        "attributes": given.get(ATTRIBUTES.lower()),
        "received": time.time(),
        "ttl": _seconds(given, "requestttlseconds", _TTL_SECONDS, 60, 21_600),
        "timeout": _seconds(given, "invocationtimeoutseconds", _TIMEOUT_SECONDS, 1, 3600),
    }
    if "S3FailurePath" in output:
        record["failure"] = f"{output['S3FailurePath'].rstrip('/')}/{number}-error.out"
    record["name"] = name = f"{endpoint}/{number}"
    context.store.insert(_KIND, name, record)
    context.part(AsyncQueue).add(name, record)
    headers = {
        "Content-Type": "application/json",
        "X-Amzn-SageMaker-OutputLocation": record["output"],
    }
    if record["failure"]:
        headers["X-Amzn-SageMaker-FailureLocation"] = record["failure"]
    return 202, headers, json.dumps({"InferenceId": inference}).encode()


def _config(context: Context, endpoint: str) -> dict[str, Any]:
    body = context.store.get("Endpoint", endpoint)
    if body is None or body["EndpointStatus"] in _WITHOUT_QUEUE:
        raise InvocationError(f"Endpoint {endpoint} of account {context.account} not found.")
    config: dict[str, Any] | None = body[DEPLOYED]["config"].get("AsyncInferenceConfig")
    if config is None:
        raise InvocationError(
            f"Endpoint {endpoint} is not asynchronous: its configuration has no "
            "AsyncInferenceConfig; use InvokeEndpoint."
        )
    return config


def _check(location: str, body: bytes) -> None:
    if bool(location) == bool(body):
        raise InvocationError("Give either an InputLocation or a Body, and not both.")
    if len(body) > MAX_BODY_BYTES:
        raise InvocationError(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            f"must have length less than or equal to {MAX_BODY_BYTES}"
        )
    if location:
        try:
            split_uri(location)
        except TransferError as error:
            raise InvocationError(f"Invalid value for InputLocation: {error}") from error


def _seconds(given: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(_PREFIX + name)
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvocationError(f"{name} is {text}; it must be a number from {least} to {most}.")
    return int(text)


class FailedError(Exception):
    """A request that got no good answer; the sentence is told in S3 and on the error topic."""


@dataclass(frozen=True)
class _Item:
    name: str
    record: dict[str, Any]


class AsyncQueue:
    """The requests that wait for an asynchronous endpoint's instances; a part of the context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: defaultdict[str, list[_Item]] = defaultdict(list)
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._changed = threading.Condition()
        self._stopping = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="async-invocation")
        self._dispatcher: threading.Thread | None = None

    @cached_property
    def _sns(self) -> Any:
        session = clients.session(self._context.account, self._context.region)
        return session.client("sns", endpoint_url=self._context.endpoint_url, config=clients.CONFIG)

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Queue an acknowledged request."""
        with self._changed:
            self._waiting[record["endpoint"]].append(_Item(name, record))
            if self._dispatcher is None and not self._stopping:
                self._dispatcher = threading.Thread(
                    target=self._dispatch, name="async-inference", daemon=True
                )
                self._dispatcher.start()
            self._changed.notify_all()

    def recover(self) -> None:
        """Queue what an earlier service had acknowledged and not answered."""
        for record in self._context.store.rows(_KIND):
            self.add(record["name"], record)

    def stop(self) -> None:
        """Take up nothing more; what is under way is asked again at the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        with self._changed:
            while not self._stopping:
                for endpoint, items in list(self._waiting.items()):
                    free = self._capacity(endpoint) - self._under_way[endpoint]
                    for item in [items.pop(0) for _ in range(min(len(items), max(0, free)))]:
                        self._under_way[endpoint] += 1
                        self._pool.submit(self._run, item)
                    if not items:
                        del self._waiting[endpoint]
                self._changed.wait(_LOOK_SECONDS if self._waiting else None)

    def _capacity(self, endpoint: str) -> int:
        """Return how many requests the endpoint's instances may have at a time."""
        fleet = self._context.part(Router).get(endpoint)
        if fleet is None:
            return 1 if self._context.store.get("Endpoint", endpoint) is None else 0
        instances = sum(len(variant.instances) for variant in fleet.variants.values())
        return instances * per_instance(fleet)

    def _run(self, item: _Item) -> None:
        try:
            self._answer(item)
        except Exception:  # the thread serves others, too
            logger.exception("the asynchronous request %s failed", item.name)
        finally:
            with self._changed:
                self._under_way[item.record["endpoint"]] -= 1
                self._changed.notify_all()

    def _answer(self, item: _Item) -> None:
        record = item.record
        endpoint = self._context.store.get("Endpoint", record["endpoint"]) or {}
        config = endpoint.get(DEPLOYED, {}).get("config", {}).get("AsyncInferenceConfig")
        if config is None:  # deleted with its queue, and perhaps created anew
            self._forget(item)
            return
        topics = config["OutputConfig"].get("NotificationConfig", {})
        try:
            content_type = self._perform(record)
        except FailedError as error:
            if self._stopping:
                return
            if record["failure"]:
                self._put(record["failure"], str(error).encode(), "text/plain")
            self._tell(topics.get("ErrorTopic"), _failed(self._context, record, str(error)))
        else:
            told = _completed(self._context, record, content_type)
            self._tell(topics.get("SuccessTopic"), told)
        self._forget(item)

    def _perform(self, record: dict[str, Any]) -> str:
        """Ask the container, put its answer, and return the answer's content type."""
        if time.time() - record["received"] > record["ttl"]:
            raise FailedError(f"The request expired after {record['ttl']} seconds in the queue.")
        given = {
            "content-type": record["contentType"],
            "accept": record["accept"],
            INFERENCE_ID.lower(): record["inferenceId"],
            ATTRIBUTES.lower(): record["attributes"],
        }
        given = {name: value for name, value in given.items() if value is not None}
        endpoint = record["endpoint"]
        try:
            body = self._input(record)
            invocation = Invocation(
                self._context, endpoint, given, body, record["timeout"], asynchronous=True
            )
            answer = invocation.perform().answer
            content_type = answer.header("Content-Type", CONTENT_TYPE)
            self._put(record["output"], answer.body, content_type)
        except ModelError as error:
            side = "Client" if 400 <= error.status < 500 else "Server"  # noqa: PLR2004
            said = quotation(error, self._context)
            raise FailedError(f"{side}Error: {said}") from error
        except ServiceError as error:
            raise FailedError(f"ServerError: {error.message}") from error
        except (BotoCoreError, ClientError, TransferError) as error:
            raise FailedError(f"ClientError: {error}") from error
        return content_type

    def _input(self, record: dict[str, Any]) -> bytes:
        if record.get("body") is not None:
            return base64.b64decode(record["body"])
        bucket, key = split_uri(record["input"])
        found = self._context.s3.get_object(Bucket=bucket, Key=key)
        if found["ContentLength"] > MAX_INPUT_BYTES:
            raise FailedError(
                f"ClientError: {record['input']} has {found['ContentLength']} bytes; "
                f"{MAX_INPUT_BYTES} are the most."
            )
        return found["Body"].read()

    def _put(self, uri: str, body: bytes, content_type: str) -> None:
        bucket, key = split_uri(uri)
        self._context.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def _tell(self, topic: str | None, message: dict[str, Any]) -> None:
        if topic is None:
            return
        try:
            self._sns.publish(TopicArn=topic, Message=json.dumps(message))
        except (BotoCoreError, ClientError) as error:
            logger.warning("nobody was told of an asynchronous answer: %s", error)

    def _forget(self, item: _Item) -> None:
        try:
            self._context.store.delete(_KIND, item.name)
        except MissingRecordError:
            logger.debug("%s was answered twice", item.name)


def per_instance(fleet: Fleet) -> int:
    """Return how many requests an instance of an asynchronous fleet may have at a time."""
    limit = (fleet.asynchronous or {}).get("ClientConfig", {})
    return int(limit.get("MaxConcurrentInvocationsPerInstance", _PER_INSTANCE))


def _completed(context: Context, record: dict[str, Any], content_type: str) -> dict[str, Any]:
    response = {"contentType": content_type, "outputLocation": record["output"]}
    return _message(context, record, "Completed") | {"responseParameters": response}


def _failed(context: Context, record: dict[str, Any], reason: str) -> dict[str, Any]:
    told = _message(context, record, "Failed") | {"failureReason": reason}
    if record["failure"]:
        told["responseParameters"] = {"failureLocation": record["failure"]}
    return told


def _message(context: Context, record: dict[str, Any], status: str) -> dict[str, Any]:
    asked = {"contentType": record["contentType"], "endpointName": record["endpoint"]}
    if record["input"]:
        asked["inputLocation"] = record["input"]
    return {
        "awsRegion": context.region,
        "eventTime": _iso(time.time()),
        "receivedTime": _iso(record["received"]),
        "invocationStatus": status,
        "requestParameters": asked,
        "inferenceId": record["inferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


@on_start
def recover_async(context: Context) -> None:
    """Answer what an earlier service had acknowledged."""
    context.part(AsyncQueue).recover()


@on_stop
def stop_async(context: Context) -> None:
    """Take up nothing more."""
    context.part(AsyncQueue).stop()
