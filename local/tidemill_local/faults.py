"""
What can be made to go wrong on the local cloud, where, how often: the words for it, and who asks.

`Kind` says what a misfortune is and what it strikes, `Fault` is one that somebody asked for, and
`RemoteFaults` asks a local cloud that runs. How a fault strikes is said where it does:
`sagemaker/misfortune.py` and `engine/event_faults.py`.
"""

import json
import random
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from tidemill_local.state_directory import LocalCloudError

PATH = "/_tidemill/faults"
_TIMEOUT_SECONDS = 10.0


class FaultError(LocalCloudError):
    """A fault that cannot be meant as it was asked for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of misfortune.

    Attributes:
        says: What happens, in a line.
        operations: Globs of the operations it strikes unless a fault names its own; for a job or an
            endpoint the one that asked for it. None strikes by events instead.
        seconds: How long it takes unless the fault says so; None where time plays no part.
    """

    says: str
    operations: tuple[str, ...] | None = None
    seconds: float | None = None


_OF_RUNTIMES = (
    "InvokeEndpoint",
    "PutRecord",
    "GetRecord",
    "DeleteRecord",
    "BatchGetRecord",
    "BatchPutMetrics",
)
_JOBS = ("CreateProcessingJob", "CreateTrainingJob", "CreateTransformJob")
_ENDPOINTS = ("CreateEndpoint", "UpdateEndpoint")

