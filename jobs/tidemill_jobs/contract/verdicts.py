"""
Inferring and judging for whoever holds documents: texts in, plain values out.

The control plane keeps facts, specs and contracts as JSON and knows none of their classes.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.contract.first import NoContract, infer_first
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.contract.widen import widen as widen_by
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.spec import Spec

NEXT_STEP = "Deliver a file that can be learned from, or correct data in model.yaml."


def infer(spec: str, facts: Iterable[str], accepted: Iterable[str] = ()) -> tuple[str | None, str]:
    """
    Infer the contract of a delivery's good files.

    Args:
        spec: The compiled spec.
        facts: The facts documents of the delivery's files.
        accepted: The facts documents of files that people have accepted as the contract since, in
            that order; one that the spec rules out by now is passed over.

    Returns:
        The contract's canonical JSON and what it was inferred from; or None and why there is none.
    """
    parsed = Spec.parse(spec)
    found = infer_first([Facts.parse(text) for text in facts], parsed)
    if isinstance(found, NoContract):
        return None, found.reason
    for text in accepted:
        with suppress(RefusedError):
            found = widen_by(found, Facts.parse(text), parsed).contract
    files = f"{found.basis.files:,} file{'s' if found.basis.files != 1 else ''}"
    return found.to_json(), f"inferred from {files}, {found.basis.rows:,} rows"


def widen(spec: str, contract: str, facts: str) -> dict[str, Any]:
    """
    Widen a contract by a file that a person accepts as the contract.

    Args:
        spec: The compiled spec.
        contract: The contract's JSON, inferred under that spec.
        facts: The file's facts document.

    Returns:
        `contract`: the canonical JSON, None when the file changes nothing; `differences` and
        `consequences`: sentences. When the file cannot be the contract only `refused`: why not.
    """
    held = Contract.parse(contract)
    try:
        found = widen_by(held, Facts.parse(facts), Spec.parse(spec))
    except RefusedError as exc:
        return {"refused": f"{str(exc)[0].upper()}{str(exc)[1:]}"}
    return {
        "contract": None if found.contract == held else found.contract.to_json(),
        "differences": list(found.differences),
        "consequences": list(found.consequences),
    }


def judge_by(spec: str, contract: str | None, reason: str) -> Callable[[str], dict[str, Any]]:
    """
    Return what judges one facts document.

    Args:
        spec: The compiled spec.
        contract: The contract's JSON; None when no delivery was good enough for one.
        reason: Why there is none.

    Returns:
        A function to verdict (`accept`, `warn`, `quarantine`), reason, rule, next step, rows,
        rows that are left out, row, column, the SHA-256, and whether the file could be read.
    """
    policy = Spec.parse(spec).check
    agreed = Contract.parse(contract) if contract is not None else None

    def judged(text: str) -> dict[str, Any]:
        facts = Facts.parse(text)
        common = {"rows": facts.rows, "sha256": facts.sha256, "is_readable": facts.status == "read"}
        if agreed is None:
            unread = facts.status != "read"
            return {
                "verdict": "quarantine",
                "reason": (unread and facts.reason) or reason,
                "rule": (unread and facts.rule) or "no_contract",
                "next_step": (unread and facts.next_step) or NEXT_STEP,
                "row": facts.row,
                "column": facts.column,
                **common,
            }
        found = judge(facts, agreed, policy)
        return {
            "verdict": found.verdict,
            "reason": found.reason,
            "rule": found.rule or "",
            "next_step": found.next_step or "",
            "bad_rows": found.bad_rows,
            "row": found.row,
            "column": found.column,
            **common,
        }

    return judged
