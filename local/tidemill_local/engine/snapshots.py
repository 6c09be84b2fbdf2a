"""What is not recorded fact by fact is saved soon after it changes, and before it is told."""

import asyncio
import hashlib
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import persistence, router
from ministack.services import cloudformation

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.request_kinds import RequestHead
from tidemill_local.engine.surroundings import Application, Surroundings

logger = logging.getLogger(__name__)

_PAUSE = 0.25  # seconds between a change and its snapshot
_SHARE = 10  # a snapshot of t seconds is followed by 10 t of rest
_SLOW = ("cloudwatch", "cloudwatch_logs")  # large, and nobody's truth
_SLOW_SECONDS = 20.0
_ATTEMPTS = 5
_SUCCESS = 400  # HTTP statuses below


def check() -> None:
    """Require how ministack lists, encodes and loads the state of its services."""
    expect(app, "_build_persistence_save_dict", "()")
    expect(app, "_load_persisted_state", "()")
    expect(persistence, "_json_default", "(obj)")
    expect(persistence, "_state_format_version", "(service)")
    expect(router, "detect_service", "(method, path, headers, query_params)")
    expect_value(app, "SERVICE_REGISTRY", dict)
    expect_value(cloudformation, "_stacks", persistence.AccountRegionScopedDict)


def apply(surroundings: Surroundings) -> None:
    """Save in the background and before answers; finish loading with our own records."""
    snapshots = Snapshots(surroundings.state.services)
    load = app._load_persisted_state

    def load_all() -> None:
        load()
        for restore in surroundings.on_restored:
            restore()

    app._load_persisted_state = load_all
    surroundings.changed = snapshots.changed
    surroundings.application = saving(surroundings.application, snapshots)
    surroundings.on_ready.append(snapshots.start)
    surroundings.on_stop.append(snapshots.stop)


class Snapshots:
    """
    The state of ministack's services as JSON files, one per service, each replaced as a whole.

    Args:
        folder: Where ministack looks for them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()
        self._digests: dict[str, bytes] = {}
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._stacks_work = False
        self._slow_due = 0.0
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Begin to save in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Save nothing more in the background; ministack saves all when it shuts down."""
        self._stopped.set()
        self._changed.set()

    def changed(self) -> None:
        """Note that some state changed; it is saved soon."""
        self._changed.set()

    def keep_promise(self, service: str) -> None:
        """Save what an answer of *service* is about to promise."""
        if service != "cloudformation":
            self.save(_state_keys(service))
        elif self._stacks_work or self._stacks_in_progress():
            # A stack's resources belong to other services, and are made in the background.
            self._stacks_work = self._stacks_in_progress()
            self.save()

    def save(self, only: set[str] | None = None) -> None:
        """Write the services whose state differs from their file (or just *only* those)."""
        with self._writing:
            for key, get_state in app._build_persistence_save_dict().items():
                if key in only if only is not None else key not in _SLOW or self._slow_is_due():
                    self._save(key, get_state)
            if only is None and self._slow_is_due():
                self._slow_due = time.monotonic() + _SLOW_SECONDS

    def note_stack_work(self) -> None:
        """Note that a stack operation began; it goes on after its answer."""
        self._stacks_work = True
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self._changed.wait(1.0) and not self._stacks_in_progress():
                continue
            self._stopped.wait(_PAUSE)
            self._changed.clear()
            started = time.monotonic()
            self.save()
            self._stopped.wait(_SHARE * (time.monotonic() - started))

    def _save(self, key: str, get_state: Any) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                text = self._encode(key, get_state())
                break
            except RuntimeError:  # a request changed it while it was copied
                if attempt + 1 == _ATTEMPTS:
                    logger.exception("the state of %s would not hold still", key)
                    self._changed.set()
                    return
        if text is None:
            return
        digest = hashlib.blake2b(text).digest()
        if self._digests.get(key) == digest:
            return
        part = self._folder / f"{key}.json.part"
        part.write_bytes(text)
        part.replace(self._folder / f"{key}.json")
        self._digests[key] = digest

    @staticmethod
    def _encode(key: str, state: Any) -> bytes | None:
        if state is None:
            return None
        document = {
            "__ministack_format__": persistence._state_format_version(key),
            "payload": state,
        }
        return json.dumps(document, default=persistence._json_default).encode()

    def _slow_is_due(self) -> bool:
        return time.monotonic() >= self._slow_due

    @staticmethod
    def _stacks_in_progress() -> bool:
        stacks = cloudformation._stacks.all_values()
        return any(stack.get("StackStatus", "").endswith("_IN_PROGRESS") for stack in stacks)


def saving(application: Application, snapshots: Snapshots) -> Application:
    """Return *application*, whose successful answers are true even after a kill -9."""

    async def saved(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        head = RequestHead.of(scope)

        async def save_first(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] < _SUCCESS:
                await _keep_promise(head, snapshots)
            await send(message)

        await application(scope, head.watching(receive), save_first)

    return saved


async def _keep_promise(head: RequestHead, snapshots: Snapshots) -> None:
    service = router.detect_service(head.method, head.path, head.headers, head.query)
    changes = head.changes_snapshots(service)
    if service == "cloudformation":
        if changes:
            snapshots.note_stack_work()
        await asyncio.to_thread(snapshots.keep_promise, service)
    elif changes:
        await asyncio.to_thread(snapshots.keep_promise, service)
        snapshots.changed()  # other services may have changed along


def _state_keys(service: str) -> set[str]:
    config = app.SERVICE_REGISTRY.get(service) or {}
    module = config.get("module", service)
    return {config.get("state_key", module), *config.get("sub_modules", ())}