KINDS: dict[str, Kind] = {
    "throttle": Kind("the request is answered with ThrottlingException", ("*",)),
    "internal-error": Kind("the request is answered with InternalFailure (500)", ("*",)),
    "resource-limit": Kind(
        "the request is answered with ResourceLimitExceeded",
        (*_JOBS, "CreateHyperParameterTuningJob", "CreateAutoMLJobV2", *_ENDPOINTS),
    ),
    "capacity-error": Kind(
        "the job ends Failed with CapacityError; a new endpoint Fails, an updated one rolls back",
        (*_JOBS, *_ENDPOINTS),
    ),
    "job-error": Kind("the job ends Failed with InternalServerError", _JOBS),
    "spot-interruption": Kind(
        "the spot training job loses its instances, and goes on from its checkpoints later",
        ("CreateTrainingJob",),
        1.0,
    ),
    "slow-start": Kind(
        "the job or endpoint waits before its container starts", (*_JOBS, *_ENDPOINTS), 10.0
    ),
    "silent-rollback": Kind(
        "the endpoint's update ends InService with the configuration that it had",
        ("UpdateEndpoint",),
    ),
    "never-healthy": Kind(
        "the endpoint's container does not pass its health check, and is given up", _ENDPOINTS, 5.0
    ),
    "dies-under-load": Kind(
        "the endpoint's container is killed by the request", ("InvokeEndpoint",)
    ),
    "system-update": Kind(
        "SageMaker replaces the endpoint's instances: SystemUpdating for a while, all is answered",
        ("InvokeEndpoint",),
        5.0,
    ),
    "drop-event": Kind("the event is never delivered"),
    "duplicate-event": Kind("the event is delivered twice"),
    "delay-event": Kind("the event is delivered later", seconds=5.0),
    "reorder-event": Kind(
        "the event is delivered after the next one that the fault matches, or when its time is up",
        seconds=5.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """
    A misfortune that somebody asked for, and how often it has come.

    Attributes:
        id: Its name, such as `fault-1`.
        kind: One of `KINDS`.
        operation: Glob of operations (`Create*Job`); "" is what the kind strikes by itself.
        event: Glob of detail types (`Object Created`); "" is every event of an AWS service.
        name: Glob of resource names; of S3's events `<bucket>/<key>`.
        after: So many that match are spared first.
        count: At most so many are struck; None is no limit.
        probability: Of those that are left, this share is struck.
        seed: Makes the draw the same each time.
        seconds: How long it takes, where the kind takes time.
        since: Epoch seconds when it was added.
        seen: How many have matched.
        struck: How many of them were struck.
    """

    id: str
    kind: str
    operation: str = ""
    event: str = ""
    name: str = "*"
    after: int = 0
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float | None = None
    since: float = 0.0
    seen: int = 0
    struck: int = 0

    @property
    def says(self) -> str:
        """What happens, in a line."""
        return KINDS[self.kind].says

    @property
    def spent(self) -> bool:
        """Whether it has struck as often as it may."""
        return self.count is not None and self.struck >= self.count

    def matches(self, *, operation: str, event: str, names: Iterable[str]) -> bool:
        """Whether this is what it was asked to strike."""
        kind = KINDS[self.kind]
        if kind.operations is None:
            fits = fnmatchcase(event, self.event or "*")
        else:
            globs = (self.operation,) if self.operation else kind.operations
            fits = any(fnmatchcase(operation, glob) for glob in globs)
        return fits and (self.name == "*" or any(fnmatchcase(name, self.name) for name in names))

    def strikes_next(self) -> bool:
        """Whether it strikes the next one that matches: the same for the same history."""
        if self.seen < self.after or self.spent:
            return False
        draw = random.Random(f"{self.seed}:{self.seen}").random()  # noqa: S311 - a rehearsal
        return draw < self.probability

    def to_json(self) -> dict[str, Any]:
        """Return it as `tidemill fault list --json` shows it."""
        return asdict(self)


_SCOPE = {field.name for field in fields(Fault)} - {"id", "kind", "since", "seen", "struck"}


def checked(kind: str, scope: dict[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """
    Return a fault's scope with its defaults.

    Args:
        kind: What shall happen.
        scope: Fields of `Fault` by name; None stands for one that is not given.
        operations: What the local SageMaker offers.

    Raises:
        FaultError: No such kind, or a scope that nothing can match.
    """
    if kind not in KINDS:
        raise FaultError(f"{kind!r} is no kind of fault; there are {', '.join(KINDS)}")
    scope = {field: value for field, value in scope.items() if value is not None}
    unknown = scope.keys() - _SCOPE
    if unknown:
        raise FaultError(f"a fault has no {', '.join(sorted(unknown))}; it has {sorted(_SCOPE)}")
    _check_types(scope)
    known = KINDS[kind]
    if known.operations is None and "operation" in scope:
        raise FaultError(f"{kind} strikes events, not operations; scope it with event or name")
    if known.operations is not None and "event" in scope:
        raise FaultError(f"{kind} strikes operations, not events; scope it with operation or name")
    if known.seconds is None and "seconds" in scope:
        raise FaultError(f"{kind} takes no time; leave seconds out")
    if scope.get("operation"):
        _check_operation(kind, scope["operation"], operations)
    if known.seconds is not None:
        scope.setdefault("seconds", known.seconds)
    return scope


def _check_types(scope: dict[str, Any]) -> None:
    for field, kind in (("operation", str), ("event", str), ("name", str), ("seed", int)):
        if field in scope and (not isinstance(scope[field], kind) or scope[field] is True):
            raise FaultError(f"{field} must be a {kind.__name__}, not {scope[field]!r}")
    for field, least in (("after", 0), ("count", 1)):
        value = scope.get(field, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise FaultError(f"{field} must be a whole number of at least {least}, not {value!r}")
    seconds, share = scope.get("seconds", 0), scope.get("probability", 1)
    if not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise FaultError(f"seconds must be a number of at least 0, not {seconds!r}")
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise FaultError(f"probability must be above 0 and at most 1, not {share!r}")


def _check_operation(kind: str, glob: str, operations: Iterable[str]) -> None:
    possible = [
        name
        for name in (*operations, *_OF_RUNTIMES)
        if any(fnmatchcase(name, own) for own in KINDS[kind].operations or ())
    ]
    if not any(fnmatchcase(name, glob) for name in possible):
        raise FaultError(
            f"{kind} never strikes {glob}; it strikes {', '.join(KINDS[kind].operations or ())} "
            "among the operations that the local SageMaker offers"
        )


class RemoteFaults:
    """
    The faults of a local cloud that runs, for the command line and for tests.

    Args:
        endpoint: Where it answers, such as http://127.0.0.1:4566.
    """

    def __init__(self, endpoint: str) -> None:
        self._url = endpoint + PATH

    def add(self, kind: str, **scope: Any) -> Fault:
        """
        Have something go wrong from now on; *scope* is made of the fields of `Fault`.

        Raises:
            FaultError: It cannot be meant so.
        """
        return Fault(**self._ask("POST", body={"kind": kind} | scope))

    def list(self) -> list[Fault]:
        """Return all faults, oldest first."""
        return [Fault(**each) for each in self._ask("GET")]

    def get(self, fault_id: str) -> Fault:
        """
        Return one fault as it is now.

        Raises:
            FaultError: There is no such fault.
        """
        found = [fault for fault in self.list() if fault.id == fault_id]
        if not found:
            raise missing(fault_id)
        return found[0]

    def remove(self, fault_id: str) -> Fault:
        """
        End one fault; return it as it was last.

        Raises:
            FaultError: There is no such fault.
        """
        return Fault(**self._ask("DELETE", fault_id)[0])

    def clear(self) -> tuple[Fault, ...]:
        """End all faults; return them as they were last."""
        return tuple(Fault(**each) for each in self._ask("DELETE"))

    @contextmanager
    def during(self, kind: str, **scope: Any) -> Iterator[Fault]:
        """Have something go wrong while the block lasts."""
        fault = self.add(kind, **scope)
        try:
            yield fault
        finally:
            self.remove(fault.id)

    def _ask(self, method: str, fault_id: str = "", body: dict[str, Any] | None = None) -> Any:
        url = f"{self._url}/{urllib.parse.quote(fault_id)}" if fault_id else self._url
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)  # noqa: S310 - our own URL
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise FaultError(json.load(error)["message"]) from None


def missing(fault_id: str) -> FaultError:
    """Return the error for a fault that is not there."""
    return FaultError(f"there is no fault {fault_id}; `tidemill fault list` shows them")
