"""What a decision on a model rests on, read once: for the decider, for the sweep, for people."""

from dataclasses import dataclass

from tidemill.adapters.standings import Record
from tidemill.adapters.stores import Stores
from tidemill.adapters.triggers import Waiting
from tidemill.domain.trigger import Decision, Lease, Standing, Trigger, decide
from tidemill.spec.compiled import Triggers

#: A delayed hint may be this late before it counts as lost.
OVERDUE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """One look at a model: five reads, however many runs it had."""

    lease: Lease | None
    digest: str | None  # of the spec in force; None: the model was deleted
    policy: Triggers
    record: Record
    waiting: tuple[Waiting, ...]

    @property
    def pending(self) -> list[Trigger]:
        """The triggers that wait, oldest first."""
        return [waiting.trigger for waiting in self.waiting]

    def decide(self, now: float) -> Decision:
        """Return what is to become of the pending triggers at *now* (seconds since 1970)."""
        record = self.record
        standing = Standing(
            lease=self.lease,
            in_force=self.digest is not None,
            ended_at=record.ended_at,
            ended_run=record.ended_run,
            starts=record.starts,
            rows=record.dataset_rows,
            unlearned=record.unlearned,
        )
        return decide(self.pending, self.policy, standing, now)

    def is_overdue(self, decision: Decision, now: float) -> bool:
        """Say whether nothing is under way that would act on *decision*: its message was lost."""
        if decision.run is not None or any(v.name == "refuse" for v in decision.verdicts):
            return True
        told = {waiting.trigger.id: waiting.told for waiting in self.waiting}
        if any(verdict.reason != told[verdict.trigger.id] for verdict in decision.verdicts):
            return True
        again, armed = decision.look_again, self.record.look_at
        return again is not None and (armed is None or armed + OVERDUE_SECONDS < now)


def look(stores: Stores, ref: str) -> Outlook:
    """
    Read what a decision on the model rests on.

    The lease comes first: a run writes its end before it frees the lease, so whoever finds the
    lease free finds the end too.
    """
    lease = stores.leases.read(ref, "run")
    applied = stores.specs.in_force(ref)
    record = stores.standings.read(ref)
    return Outlook(
        lease,
        applied.digest if applied else None,
        applied.spec.triggers if applied else Triggers(),
        record,
        tuple(stores.triggers.waiting(ref)),
    )
