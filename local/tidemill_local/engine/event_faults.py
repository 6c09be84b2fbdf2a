"""AWS's events come twice, late, in another order or never, where somebody asked for it."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from ministack.services import eventbridge

from tidemill_local import faults
from tidemill_local.engine.hooks import expect
from tidemill_local.engine.sagemaker_service import in_thread, read_body, sagemaker, send_answer
from tidemill_local.engine.surroundings import Application, Surroundings
from tidemill_local.faults import Fault, FaultError

_KINDS = frozenset({"drop-event", "duplicate-event", "delay-event", "reorder-event"})
_STORE = "held-events"
_JSON = {"Content-Type": "application/json"}


def check() -> None:
    """Require where all events pass."""
    expect(eventbridge, "_dispatch_event", "(event, view=None)")


def apply(surroundings: Surroundings) -> None:
    """Stand between an event and its rules, and take requests for faults."""
    held = _Unreliable(surroundings, eventbridge._dispatch_event)
    eventbridge._dispatch_event = held.dispatch
    surroundings.application = _answering(surroundings.application)
    surroundings.every_second.append(held.deliver_due)


class _Unreliable:
    """
    EventBridge's way from an event to its rules, as the faults have it.

    Events that wait, for their time or for the next one of their fault, are in the engine's records
    until they are delivered: a late event is not a lost one.
    """

    def __init__(self, surroundings: Surroundings, deliver: Any) -> None:
        self._records = surroundings.records
        self._deliver = deliver
        self._lock = threading.Lock()

    def dispatch(self, event: dict[str, Any], view: Any = None) -> None:
        """Deliver an event once, twice, later or never."""
        known = sagemaker.faults
        if not known or not str(event["Source"]).startswith("aws."):
            self._deliver(event, view)
            return
        names = tuple(_names(event))
        with self._lock:  # of two events at once not both may wait for the next one
            waiting = self._waiting_for(event["DetailType"], names)
            kinds = _KINDS - {"reorder-event"} if waiting else _KINDS
            fault = known.strike(kinds, event=event["DetailType"], names=names)
            kind = fault.kind if fault else ""
            if kind in {"delay-event", "reorder-event"}:
                self._hold(event, fault)
        if kind not in {"delay-event", "reorder-event", "drop-event"}:
            self._deliver(event, view)
        if kind == "duplicate-event":
            self._deliver(event, view)
        for key, held in waiting:
            self._take(key, held)

    def deliver_due(self) -> None:
        """Deliver what has waited long enough."""
        now = time.time()
        for _, key, held in list(self._records.rows(_STORE)):
            if held["due"] <= now:
                self._take(key, held)

    def _hold(self, event: dict[str, Any], fault: Fault) -> None:
        now = time.time()
        held = {
            "event": event,
            "due": now + (fault.seconds or 0.0),
            "behind": fault.to_json() if fault.kind == "reorder-event" else None,
        }
        self._records.put(_STORE, "", f"{now:017.6f}-{uuid.uuid4().hex[:8]}", held)

    def _waiting_for(self, detail_type: str, names: tuple[str, ...]) -> list[tuple[str, Any]]:
        """Return what shall be delivered after an event such as this one."""
        return [
            (key, held)
            for _, key, held in self._records.rows(_STORE)
            if held["behind"] is not None
            and Fault(**held["behind"]).matches(operation="", event=detail_type, names=names)
        ]

    def _take(self, key: str, held: dict[str, Any]) -> None:
        with self._lock:  # two threads may have seen it
            if not self._records.delete(_STORE, "", key):
                return
        self._deliver(held["event"])


def _names(event: dict[str, Any]) -> Iterator[str]:
    """Yield what an event is about: an object as bucket/key, else the names in its ARNs."""
    if event["Source"] == "aws.s3":
        detail = json.loads(event["Detail"])
        yield f"{detail['bucket']['name']}/{detail['object']['key']}"
        return
    for arn in event["Resources"]:
        resource = str(arn).split(":", 5)[-1]
        yield resource.partition("/")[2] or resource.rpartition(":")[2]


def _answering(application: Application) -> Application:
    async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = str(scope.get("path"))
        if scope["type"] != "http" or not (path + "/").startswith(f"{faults.PATH}/"):
            await application(scope, receive, send)
            return
        body = await read_body(receive)
        fault_id = unquote(path.removeprefix(faults.PATH).strip("/"))
        status, document = await in_thread(lambda: _answer(scope["method"], fault_id, body))
        await send_answer(send, (status, _JSON, json.dumps(document).encode()))

    return answered


def _answer(method: str, fault_id: str, body: bytes) -> tuple[int, Any]:
    known = sagemaker.faults
    if known is None:
        return HTTPStatus.SERVICE_UNAVAILABLE, {"message": "the local SageMaker is not up yet"}
    try:
        return HTTPStatus.OK, _asked(known, method, fault_id, body)
    except FaultError as error:
        return HTTPStatus.BAD_REQUEST, {"message": str(error)}


def _asked(known: Any, method: str, fault_id: str, body: bytes) -> Any:
    if method == "GET" and not fault_id:
        return [fault.to_json() for fault in known.list()]
    if method == "DELETE":
        gone = [known.remove(fault_id)] if fault_id else known.clear()
        return [fault.to_json() for fault in gone]
    if method == "POST" and not fault_id:
        try:
            asked = json.loads(body)
            kind = asked.pop("kind")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FaultError("a fault is asked for as a JSON object with its kind") from error
        return known.add(kind, **asked).to_json()
    raise FaultError(f"{method} {faults.PATH}/{fault_id} means nothing here")
