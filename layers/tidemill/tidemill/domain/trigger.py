"""
Which trigger starts a run, and what happens to the others.

One run per model at a time: the lease. A trigger is never dropped: one that may not start waits,
for a named thing and until a named time, and the next run takes all that wait, whoever starts it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidemill.domain.policy import Held, enough, held_back
from tidemill.spec.compiled import Triggers
from tidemill.times import duration, iso

Kind = Literal["data", "schedule", "drift", "manual", "code", "replay"]
VerdictName = Literal["start", "coalesce", "defer", "refuse"]
#: What a person asks for is held back by nothing but a run that goes on.
BY_A_PERSON: tuple[Kind, ...] = ("manual", "replay")
#: What is worth nothing any more when the model has been deleted in between.
OF_ITS_TIME: tuple[Kind, ...] = ("schedule", "drift")
#: When so many wait, their rows are not waited for: nobody reads more of them than that.
MOST_WAITING = 900


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
class Standing:
    """
    How a model stands: what a decision rests on, beside its triggers and its policy.

    Times are in seconds since 1970.
    """

    lease: Lease | None = None
    in_force: bool = True  # it has a spec
    ended_at: float | None = None  # the last run's end
    ended_run: str = ""
    starts: tuple[float, ...] = ()  # of runs that started by themselves, in the last seven days
    rows: int | None = None  # of the last dataset that was learned from
    unlearned: int = 0  # new rows of runs since then, which failed or were stopped


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What was decided of one trigger, with the reason an owner reads.

    *facts* are the numbers it rests on; `rule` names what held a trigger back. *until* is when a
    trigger that was put off starts if nothing else happens, in seconds since 1970; None when only
    an event can free it, such as more data.
    """

    trigger: Trigger
    name: VerdictName
    reason: str
    facts: dict[str, Any]
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict per trigger; *run* is the run id when one starts."""

    run: str | None
    verdicts: tuple[Verdict, ...]

    @property
    def look_again(self) -> float | None:
        """
        When time alone changes this decision; None when it takes an event.

        The end of a run is an event: somebody tells of it, long before its lease expires.
        """
        times = [
            verdict.until
            for verdict in self.verdicts
            if verdict.until is not None and verdict.facts.get("rule") != "lease"
        ]
        return min(times, default=None)


def decide(
    pending: Sequence[Trigger], policy: Triggers, standing: Standing, now: float
) -> Decision:
    """
    Decide all pending triggers of one model at *now* (seconds since 1970).

    The oldest that may start starts the run and names it; all others join it, also those that
    the policy would hold back: the run reads their data too.
    """
    ordered = sorted(pending, key=lambda trigger: (trigger.at, trigger.id))
    if not standing.in_force:
        return Decision(None, tuple(_without_a_spec(trigger) for trigger in ordered))
    lease = standing.lease
    if lease is not None and lease.holder and lease.expires_at > now:
        return Decision(
            None, tuple(_put_off(trigger, _going(trigger, lease, policy)) for trigger in ordered)
        )
    timed = held_back(
        policy, now, ended_at=standing.ended_at, run=standing.ended_run, starts=standing.starts
    )
    held = {
        trigger.id: None
        if trigger.kind in BY_A_PERSON
        else _short_of_rows(trigger, gathered, policy, standing) or timed
        for trigger, gathered in zip(ordered, _gathered(ordered, standing), strict=True)
    }
    free = [trigger for trigger in ordered if held[trigger.id] is None]
    if not free:
        return Decision(None, tuple(_put_off(trigger, held[trigger.id]) for trigger in ordered))
    return _started(free[0], ordered, policy, standing, now)


def run_id(trigger: Trigger, now: float) -> str:
    """Return `run-<yyyymmdd>t<hhmmss>-<8 hex of the trigger>`: sortable and short (28)."""
    stamp = iso(now)[:19].replace("-", "").replace(":", "").lower()
    digest = hashlib.sha256(trigger.id.encode()).hexdigest()[:8]
    return f"run-{stamp}-{digest}"


def _started(
    first: Trigger, ordered: Sequence[Trigger], policy: Triggers, standing: Standing, now: float
) -> Decision:
    run = run_id(first, now)
    total = _gathered(ordered, standing)[-1]
    facts: dict[str, Any] = {"new_rows": total, "waited_seconds": round(now - first.at, 1)}
    brings = ""
    needed = enough(policy, standing.rows)
    if first.kind == "data" and needed and total is not None:
        brings = f", and {total:,} new rows wait, of the {needed:,} that it takes"
        facts["needed"] = needed
    others = [trigger for trigger in ordered if trigger.id != first.id]
    return Decision(
        run,
        (
            Verdict(first, "start", f"{first.why}{brings}; started {run}", facts),
            *(
                Verdict(other, "coalesce", f"{other.why}; joins {run}", {"new_rows": other.rows})
                for other in others
            ),
        ),
    )


def _without_a_spec(trigger: Trigger) -> Verdict:
    if trigger.kind in OF_ITS_TIME:
        reason = f"{trigger.why}; the model was deleted, so nothing starts"
        return Verdict(trigger, "refuse", reason, {"rule": "deleted"})
    reason = "the model was deleted; this starts when its model.yaml is applied again"
    return _put_off(trigger, Held("deleted", reason, {}, None))


def _going(trigger: Trigger, lease: Lease, policy: Triggers) -> Held:
    after = ""
    if policy.cooldown_seconds and trigger.kind not in BY_A_PERSON:
        after = f", and then {duration(policy.cooldown_seconds)} of cooldown"
    facts = {"run": lease.holder, "fence": lease.fence, "expires_at": lease.expires_at}
    reason = f"{lease.holder} is still going; this waits for its end{after}"
    return Held("lease", reason, facts, lease.expires_at)


def _gathered(ordered: Sequence[Trigger], standing: Standing) -> list[int | None]:
    """
    Return per trigger the new rows that wait up to and with it; None once one is not counted.

    Up to it only, so that what is said of a trigger does not change with every one that follows.
    Nobody counts them when too many wait: more are not read.
    """
    total = standing.unlearned if len(ordered) < MOST_WAITING else None
    sums: list[int | None] = []
    for trigger in ordered:
        if trigger.kind == "data" and total is not None:
            total = total + trigger.rows if trigger.rows is not None else None
        sums.append(total)
    return sums


def _short_of_rows(
    trigger: Trigger, gathered: int | None, policy: Triggers, standing: Standing
) -> Held | None:
    needed = enough(policy, standing.rows)
    if trigger.kind != "data" or gathered is None or gathered >= needed:
        return None
    return Held.by_rows(gathered, needed, policy, standing.rows)


def _put_off(trigger: Trigger, held: Held | None) -> Verdict:
    if held is None:
        raise ValueError(f"nothing holds {trigger.id} back")
    facts = {"rule": held.rule, **held.facts}
    return Verdict(trigger, "defer", held.reason, facts, held.until)
