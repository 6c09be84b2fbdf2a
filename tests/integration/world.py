"""
The wheel's first half in memory: uploads, queues, workflows and a clock that only tests move.

The functions are the real ones, wired to fakes. Every call they make to the outside is a point
where they may be killed, or where something else may happen first.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tidemill.adapters.checking import Checking
from tidemill.adapters.checks import FAILED
from tidemill.adapters.closing import Closing
from tidemill.adapters.completion import Completion
from tidemill.adapters.conclusions import Conclusions
from tidemill.adapters.decisions import Decisions
from tidemill.adapters.facts import Read
from tidemill.adapters.intake import Intake
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.reconciliation import Queues, Reconciliation
from tidemill.adapters.runs import GOING
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import DomainEvent
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion
from tidemill.spec.compiled import Spec

from .. import stack
from .cloud import NOW, Killed
from .memory_tables import MemoryTables

HEADER = b"carrier,late\n"


@dataclass
class Message:
    """A message, from when on it may be received, and how often it was."""

    body: str
    due: float
    receives: int = 0


@dataclass
class Waiting:
    """A queue: at least once, in no order."""

    world: "World"
    messages: list[Message] = field(default_factory=list)

    def send_all(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self.send(message)

    def waiting(self) -> int:
        return len(self.messages)

    def send(self, message: dict[str, Any], delay_seconds: float = 0) -> None:
        self.world.step("send")
        self.messages.append(Message(json.dumps(message), self.world.now + delay_seconds))


class World:
    """One model; `step` is called before everything that a function does to the outside."""

    def __init__(self, spec: Spec, tables: MemoryTables, load_function: Any) -> None:
        self.spec, self.ref = spec, spec.ref
        self.now = NOW
        self.objects: dict[tuple[str, str], ObjectVersion] = {}
        self.bodies: dict[tuple[str, str], bytes] = {}
        self.executions: dict[str, str] = {}
        self.checks: dict[str, str] = {}
        self.documents: dict[str, str] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self.events: list[DomainEvent] = []
        self.intake, self.truth, self.deliveries, self.triggers = (Waiting(self) for _ in range(4))
        self._load = load_function
        self._kill_in: int | None = None
        self._then: tuple[int, Callable[[], None]] | None = None
        self.tables = tables
        self.stores = Stores(
            tables,  # type: ignore[arg-type]  # as far as the adapters speak it
            state_table=stack.STATE,
            ledger_table=stack.LEDGER,
        )
        checking = Checking(self.stores, ChecksOf(self))  # type: ignore[arg-type]  # a fake
        closing = Closing(self.stores, self.triggers, self)  # type: ignore[arg-type]  # fakes
        self._reconciliation = Reconciliation(
            self.stores,
            self,  # type: ignore[arg-type]  # a fake
            Queues(self.intake, self.truth, self.deliveries, self.triggers),  # type: ignore[arg-type]
            checking=checking,
            retrain=self,  # type: ignore[arg-type]
            rollout=self,  # type: ignore[arg-type]
            closing=closing,
        )
        clock = SimpleNamespace(time=lambda: self.now)
        wiring = {
            "admit_upload": {"intake": Intake(self.stores, self, self.deliveries, self)},  # type: ignore[arg-type]
            "close_delivery": {
                "completion": Completion(
                    self.stores,
                    self.deliveries,  # type: ignore[arg-type]
                    self,  # type: ignore[arg-type]
                    Quarantine(self, self),  # type: ignore[arg-type]
                ),
                "checking": checking,
            },
            "conclude_check": {
                "conclusions": Conclusions(
                    self.stores,
                    self,  # type: ignore[arg-type]
                    Quarantine(self, self),  # type: ignore[arg-type]
                    self.triggers,  # type: ignore[arg-type]
                    facts=AllRead(),  # type: ignore[arg-type]
                    rules=AcceptsAll(),
                    bucket=stack.ARTIFACTS,
                )
            },
            "decide_trigger": {
                "decisions": Decisions(self.stores, self, self, self.triggers)  # type: ignore[arg-type]
            },
            "close_run": {"closing": closing},
        }
        self.apps = {name: load_function(name) for name in wiring}
        self._originals = {name: dict(vars(app)) for name, app in self.apps.items()}
        for name, app in self.apps.items():
            vars(app).update(wiring[name], stores=self.stores, bus=self, time=clock)
        tables.before = self.step

    def close(self) -> None:
        """Give the functions their own wiring back."""
        for name, app in self.apps.items():
            vars(app).clear()
            vars(app).update(self._originals[name])

    # ── points in time ───────────────────────────────────────────────────────

    def step(self, _: str = "") -> None:
        """Die here, or let something else happen first, if that was asked for."""
        if self._kill_in is not None:
            if not self._kill_in:
                raise Killed
            self._kill_in -= 1
        if self._then is not None:
            count, act = self._then
            self._then = (count - 1, act) if count else None
            if not count:
                killing, self._kill_in = self._kill_in, None
                act()
                self._kill_in = killing

    def run(
        self,
        act: Callable[[], None],
        kill_in: int | None,
        then: tuple[int, Callable[[], None]] | None,
    ) -> bool:
        """Do *act*; say whether it came as far as *then*."""
        self._kill_in, self._then = kill_in, then
        with contextlib.suppress(Killed):
            act()
        reached = self._then is None
        self._kill_in = self._then = None
        return reached

    # ── what the functions see of the outside ────────────────────────────────

    def look(self, bucket: str, key: str, version_id: str, sequencer: str) -> ObjectVersion | None:
        self.step()
        found = self.objects.get((key, version_id))
        return found and ObjectVersion(
            bucket, key, version_id, found.etag, found.size, found.uploaded, sequencer
        )

    def open(
        self, bucket: str, key: str, version_id: str, sequencer: str, count: int
    ) -> tuple[ObjectVersion, bytes] | None:
        version = self.look(bucket, key, version_id, sequencer)
        return version and (version, self.read(version, 0, count))

    def read(self, version: ObjectVersion, first: int, count: int) -> bytes:
        return self.bodies[version.key, version.version_id][first : first + count]

    def tag(self, version: ObjectVersion, **tags: str) -> None:
        self.step()

    def put_json(self, uri: str, document: Any) -> None:
        self.step()

    def put_text(self, uri: str, text: str) -> None:
        self.step()
        self.documents[uri] = text

    def get_text(self, uri: str) -> str:
        return self.documents[uri]

    def versions(
        self, bucket: str, prefix: str, after: Any
    ) -> tuple[list[ObjectCreated], tuple[str, str] | None]:
        """Two versions a page: a walk has several."""
        found = sorted(self.objects)
        page = [each for each in found if after is None or each > after][:2]
        more = page[-1] if page and page[-1] != found[-1] else None
        return [ObjectCreated(bucket, key, version, "") for key, version in page], more

    def put(self, event: DomainEvent) -> None:
        self.step()
        self.events.append(event)

    def start(self, name: str, document: dict[str, Any]) -> str:
        self.step()
        self.executions.setdefault(name, "RUNNING")
        return f"arn:{name}"

    def find(self, name: str) -> dict[str, Any] | None:
        return {"status": self.executions[name]} if name in self.executions else None

    # ── what happens ─────────────────────────────────────────────────────────

    def upload(self, name: str, body: bytes, *, told: bool = True) -> None:
        """Put an object version; its event is *told*, or never comes."""
        number = len(self.objects)
        key, version_id = f"raw/{self.ref}/{name}", f"v{number}"
        made = ObjectVersion(
            stack.LAKE, key, version_id, f"{hash(body):x}", len(body), self.now, f"{number:08X}"
        )
        self.objects[key, version_id] = made
        self.bodies[key, version_id] = body
        if told:
            event = ObjectCreated(stack.LAKE, key, version_id, made.sequencer).to_event()
            self.intake.messages.append(Message(json.dumps(event), self.now))

    def receive(self, function: str, queue: Waiting, message: Message) -> None:
        """Have *function* handle a message; what it fails on stays in the queue."""
        message.receives += 1
        attributes = {"ApproximateReceiveCount": str(message.receives)}
        record = {"messageId": "m", "body": message.body, "attributes": attributes}
        answer = self.apps[function].handler({"Records": [record]}, _CONTEXT)
        assert not (answer or {}).get("batchItemFailures")
        if message in queue.messages:  # it may have been received twice at once
            queue.messages.remove(message)

    def receive_batch(self, messages: list[Message]) -> None:
        """Have `admit_upload` handle several messages at once, some of them perhaps twice."""
        records = []
        for number, message in enumerate(messages):
            message.receives += 1
            records.append({"messageId": f"m{number}", "body": message.body, "attributes": {}})
        answer = self.apps["admit_upload"].handler({"Records": records}, _CONTEXT)
        assert answer == {"batchItemFailures": []}
        for message in messages:
            if message in self.intake.messages:
                self.intake.messages.remove(message)

    def end_run(self, run: str) -> None:
        """Let a run's workflow come to its end."""
        event = {"project": self.spec.project, "model": self.spec.model, "run": run}
        outcome = {"status": "registered", "reason": "version 1", "version": 1}
        self.apps["close_run"].handler({**event, "outcome": outcome}, _CONTEXT)
        self.executions[run] = "SUCCEEDED"

    def abort_run(self, run: str) -> None:
        """Stop a run's workflow, of which nobody hears: only the sweep sees it."""
        self.executions[run] = "ABORTED"

    def end_check(self, name: str) -> None:
        """Let a delivery's check come to its end."""
        self.apps["conclude_check"].handler(self._inputs[name], _CONTEXT)
        self.checks[name] = "SUCCEEDED"

    def abort_check(self, name: str) -> None:
        """Stop a check's workflow, of which nobody hears: only the sweep sees it."""
        self.checks[name] = "ABORTED"

    def sweep(self) -> None:
        self._reconciliation.executions(self.now)
        self._reconciliation.deliveries(self.now)
        self._reconciliation.checks(self.now)
        self._reconciliation.triggers(self.now)
        self._reconciliation.uploads(stack.LAKE, self.now)

    def going(self) -> list[str]:
        """Return the runs that have not ended."""
        before, self.tables.before = self.tables.before, lambda _: None
        found = [run["run"] for run in self.stores.runs.of(self.ref) if run["status"] in GOING]
        self.tables.before = before
        return found

    def _ask_again(self) -> None:
        """As a person does with a check that failed too often."""
        for ref, delivery in self.stores.checks.unfinished():
            record = self.stores.checks.find(ref, delivery)
            if record and record["stands"] == FAILED and record["again_at"] is None:
                self.stores.checks.begin_again(ref, delivery, record["attempt"], self.now)

    def _unfinished(self) -> list[Any]:
        """Return what still waits: the open delivery, checks, triggers, runs."""
        opened = self.stores.deliveries.open(self.ref)
        return [
            *[opened] * bool(opened),
            *self.stores.checks.unfinished(),
            *self.stores.triggers.pending(self.ref),
            *self.going(),
        ]

    def settle(self, rounds: int = 60) -> None:
        """Let everything go its way, with nobody dying, until nothing is left to do."""
        queues = {
            "admit_upload": self.intake,
            "close_delivery": self.deliveries,
            "decide_trigger": self.triggers,
        }
        for _ in range(rounds):
            self.now += 100.0
            for function, queue in queues.items():
                for message in [m for m in queue.messages if m.due <= self.now]:
                    self.receive(function, queue, message)
            for name, status in list(self.checks.items()):
                if status == "RUNNING":
                    self.end_check(name)
            self._ask_again()
            for run, status in list(self.executions.items()):
                if status == "RUNNING":
                    self.end_run(run)
            self.sweep()
            if not any(queue.messages for queue in queues.values()) and not self._unfinished():
                return
        raise AssertionError(f"still at it after {rounds} rounds: {self._unfinished()}, {queues}")


class AcceptsAll:
    """Rules that find every upload good, of one row."""

    def infer(self, _: str, facts: Iterable[str], __: Any = ()) -> tuple[str | None, str]:
        list(facts)
        return "{}", "a test says so"

    def judge_by(self, *_: Any) -> Callable[[str], dict[str, Any]]:
        return lambda text: {"verdict": "accept", "reason": "good", "rows": 1, "sha256": text}


class AllRead:
    """Facts of every upload, each of other bytes."""

    def of(self, _: str, __: str, uploads: Sequence[ObjectVersion]) -> Iterator[Read]:
        return (Read(item, item.id, item.uri) for item in uploads)


class ChecksOf:
    """The world's check machine."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, name: str, document: dict[str, Any]) -> str:
        self._world.step()
        self._world.checks.setdefault(name, "RUNNING")
        self._world._inputs[name] = document
        return f"arn:{name}"

    def find(self, name: str) -> dict[str, Any] | None:
        status = self._world.checks.get(name)
        return status and {"status": status}


_CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="r"
)
