"""
Which trigger starts a run, and what happens to the others.

One run per model at a time: the lease. A trigger is never dropped; while a run goes on it is
deferred, and when the model is free the next run takes all that wait.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidemill.times import iso

Kind = Literal["data", "schedule", "drift", "manual", "code", "replay"]
VerdictName = Literal["start", "coalesce", "defer", "refuse"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    A reason to run.

    *at* is when it arose, in seconds since 1970. *rows* is how many new rows a data trigger
    brings: what was accepted of its delivery; None when nobody counted, or for other kinds.
    """

    id: str
    kind: Kind
    at: float
    why: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a model; a lease past *expires_at* is free."""

    holder: str
    fence: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of one trigger, with the reason an owner reads."""

    trigger: Trigger
    name: VerdictName
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict per trigger; *run* is the run id when one starts."""

    run: str | None
    verdicts: tuple[Verdict, ...]


def decide(
    pending: Sequence[Trigger], lease: Lease | None, now: float, *, in_force: bool = True
) -> Decision:
    """
    Decide all pending triggers of one model; *in_force* says whether it has a spec.

    The oldest starts the run and names it, so that a repeated decision gives the same run id;
    the others join it.
    """
    ordered = sorted(pending, key=lambda trigger: (trigger.at, trigger.id))
    if not ordered:
        return Decision(None, ())
    reason = ""
    if lease is not None and lease.expires_at > now:
        reason = f"{lease.holder} is still going; this starts when it ends"
    elif not in_force:
        reason = "the model was deleted; this starts when its model.yaml is applied again"
    if reason:
        return Decision(None, tuple(Verdict(trigger, "defer", reason) for trigger in ordered))
    first, *others = ordered
    run = run_id(first, now)
    return Decision(
        run,
        (
            Verdict(first, "start", f"{first.why}; started {run}"),
            *(Verdict(other, "coalesce", f"{other.why}; joins {run}") for other in others),
        ),
    )


def run_id(trigger: Trigger, now: float) -> str:
    """Return `run-<yyyymmdd>t<hhmmss>-<8 hex of the trigger>`: sortable and short (28)."""
    stamp = iso(now)[:19].replace("-", "").replace(":", "").lower()
    digest = hashlib.sha256(trigger.id.encode()).hexdigest()[:8]
    return f"run-{stamp}-{digest}"
