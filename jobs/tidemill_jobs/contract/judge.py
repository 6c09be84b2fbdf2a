"""
Judge a file by a contract, from its facts alone: accept, warn or quarantine, and why.

A finding is of one of four weights:

    fault      the file as a whole is of no use: always quarantined
    violation  it contradicts what is firm: `check.on_violation` decides
    drift      it is new, not wrong: a warning
    remark     worth knowing; changes no verdict

With `drop`, cells that contradict may be left out with their rows, up to a share of the file.
Facts give bounds for how many rows that is; Prepare, which reads the rows, counts them exactly.
The rules, and what to do about each, stand in docs/checks.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import ColumnFacts, Facts
from tidemill_jobs.contract.findings import Finding, Look, Weight
from tidemill_jobs.spec import Check

Verdict = Literal["accept", "warn", "quarantine"]

WEIGHTS: tuple[Weight, ...] = ("fault", "violation", "drift", "remark")
RANKS = ("column_empty", "values_replaced", "wrong_type", "unknown_class", "unknown_value")
SHOWN = 50  # findings that a judgement carries; a wide file may have thousands


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    A file's verdict. Rule, reason, next step, row and column are those of the gravest finding.

    `bad_rows` is how many rows Prepare may have to leave out at most; `findings` are the gravest
    50 of `found`.
    """

    verdict: Verdict
    rule: str | None
    reason: str
    next_step: str | None
    row: int | None
    column: str | None
    rows: int
    bad_rows: int
    findings: tuple[Finding, ...]
    found: int


def judge(facts: Facts, contract: Contract, policy: Check) -> Judgement:
    """Return what becomes of a file, under the contract and the spec's `check`."""
    findings = sorted(_findings(facts, contract), key=_gravity)
    droppable = [one for one in findings if one.weight == "violation" and one.rows_help]
    most = min(facts.rows, sum(one.most for one in droppable))
    verdict: Verdict = "accept"
    if any(one.weight in ("violation", "drift") for one in findings):
        verdict = "warn"
    if any(_quarantines(one, policy) for one in findings):
        verdict = "quarantine"
    elif policy.on_violation == "drop" and droppable:
        least = max(one.least for one in droppable)
        allowed = int(policy.bad_rows * facts.rows)
        if least > allowed:
            verdict = "quarantine"
            findings.insert(0, _too_many(droppable[0], facts, least, allowed))
    gravest = findings[0] if findings and verdict != "accept" else None
    return Judgement(
        verdict=verdict,
        rule=gravest.rule if gravest else None,
        reason=gravest.reason if gravest else f"The file keeps the contract: {facts.rows:,} rows.",
        next_step=gravest.next_step if gravest else None,
        row=gravest.row if gravest else None,
        column=gravest.column if gravest else None,
        rows=facts.rows,
        bad_rows=most if policy.on_violation == "drop" else 0,
        findings=tuple(findings[:SHOWN]),
        found=len(findings),
    )


def _gravity(finding: Finding) -> tuple[int, int, int]:
    """Sort by weight; of equals, what breaks cells before what breaks expectations."""
    rank = RANKS.index(finding.rule) if finding.rule in RANKS else len(RANKS)
    return WEIGHTS.index(finding.weight), rank, finding.row or 0


def _quarantines(finding: Finding, policy: Check) -> bool:
    if finding.weight != "violation":
        return finding.weight == "fault"
    mends = policy.on_violation == "drop" and finding.rows_help
    return policy.on_violation != "warn" and not mends


def _too_many(first: Finding, facts: Facts, least: int, allowed: int) -> Finding:
    return Finding(
        "violation",
        "too_many_bad_rows",
        f"At least {least:,} of {facts.rows:,} rows break the contract, and check.bad_rows lets "
        f"{allowed:,} be left out. The first: {first.reason}",
        first.next_step,
        column=first.column,
        row=first.row,
        value=first.value,
        least=least,
        most=facts.rows,
    )


def _findings(facts: Facts, contract: Contract) -> Iterator[Finding]:
    if facts.status != "read":
        yield Finding(
            "fault",
            facts.rule or "unreadable",
            facts.reason or "The file cannot be read.",
            facts.next_step or "Save and upload it again.",
            facts.column,
            facts.row,
        )
        return
    columns = {column.name: column for column in facts.columns}
    yield from _missing_columns(columns, contract)
    for name, rule in contract.columns.items():
        column = columns.get(name)
        if column is not None:
            yield from Look(facts, contract, name, rule, column).findings()
    new = [name for name in columns if name not in contract.columns]
    if new:
        yield Finding(
            "remark",
            "new_column",
            f"{_listed(new)} not in the contract; the model does not read "
            f"{'it' if len(new) == 1 else 'them'}.",
            "To learn from new columns, accept a file that has them as the contract.",
            column=new[0],
        )


def _missing_columns(columns: Mapping[str, ColumnFacts], contract: Contract) -> Iterator[Finding]:
    for name, role in contract.roles.items():
        if name not in columns:
            yield Finding(
                "fault",
                f"{role}_missing",
                f"There is no column '{name}', the {role}.",
                f"Add the column, or correct data.{role}.",
                column=name,
            )
    lacking = [
        name
        for name, rule in contract.columns.items()
        if rule.required and name not in columns and name not in contract.roles
    ]
    if lacking:
        yield Finding(
            "fault",
            "column_missing",
            f"{_listed(lacking)} missing, which the contract requires.",
            "Deliver the file with every column of the contract, or set required: false under "
            "check.columns.",
            column=lacking[0],
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    if len(names) > 5:  # noqa: PLR2004  # as many as were shown
        shown += f" and {len(names) - 5:,} more"
    return f"Column {shown} is" if len(names) == 1 else f"Columns {shown} are"
