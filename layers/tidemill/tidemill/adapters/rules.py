"""Inferring, widening and judging, which live with the jobs, and what they are given to read."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tidemill.adapters.data_contracts import Frozen
from tidemill.adapters.facts import FactsStore
from tidemill.adapters.lake import Lake
from tidemill.spec.compiled import Spec


class Rules(Protocol):
    """`tidemill_jobs.contract.verdicts`, which functions with `layers/data` have."""

    def infer(
        self, spec: str, facts: Iterable[str], accepted: Iterable[str] = ()
    ) -> tuple[str | None, str]:
        """Return the contract of a delivery's good files and why, or None and why there is none."""

    def widen(self, spec: str, contract: str, facts: str) -> dict[str, Any]:
        """Return the contract that a file keeps too, and what that changes; or why it cannot."""

    def judge_by(
        self, spec: str, contract: str | None, reason: str
    ) -> Callable[[str], dict[str, Any]]:
        """Return what judges facts; without a contract every file is refused for *reason*."""


def infer_again(
    rules: Rules, lake: Lake, facts: FactsStore, spec: Spec, held: Frozen
) -> tuple[str | None, str]:
    """
    Infer a contract from what *held* was inferred from, under what the spec says now.

    Files that people have accepted as the contract since widen it again.

    Args:
        rules: See there.
        lake: Where the contract is.
        facts: What checks read.
        spec: The spec in force; files are read as they were under the one before.
        held: The contract in force.
    """
    basis = (lake.get_json(held.uri) or {}).get("basis", {})
    first, accepted = (
        facts.named(spec.ref, held.deliveries, basis.get(names, ()))
        for names in ("facts", "accepted")
    )
    return rules.infer(spec.to_json(), first, accepted)
