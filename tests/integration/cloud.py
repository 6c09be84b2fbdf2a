"""
AWS in one process, as template.yaml makes it: moto, and fakes for what moto lacks.

Every call of a function is held against the template's policies, every domain event against its
schema. A test can stop a function dead before its n-th call, as a lost Lambda would be.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

import boto3
import jsonschema
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend
from moto.moto_api._internal import mock_random

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DOMAIN_EVENTS
from tidemill.contracts.uploads import ObjectCreated
from tidemill.event_schemas import schema
from tidemill.spec.compiled import Spec

from .. import stack
from .calls import needed, reserved_words
from .fake_sagemaker import FakeSageMaker, RefusedError
from .fake_workflows import FakeWorkflows
from .memory_tables import MemoryTables

SCHEMAS = {kind.detail_type: schema(kind) for kind in DOMAIN_EVENTS}
NOW = 1_795_168_800.0  # 2026-11-20T10:00:00Z
READS = ("Get", "BatchGet", "Describe", "List", "Query", "Head", "Invoke")


class Killed(BaseException):
    """The process is gone: nothing of ours may catch this."""


class Cloud:
    """One stack. `invoke` runs a function; the rest is to set up and to look."""

    def __init__(
        self, template: dict[str, Any], load_function: Any, *, memory: bool = False
    ) -> None:
        self.template = template
        self._memory = memory
        self._load = load_function
        self.now = NOW
        self.millis_left = 900_000
        self.sagemaker = FakeSageMaker()
        self.workflows = FakeWorkflows()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.refusals: list[tuple[str, str, str, dict[str, Any]]] = []
        self._uploads = 0
        self._running = ""
        self._kill_before: int | None = None
        self._aws = mock_aws(config={"core": {"reset_boto3_session": False}})

    def __enter__(self) -> Self:
        self._aws.start()
        mock_random.seed(7)  # equal version ids in equal clouds
        boto3.DEFAULT_SESSION = Hooks.session  # another test's moto may have taken it away
        Hooks.current = self
        self._create_tables()
        _create_resources()
        self.stores = Stores(self.dynamodb, state_table=stack.STATE, ledger_table=stack.LEDGER)
        self.bus = Bus(client("events"), stack.BUS)
        self.triggers = Queue(client("sqs"), stack.queue_url("TriggerQueue"))
        self.calls.clear()
        return self

    def __exit__(self, *_: object) -> None:
        Hooks.current = None
        self._aws.stop()

    def _create_tables(self) -> None:
        tables = [stack.table(name, self.template) for name in ("StateTable", "LedgerTable")]
        self.dynamodb = client("dynamodb")
        if self._memory:
            by_name = {table["TableName"]: table for table in tables}
            self.dynamodb = self._memory_tables = MemoryTables(self.dynamodb.exceptions, by_name)
            return
        for table in tables:
            self.dynamodb.create_table(**table)

    # ── running a function ───────────────────────────────────────────────────

    def invoke(self, name: str, event: Any, *, kill_before: int | None = None) -> Any:
        """Run `functions/<name>`; with *kill_before*, until just before that call (from 0)."""
        app = self._load(name)
        if hasattr(app, "time"):
            app.time = SimpleNamespace(time=lambda: self.now, time_ns=lambda: round(self.now * 1e9))
        if name == "admit_upload":
            app.intake.each = map  # moto bears no threads, nor do counted kills
        if name == "judge_quality":
            app.qualities.each = map
        context = SimpleNamespace(
            function_name=name,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:{stack.REGION}:{stack.ACCOUNT}:function:{name}",
            get_remaining_time_in_millis=lambda: self.millis_left,
            aws_request_id="8f5f7a5c-7d0a-4c1e-9d2f-1b2c3d4e5f60",
        )
        self.calls.clear()
        self._running, self._kill_before = name, kill_before
        try:
            return app.handler(json.loads(json.dumps(event)), context)
        finally:
            self._running, self._kill_before = "", None

    @contextmanager
    def somebody_else(self) -> Iterator[None]:
        """Calls within, though made while a function runs, are not that function's."""
        running, self._running = self._running, ""
        yield
        self._running = running

    def called(self, service: str, operation: str, request: dict[str, Any]) -> None:
        """Note a call, before it is made."""
        if self._kill_before is not None and len(self.calls) >= self._kill_before:
            raise Killed
        self.calls.append((service, operation, request))
        if service == "dynamodb":
            assert reserved_words(request) == set()
        for action, resource in needed(service, operation, request) if self._running else ():
            assert stack.allows(self._running, action, resource, self.template), (
                f"{self._running} may not {action} on {resource}"
            )
        if (service, operation) == ("events", "PutEvents"):
            for entry in request["Entries"]:
                jsonschema.validate(json.loads(entry["Detail"]), SCHEMAS[entry["DetailType"]])

    def answer(self, service: str, operation: str, request: dict[str, Any]) -> Any:
        """Answer in place of moto, or None."""
        for refusal in self.refusals:
            if refusal[:2] == (service, operation):
                self.refusals.remove(refusal)
                raise RefusedError(refusal[2], refusal[3].get("message", "no")) from None
        match service:
            case "sagemaker" | "sagemaker-runtime":
                return self.sagemaker.answer(operation, request)
            case "stepfunctions":
                return self.workflows.answer(operation, request)
            case "dynamodb" if self._memory:
                return self._memory_tables.answer(operation, request)
        return None

    def refuse(self, service: str, operation: str, code: str, **more: Any) -> None:
        """Have the next such call refused."""
        self.refusals.append((service, operation, code, more))

    # ── setting up ───────────────────────────────────────────────────────────

    def apply(self, spec: Spec) -> Spec:
        """Put *spec* in force, without the function."""
        from tidemill.adapters.entries import Entry  # noqa: PLC0415  # only here

        entry = Entry(spec.ref, f"spec#{spec.digest}", self.now, "spec", "", "create", "applied")
        self.stores.specs.replace(spec, self.now, self.stores.ledger, entry)
        return spec

    def upload(self, key: str, body: bytes, tags: str = "") -> ObjectCreated:
        """Put an object, and return what S3's event says of it."""
        answer = client("s3").put_object(Bucket=stack.LAKE, Key=key, Body=body, Tagging=tags)
        self._uploads += 1
        return ObjectCreated(stack.LAKE, key, answer["VersionId"], f"{self._uploads:018X}")

    # ── looking ──────────────────────────────────────────────────────────────

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the domain events of the last `invoke`: kind and detail."""
        return [
            (entry["DetailType"], json.loads(entry["Detail"]))
            for service, operation, request in self.calls
            if (service, operation) == ("events", "PutEvents")
            for entry in request["Entries"]
        ]

    def sent(self, queue: str) -> list[tuple[dict[str, Any], int]]:
        """Return what the last `invoke` sent to *queue*: message and delay."""
        url = stack.queue_url(queue)
        return [
            (json.loads(message["MessageBody"]), message.get("DelaySeconds", 0))
            for _, operation, request in self.calls
            if operation in ("SendMessage", "SendMessageBatch") and request["QueueUrl"] == url
            for message in request.get("Entries", [request])
        ]

    def entries(self, ref: str, kind: str = "") -> list[dict[str, Any]]:
        """Return the ledger's entries of a model, oldest first."""
        return [e for e in self.stores.ledger.entries(ref) if kind in ("", e["kind"])]

    def schedule(self, name: str) -> dict[str, Any]:
        """Return one of the stack's schedules."""
        answer = client("scheduler").get_schedule(GroupName=stack.STACK, Name=name)
        return _without(answer, ("ResponseMetadata",))

    def facts(self, *, apart: tuple[str, ...] = ("fence", "uploaded")) -> dict[str, Any]:
        """Return everything that is kept, to compare two clouds."""
        tables = {
            table: sorted(
                (_without(item, apart) for item in self.dynamodb.scan(TableName=table)["Items"]),
                key=lambda item: json.dumps(item, default=str),
            )
            for table in (stack.STATE, stack.LEDGER)
        }
        objects = {
            (bucket, item["Key"])
            for bucket in (stack.LAKE, stack.ARTIFACTS, stack.ANCHORS)
            for item in client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        }
        sagemaker = {
            kind: json.dumps(_without(records, ("ClientRequestToken",)), default=str)
            for kind, records in vars(self.sagemaker).items()
        }
        workflows = (self.workflows.executions, self.workflows.tokens, self.workflows.answered)
        listed = client("scheduler").list_schedules(GroupName=stack.STACK)["Schedules"]
        schedules = [
            _without(self.schedule(name), ("CreationDate", "LastModificationDate"))
            for name in sorted(item["Name"] for item in listed)
        ]
        return {
            **tables, "schedules": schedules, "objects": objects, "sagemaker": sagemaker,
            "workflows": workflows,
        }  # fmt: skip


