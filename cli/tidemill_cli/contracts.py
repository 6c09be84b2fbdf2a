"""The contract in force of a model, as State points to it and S3 holds it. Reads only."""

from dataclasses import dataclass
from typing import Any

from tidemill_cli.stack import Stack

CONTRACT = "contract"  # the fact's name in the State table (docs/data-model.md)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A contract. *at* is when it was frozen, in seconds since 1970, if that is known."""

    digest: str
    uri: str
    at: float | None
    document: dict[str, Any]


def contract_of(stack: Stack, ref: str) -> Frozen | None:
    """Return the contract in force, or None before the first good delivery."""
    item = stack.stores.state.get(ref, CONTRACT)
    if item is None:
        return None
    document = stack.lake.get_json(item["uri"]) or {}
    at = item.get("at")
    return Frozen(item["digest"], item["uri"], float(at) if at is not None else None, document)
