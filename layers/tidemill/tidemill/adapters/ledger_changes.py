"""What the ledger table's stream tells: new entries are chained, any other change is an alarm."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from tidemill.adapters.chain import Chain, as_named
from tidemill.adapters.entries import Entry
from tidemill.adapters.ledger import Ledger
from tidemill.contracts.ledger import LedgerChange
from tidemill.domain.chain import LINK, Named, changed_names, digest


class LedgerChanges:
    """Safe to repeat: a tampering is recorded once, and an entry is chained once."""

    def __init__(self, ledger: Ledger, chain: Chain) -> None:
        self._ledger = ledger
        self._chain = chain

    def take(self, changes: Sequence[LedgerChange], now: float) -> tuple[int, list[Entry]]:
        """
        Record what nobody may do to the ledger, and chain what was added to it.

        Args:
            changes: A batch of the stream; it may come again, or in parts.
            now: Seconds since 1970.

        Returns:
            How many entries were chained, and the tampering that the batch tells of.
        """
        tampering = [
            tampered(change, now)
            for change in changes
            if change.change == "MODIFY" or (change.change == "REMOVE" and not change.expired)
        ]
        for entry in tampering:
            self._ledger.append(entry)
        added: dict[str, list[Named]] = defaultdict(list)
        for change in changes:
            if change.change == "INSERT" and change.new and not change.entry.startswith(LINK):
                added[change.model].append(as_named(change.new, int(change.sequence)))
        chained = sum(self._chain.extend(model, named, now) for model, named in added.items())
        return chained, tampering


def tampered(change: LedgerChange, now: float) -> Entry:
    """Return the entry that says that another was changed or removed."""
    old, new = change.old or {}, change.new or {}
    names = list(changed_names(old, new)) if change.change == "MODIFY" else []
    done = f"was changed in {', '.join(names)}" if names else "was removed"
    return Entry(
        ref=change.model,
        key=f"tamper#{hashlib.sha256(change.entry.encode()).hexdigest()[:16]}#{change.sequence}",
        at=now,
        kind="tamper",
        subject=change.entry,
        verdict="changed" if change.change == "MODIFY" else "removed",
        reason=f"the entry {change.entry} {done} after it was written; entries are only ever added",
        facts={
            "entry": change.entry,
            "changed": names,
            "was": digest(old) if old else None,
            "is": digest(new) if new else None,
            "sequence": change.sequence,
            "next_step": f"`tidemill ledger verify {change.model}` says what differs; the table's "
            "point-in-time recovery has what it was, CloudTrail has who did it",
        },
    )