def _without(node: Any, names: tuple[str, ...]) -> Any:
    match node:
        case dict():
            return {k: _without(v, names) for k, v in sorted(node.items()) if k not in names}
        case list():
            return [_without(item, names) for item in node]
    return node


def _create_resources() -> None:
    """Make what a stack has beside tables in moto itself: each call of a client takes 5 ms."""

    def of(service: str, region: str = stack.REGION) -> Any:
        return get_backend(service)[stack.ACCOUNT][region]

    for bucket in (stack.LAKE, stack.ARTIFACTS, stack.ANCHORS):
        of("s3", "aws").create_bucket(bucket, stack.REGION)
        of("s3", "aws").put_bucket_versioning(bucket, "Enabled")
    for queue in stack.QUEUES:
        of("sqs").create_queue(queue)
    of("events").create_event_bus(stack.BUS)
    of("scheduler").create_schedule_group(stack.STACK, [])


def client(service: str) -> Any:
    """Return a client whose calls the current cloud sees."""
    return Hooks.client(service)


class Hooks:
    """Botocore's hooks, registered once, for the clients that functions made at import too."""

    current: Cloud | None = None
    session: boto3.Session
    _clients: dict[str, Any] = {}  # noqa: RUF012  # of the session, on purpose

    @classmethod
    def install(cls) -> None:
        cls.session = boto3.Session(region_name=stack.REGION)
        cls.session.events.register("before-parameter-build", cls._see)
        cls.session.events.register("before-call", cls._answer)

    @classmethod
    def client(cls, service: str) -> Any:
        if service not in cls._clients:
            cls._clients[service] = cls.session.client(service)
        return cls._clients[service]

    @classmethod
    def _see(cls, params: Any, model: Any, context: Any, **_: Any) -> None:
        context["request"] = params
        if cls.current is not None:
            cls.current.called(model.service_model.service_name, model.name, params)

    @classmethod
    def _answer(cls, model: Any, context: Any, **_: Any) -> Any:
        if cls.current is None:
            return None
        service = model.service_model.service_name
        try:
            found = cls.current.answer(service, model.name, context["request"])
        except RefusedError as error:
            parsed = {"Error": {"Code": error.code, "Message": error.message}}
            return SimpleNamespace(status_code=400), parsed | {"ResponseMetadata": {}}
        except ClientError as error:
            return SimpleNamespace(status_code=400), {**error.response, "ResponseMetadata": {}}
        if found is None:
            return None
        return SimpleNamespace(status_code=200), {**found, "ResponseMetadata": {}}
