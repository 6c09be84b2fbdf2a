"""What happened to a model: the ledger, in the order in which people read. Reads only."""

from typing import Any

from tidemill.adapters.last_words import PASSED, judged, passes
from tidemill.domain.placement import RAW
from tidemill_cli.stack import Stack

#: Entries that are looked at for a file of which only the last part of the key is known.
MOST_LOOKED_AT = 5_000


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


def of_upload(stack: Stack, ref: str, name: str) -> list[dict[str, Any]]:
    """
    Return what is recorded of one file, and of what came of it, oldest first.

    Args:
        stack: Where to look.
        ref: The model, or `unplaced`.
        name: Its key in the bucket, or its name below the model's prefix.
    """
    ledger = stack.stores.ledger
    keys = [name, f"{RAW}/{ref}/{name}"]
    uploads = [entry for key in keys for entry in ledger.of_key(ref, key)]
    if not uploads:  # perhaps only the last part of its key was typed
        newest = ledger.newest(ref, MOST_LOOKED_AT)
        found = {e["subject"] for e in newest if e["kind"] == "upload" and _is(e["subject"], name)}
        uploads = [entry for key in sorted(found) for entry in ledger.of_key(ref, key)]
    deliveries = {entry["facts"].get("delivery") for entry in uploads} - {None}
    uploads += [
        entry for each in sorted(deliveries) for entry in _passed(stack, ref, each, uploads)
    ]
    followed = [entry for each in sorted(deliveries) for entry in _of_trigger(stack, ref, each)]
    runs = {entry["facts"].get("run") for entry in followed} - {None, ""}
    for run in sorted(runs):
        followed += _ends_of(stack, ref, run)
    return _in_order([*uploads, *followed])


def of_run(stack: Stack, ref: str, run: str) -> list[dict[str, Any]]:
    """
    Return what started a run, how it ended, and what became of its version, oldest first.

    Raises:
        NotFoundError: The model has no such run.
    """
    record = stack.stores.runs.get(ref, run)
    began = [entry for each in record["triggers"] for entry in _of_trigger(stack, ref, each)]
    return _in_order([*began, *_ends_of(stack, ref, run)])


def _passed(
    stack: Stack, ref: str, delivery: str, uploads: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the check's entries that name some of *uploads* among those it accepted."""
    names = {judged(entry)[0].id for entry in uploads}
    entries = stack.stores.ledger.under(ref, f"{PASSED}{delivery}#")
    return [entry for entry in entries if names & passes([entry]).keys()]


def _of_trigger(stack: Stack, ref: str, trigger: str) -> list[dict[str, Any]]:
    """Return a trigger's verdicts, and of a data trigger its delivery's too."""
    ledger = stack.stores.ledger
    prefixes = (f"delivery#{trigger}", f"trigger#{trigger}#")
    return [entry for prefix in prefixes for entry in ledger.under(ref, prefix)]


def _ends_of(stack: Stack, ref: str, run: str) -> list[dict[str, Any]]:
    ledger = stack.stores.ledger
    ends = ledger.under(ref, f"run#{run}")
    versions = {entry["facts"].get("version") for entry in ends} - {None}
    for version in sorted(versions):
        ends += ledger.under(ref, f"version#{version}#")
        ends += ledger.under(ref, f"approval#{version}#")
        ends += [e for e in ledger.under(ref, "rollout#") if e["facts"].get("version") == version]
    return ends


def _in_order(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    once = {entry["entry"]: entry for entry in entries}
    return sorted(once.values(), key=lambda entry: str(entry["at"]))


def _is(key: str, name: str) -> bool:
    return key == name or key.endswith(f"/{name}")
