"""What happened to a model: the ledger, in the order in which people read. Reads only."""

from typing import Any

from tidemill_cli.stack import Stack


def newest(
    stack: Stack, ref: str, *, since: float | None, last: int | None
) -> list[dict[str, Any]]:
    """
    Return the ledger's entries of a model, oldest first.

    Args:
        stack: Where to look.
        ref: The model, or `unplaced` for uploads that no model's prefix took.
        since: Seconds since 1970; None for all time.
        last: Only so many, the newest; None for all.
    """
    return list(stack.stores.ledger.newest(ref, last, since=since))[::-1]
