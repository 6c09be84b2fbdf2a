"""
`python -m tidemill_jobs judge FACTS --spec SPEC [--contract CONTRACT]`: print a file's verdict.

FACTS is what `facts` printed, SPEC a compiled spec, CONTRACT a contract's document. Without a
contract the file is judged as the first of a first delivery: by the contract that it would give.
For `tidemill plan`, which starts it; nothing is written. Exit status: 0 accepted or warned of, 1
quarantined, 2 called wrongly.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.contract.first import NoContract, infer_first
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.errors import JobError
from tidemill_jobs.spec import Spec

QUARANTINED = 1


def main(arguments: Sequence[str]) -> int:
    """Print the judgement as one JSON document and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tidemill_jobs judge")
    parser.add_argument("facts", type=Path)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--contract", type=Path)
    asked = parser.parse_args(arguments)
    try:
        facts = Facts.parse(asked.facts.read_bytes())
        spec = Spec.parse(asked.spec.read_text())
        contract = (
            Contract.parse(asked.contract.read_bytes())
            if asked.contract
            else infer_first([facts], spec)
        )
    except (OSError, JobError) as exc:
        parser.error(str(exc))
    document: dict[str, Any]
    if isinstance(contract, NoContract):
        document = {
            "verdict": "quarantine",
            "rule": facts.rule,
            "reason": contract.reason,
            "next_step": facts.next_step,
            "rows": facts.rows,
            "findings": [],
        }
    else:
        document = asdict(judge(facts, contract, spec.check))
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    return QUARANTINED if document["verdict"] == "quarantine" else 0
