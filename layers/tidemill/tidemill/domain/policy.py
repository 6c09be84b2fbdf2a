"""
The rules that hold a run back: cooldown, runs per week, blackouts, and too little new data.

Each says what it waits for and until when, in a sentence with its numbers. The sentence does not
depend on when it is asked for: the ledger keeps each reason once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from tidemill.domain.blackout import blackout_at
from tidemill.spec.compiled import Triggers
from tidemill.times import duration, local

Rule = Literal["lease", "deleted", "rows", "cooldown", "runs_per_week", "blackout"]
WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a trigger back: a rule, a sentence, its numbers; until when, if time ends it."""

    rule: Rule
    reason: str
    facts: dict[str, Any]
    until: float | None

    @classmethod
    def by_rows(cls, gathered: int, needed: int, policy: Triggers, last: int | None) -> Self:
        """Say that *gathered* new rows are fewer than the *needed*."""
        why = ""
        if needed > policy.minimum_rows:
            why = f" ({policy.minimum_share:.3g} of the {last:,} that the last run read)"
        facts = {"new_rows": gathered, "needed": needed, "last_rows": last}
        reason = f"{gathered:,} of {needed:,} new rows{why} are here; this waits for more data"
        return cls("rows", reason, facts, None)


def enough(policy: Triggers, last: int | None) -> int:
    """Return how many new rows a data trigger needs, when the last dataset had *last* rows."""
    share = math.ceil(policy.minimum_share * last - 1e-9) if last else 0
    return max(policy.minimum_rows, share)


def held_back(
    policy: Triggers,
    now: float,
    *,
    ended_at: float | None,
    run: str,
    starts: Sequence[float],
) -> Held | None:
    """
    Return what time has to end before a run may start by itself, or None.

    When one rule ends inside another, the two are one: *until* is when none holds any more.

    Args:
        policy: The spec's `triggers`.
        now: Seconds since 1970, as are the other times.
        ended_at: When the last run ended; None when there was none.
        run: Its name.
        starts: When runs started by themselves; those older than seven days do not count.
    """
    chain: list[Held] = []
    moment: float | None = now
    while moment is not None:
        held = (
            _cooldown(policy, moment, ended_at, run)
            or _runs_per_week(policy, moment, starts)
            or _blackout(policy, moment)
        )
        if held is None:
            break
        chain.append(held)
        moment = held.until
    return _joined(chain, policy) if chain else None


def _joined(chain: Sequence[Held], policy: Triggers) -> Held:
    last = chain[-1]
    facts: dict[str, Any] = {}
    for held in chain:
        facts |= held.facts
    if len(chain) > 1:
        facts["rules"] = [held.rule for held in chain]
    reasons = ", and then ".join(held.reason for held in chain)
    when = (
        "" if last.until is None else f"; this may start at {local(last.until, policy.time_zone)}"
    )
    return Held(chain[0].rule, reasons + when, facts, last.until)


def _cooldown(policy: Triggers, now: float, ended_at: float | None, run: str) -> Held | None:
    if ended_at is None or not policy.cooldown_seconds:
        return None
    until = ended_at + policy.cooldown_seconds
    if until <= now:
        return None
    facts = {"ended_at": ended_at, "cooldown_seconds": policy.cooldown_seconds, "run": run}
    reason = (
        f"{run or 'the last run'} ended at {local(ended_at, policy.time_zone)} and the cooldown "
        f"is {duration(policy.cooldown_seconds)}"
    )
    return Held("cooldown", reason, facts, until)


def _runs_per_week(policy: Triggers, now: float, starts: Sequence[float]) -> Held | None:
    most = policy.runs_per_week
    if most is None:
        return None
    recent = sorted(start for start in starts if start + WEEK > now)
    if len(recent) < most:
        return None
    # Free again when so many of them are a week old that fewer than the most are left.
    until = recent[-most] + WEEK if most > 0 else None
    facts = {"runs": len(recent), "runs_per_week": most}
    said = "1 run" if len(recent) == 1 else f"{len(recent)} runs"
    reason = f"{said} started automatically in seven days and runs_per_week is {most}"
    return Held("runs_per_week", reason, facts, until)


def _blackout(policy: Triggers, now: float) -> Held | None:
    found = blackout_at(policy.blackout, policy.time_zone, now)
    if found is None:
        return None
    facts = {"blackout": found.written, "time_zone": policy.time_zone}
    reason = f"the blackout {found.written} ({policy.time_zone}) lasts"
    return Held("blackout", reason, facts, found.until)
