"""
From a failing file to what its owner gets, for whoever holds documents: texts in, texts out.

This is what the function with `layers/rows` calls; it needs DuckDB and nothing else of the jobs'.
"""

from pathlib import Path

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.contract.judge import Judgement, judge
from tidemill_jobs.contract.report import Upload, to_html, to_json
from tidemill_jobs.contract.rows import find_rows
from tidemill_jobs.spec import Spec

NO_CONTRACT = "no_contract"
NEXT_STEP = "Deliver a file that can be learned from, or correct data in model.yaml."


def explain(
    path: Path,
    *,
    facts: str,
    spec: str,
    contract: str | None,
    model: str,
    uploaded: str,
    work: Path,
    reason: str = "",
) -> tuple[str, str]:
    """
    Look at a failing file again and return the JSON document and the page about it.

    Args:
        path: The object version's bytes.
        facts: Its facts document.
        spec: The compiled spec.
        contract: The contract that it was judged by; None when no delivery gave one.
        model: `project/model`.
        uploaded: When, ISO 8601.
        work: A folder on a disk with room for the file, unpacked.
        reason: Why there is no contract.

    Raises:
        JobError: One of the documents is none.
    """
    seen = Facts.parse(facts)
    agreed = Contract.parse(contract) if contract is not None else None
    if agreed is None:
        judgement = _without_contract(seen, reason)
    else:
        judgement = judge(seen, agreed, Spec.parse(spec).check)
    rows = find_rows(path, seen, judgement, agreed, work)
    upload = Upload(seen.uri, seen.version_id, model, uploaded, seen.size)
    return to_json(upload, judgement, rows), to_html(upload, judgement, rows)


def _without_contract(facts: Facts, reason: str) -> Judgement:
    return Judgement(
        verdict="quarantine",
        rule=facts.rule or NO_CONTRACT,
        reason=facts.reason or reason,
        next_step=facts.next_step or NEXT_STEP,
        row=facts.row,
        column=facts.column,
        rows=facts.rows,
        bad_rows=0,
        findings=(),
        found=0,
    )
