"""When do the uploads of a delivery belong together, and when is it closed?"""

from dataclasses import dataclass
from typing import overload

from tidemill.domain.manifest import Comparison, Manifest
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
    uploads: int  # accepted
    bytes: int
    marker_at: float | None
    others: int = 0  # arrived and are no data: refused, or the same bytes again
    manifests: tuple[Manifest, ...] = ()

    @property
    def named(self) -> int | None:
        """How many files its manifests name; None without a manifest."""
        return sum(manifest.named for manifest in self.manifests) if self.manifests else None

    @property
    def arrived(self) -> int:
        """How many uploads came, whatever their verdict."""
        return self.uploads + self.others


@dataclass(frozen=True, slots=True)
class Close:
    """The delivery is complete; *reason* is a sentence for its owner."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds (> 0)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """What arrived must be held against the manifests; judge again with the comparison."""


@overload
def judge(
    delivery: OpenDelivery, policy: compiled.Delivery, now: float, comparison: None = None
) -> Close | Wait | Look: ...
@overload
def judge(
    delivery: OpenDelivery, policy: compiled.Delivery, now: float, comparison: Comparison
) -> Close | Wait: ...
def judge(
    delivery: OpenDelivery,
    policy: compiled.Delivery,
    now: float,
    comparison: Comparison | None = None,
) -> Close | Wait | Look:
    """
    Say whether *delivery* is complete at *now*.

    A marker, a complete manifest or the expected number closes it; with none of them in the spec
    a quiet window does; the maximum wait always does, and says what was still missing. *Comparison*
    is needed only where the verdict is Look.
    """
    ends_at = delivery.opened_at + policy.max_wait_seconds
    over = now >= ends_at
    if delivery.named is not None and comparison is None:
        if over or delivery.arrived >= delivery.named:
            return Look()
        return Wait(ends_at - now)
    files = f"{delivery.uploads:,} file{'s' if delivery.uploads != 1 else ''}"
    differs = comparison.sentence() if comparison else ""
    tail = f"; {differs}" if differs else ""
    if over:
        lacks = _lacks(delivery, policy)
        return Close(f"{files}; waited the maximum of {policy.max_wait_seconds} s{lacks}{tail}")
    ready_at, why = _ready(delivery, policy, ends_at, comparison)
    if now >= ready_at:
        return Close(f"{files}; {why}{tail}")
    return Wait(min(ready_at, ends_at) - now)


def _lacks(delivery: OpenDelivery, policy: compiled.Delivery) -> str:
    if policy.expect is None or delivery.uploads >= policy.expect:
        return ""
    return f"; {policy.expect:,} were expected"


def _ready(
    delivery: OpenDelivery,
    policy: compiled.Delivery,
    ends_at: float,
    comparison: Comparison | None,
) -> tuple[float, str]:
    """Return when the delivery is complete if nothing more arrives, and what makes it so."""
    if comparison is not None:
        ready_at = ends_at if comparison.missing else delivery.last_arrival
        return ready_at, f"{policy.marker} lists {comparison.named:,} and all have arrived"
    if delivery.marker_at is not None:
        last = max(delivery.marker_at, delivery.last_arrival)
        return last + MARKER_GRACE_SECONDS, f"{policy.marker} arrived"
    if policy.expect is not None:
        ready_at = delivery.last_arrival if delivery.uploads >= policy.expect else ends_at
        return ready_at, f"{policy.expect:,} were expected"
    if policy.marker is not None:
        return ends_at, ""
    return delivery.last_arrival + policy.quiet_seconds, f"quiet for {policy.quiet_seconds} s"


def wakes(delivery: OpenDelivery, policy: compiled.Delivery) -> bool:
    """Say whether what arrived may have completed it: then it is looked at now, not later."""
    if delivery.named is not None:
        return delivery.arrived >= delivery.named
    return policy.expect is not None and delivery.uploads >= policy.expect
