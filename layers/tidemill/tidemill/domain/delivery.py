"""When do the uploads of a delivery belong together, and when is it closed?"""

import json
from dataclasses import dataclass

from tidemill.spec import compiled

#: S3 events are unordered: a marker may overtake the files it closes by some seconds.
MARKER_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery that still takes uploads. Times are seconds since 1970."""

    id: str
    revision: int
    opened_at: float
    last_arrival: float
    uploads: int
    bytes: int
    marker_at: float | None
    expected: tuple[str, ...] | None  # a manifest's names, relative to the model's prefix
    names: frozenset[str]  # names that arrived


@dataclass(frozen=True, slots=True)
class Close:
    """The delivery is complete; *reason* is a sentence for its owner."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds (> 0)."""

    seconds: float


def judge(delivery: OpenDelivery, policy: compiled.Delivery, now: float) -> Close | Wait:
    """
    Say whether *delivery* is complete at *now*.

    A marker or a complete manifest closes it; without a marker in the spec a quiet window does;
    the maximum wait always does, and names what a manifest still misses.
    """
    files = f"{delivery.uploads} file{'s' if delivery.uploads != 1 else ''}"
    ends_at = delivery.opened_at + policy.max_wait_seconds
    if now >= ends_at:
        missing = _missing(delivery)
        lacks = f"; {policy.marker} also names {', '.join(missing[:5])}" if missing else ""
        return Close(f"{files}; waited the maximum of {policy.max_wait_seconds} s{lacks}")
    ready_at, why = _ready(delivery, policy, ends_at)
    if now >= ready_at:
        return Close(f"{files}; {why}")
    return Wait(min(ready_at, ends_at) - now)


def _ready(delivery: OpenDelivery, policy: compiled.Delivery, ends_at: float) -> tuple[float, str]:
    """Return when the delivery is complete if nothing more arrives, and what makes it so."""
    if delivery.expected is not None:
        ready_at = ends_at if _missing(delivery) else delivery.last_arrival
        return ready_at, f"{policy.marker} lists them and all have arrived"
    if delivery.marker_at is not None:
        last = max(delivery.marker_at, delivery.last_arrival)
        return last + MARKER_GRACE_SECONDS, f"{policy.marker} arrived"
    if policy.marker is not None:
        return ends_at, ""
    return delivery.last_arrival + policy.quiet_seconds, f"quiet for {policy.quiet_seconds} s"


def _missing(delivery: OpenDelivery) -> list[str]:
    return sorted(set(delivery.expected or ()) - delivery.names)


def manifest_names(body: bytes) -> tuple[str, ...] | None:
    """
    Read a marker's content: a JSON list of names is a manifest, an empty file is none.

    Raises:
        ValueError: It is neither; the message says what is expected.
    """
    if not body.strip():
        return None
    try:
        names = json.loads(body)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("a marker is an empty file, or a JSON list of file names")
    return tuple(names)
