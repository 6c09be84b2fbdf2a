"""What a check accepts and has nothing to say of: one entry of the ledger for many uploads."""

from collections.abc import Sequence

from tidemill.adapters.entries import Entry
from tidemill.adapters.last_words import PASSED, passes
from tidemill.adapters.ledger import Ledger
from tidemill.domain.check import Pass


def let_pass(ledger: Ledger, ref: str, delivery: str, passed: Sequence[Pass], now: float) -> None:
    """
    Write one entry for uploads of a delivery; those that another attempt has named are left to it.

    An entry has its key from the first that it names, so two attempts that find the same write one.
    """
    left = list(passed)
    while left:
        entry = _entry(ref, delivery, left, now)
        if ledger.append(entry):
            return
        held = ledger.find(ref, entry.key)
        known = passes([held] if held else [])
        left = [each for each in left if each.id not in known]


def _entry(ref: str, delivery: str, passed: Sequence[Pass], at: float) -> Entry:
    rows = sum(each.rows for each in passed)
    files = "1 upload keeps" if len(passed) == 1 else f"{len(passed):,} uploads keep"
    return Entry(
        ref,
        f"{PASSED}{delivery}#{passed[0].id}",
        at,
        "check",
        delivery,
        "accept",
        f"{files} the contract: {rows:,} rows",
        {
            "delivery": delivery,
            "uploads": len(passed),
            "rows": rows,
            "passed": [each.to_text() for each in passed],
        },
    )
