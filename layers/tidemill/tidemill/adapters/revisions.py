"""Items of State that are written only if they are still as they were read."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import State


def write_unless_changed(
    state: State,
    ledger: Ledger,
    ref: str,
    fact: str,
    document: Mapping[str, Any],
    *,
    before: int,
    entries: Sequence[Entry],
) -> bool:
    """
    Write an item with ledger entries; entries that there are already stay as they are.

    Args:
        state: Where the item is.
        ledger: Where the entries go.
        ref: The model.
        fact: The item's.
        document: What it is to hold, its new `revision` among it.
        before: The revision that was read; 0 when there was no item.
        entries: What the ledger is to say of it.

    Returns:
        False when somebody else changed the item since: then nothing is written.
    """
    place = state.put(ref, fact, dict(document))
    if before:
        place["Put"]["ConditionExpression"] = "revision = :before"
        place["Put"]["ExpressionAttributeValues"] = values(before=before)
    else:
        place["Put"]["ConditionExpression"] = "attribute_not_exists(revision)"
    left = list(entries)
    while True:
        try:
            transact(state.client, [place, *map(ledger.put, left)])
        except ConditionFailedError as error:
            if 0 in error.failed:
                return False
            left = [one for n, one in enumerate(left, start=1) if n not in error.failed]
        else:
            return True
